"""K-means clustering by faiss."""

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

    Each iteration uses all points; an empty cluster takes half of a large one. The
    result depends only on the points, their order and ``seed``.

    Source:
        Johnson et al., 2017, arXiv:1702.08734 (faiss), as ICLRec calls it.

    Args:
        points: The points; no gradient flows through.
        clusters: K. With fewer points than K, each point is a cluster.
        iterations: Per attempt.
        restarts: Attempts; the result with the smallest sum of squared distances is
            kept.
        seed: Of the points that the first attempt starts from.
        start: Initial centroids; there is a single attempt then.

    Returns:
        K raw centroids (not normalised), or N if N < K.

    Raises:
        ValueError: There are no points.
    """
    import faiss

    if not len(points):
        raise ValueError("kmeans needs at least one point; found 0")
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
            min_points_per_centroid=1,  # prevents a warning
            max_points_per_centroid=len(data),  # prevents subsampling
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
    """The closest centroid of each point; the first of equally close ones."""
    near = points @ centroids.T - centroids.square().sum(dim=1) / 2
    return near.argmax(dim=1)
