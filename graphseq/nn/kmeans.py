"""Clusters of points: k-means by faiss."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def kmeans(
    points: Float[Tensor, "N D"],
    clusters: int,
    *,
    iterations: int = 20,
    restarts: int = 5,
    seed: int = 0,
    start: Float[Tensor, "K D"] | None = None,
) -> Float[Tensor, "K D"]:
    """Centroids of the points, by Lloyd's algorithm with the Euclidean distance.

    Every point is used in every iteration; a cluster that loses its points takes half
    of a large one. The result depends on the points, their order and ``seed`` only.

    Source:
        Johnson et al., 2017, arXiv:1702.08734 (faiss), as ICLRec calls it.

    Args:
        points: What is clustered; no gradient passes.
        clusters: K. With fewer points than that, each point is a cluster.
        iterations: Of each attempt.
        restarts: Attempts, of which the one with the smallest sum of squared distances
            is kept.
        seed: Of the points that the first attempt starts from.
        start: Centroids to start from; there is one attempt then.

    Returns:
        K raw centroids (not normalised), or N if N < K.

    Raises:
        ValueError: There is no point.
    """
    import faiss

    if not len(points):
        raise ValueError("kmeans needs at least one point to find clusters of; got 0")
    data = points.detach().float().cpu().contiguous().numpy()
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(torch.get_num_threads())
    try:
        engine = faiss.Kmeans(
            data.shape[1],
            min(clusters, len(data)),
            niter=iterations,
            nredo=restarts if start is None else 1,
            seed=seed,
            min_points_per_centroid=1,  # or it would warn
            max_points_per_centroid=len(data),  # or it would take a sample
        )
        engine.train(
            data, None, None if start is None else start.detach().float().cpu().numpy()
        )
    finally:
        faiss.omp_set_num_threads(threads)
    return torch.from_numpy(engine.centroids).to(points)


@torch.no_grad()
def nearest(
    points: Float[Tensor, "N D"], centroids: Float[Tensor, "K D"]
) -> Int[Tensor, "N"]:
    """The closest centroid of each point; of equally close ones, the first."""
    near = points @ centroids.T - centroids.square().sum(dim=1) / 2
    return near.argmax(dim=1)
