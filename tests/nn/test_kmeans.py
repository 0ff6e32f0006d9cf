"""k-means: U-4, loops, seeds, empty clusters, few points."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from graphseq.nn import kmeans, nearest

X = torch.tensor([[0.0, 0], [0, 2], [10, 0], [10, 2]], dtype=torch.float64)


def blobs(number: int = 40) -> tuple[Tensor, Tensor]:
    """Three distant clusters of points, and their means."""
    generator = torch.Generator().manual_seed(0)
    middle = torch.tensor([[0.0, 0], [20, 0], [0, 20]])
    points = middle[:, None] + torch.randn(3, number, 2, generator=generator)
    return points.flatten(0, 1), points.mean(dim=1)


def lloyd(points: Tensor, centroids: Tensor, iterations: int) -> Tensor:
    """Assign each point to its nearest centroid; move centroids to the means."""
    centroids = centroids.clone()
    for _ in range(iterations):
        owner = [
            min(range(len(centroids)), key=lambda k: float((p - centroids[k]).norm()))
            for p in points
        ]
        for k in range(len(centroids)):
            own = [p for p, o in zip(points, owner, strict=True) if o == k]
            centroids[k] = torch.stack(own).mean(dim=0)
    return centroids


def inertia(points: Tensor, centroids: Tensor) -> float:
    return float(torch.cdist(points, centroids).square().amin(dim=1).sum())


def test_the_specifications_example() -> None:
    """U-4: raw centroids, and the normalised ones for the loss."""
    found = kmeans(X, 2, start=X[[0, 2]])
    expected = torch.tensor([[0.0, 1], [10, 1]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    assert found.dtype == X.dtype and not found.requires_grad
    unit = F.normalize(found, dim=1)
    torch.testing.assert_close(
        unit, torch.tensor([[0, 1], [0.995037190, 0.099503719]]).double()
    )
    assert nearest(X, found).tolist() == [0, 0, 1, 1]


def test_assignment_uses_raw_centroids() -> None:
    """U-4: with normalised centroids the other cluster would be nearest."""
    query = torch.tensor([[4, 0.9]], dtype=torch.float64)
    raw = torch.tensor([[0.0, 1], [10, 1]], dtype=torch.float64)
    unit = F.normalize(raw, dim=1)
    assert nearest(query, raw).item() == 0
    assert nearest(query, unit).item() == 1
    assert torch.cdist(query, unit).tolist()[0] == pytest.approx([4.0012, 3.1098], 1e-4)


def test_nearest_has_the_smallest_distance_and_the_lowest_index() -> None:
    generator = torch.Generator().manual_seed(3)
    points, centroids = torch.randn(2, 9, 4, dtype=torch.float64, generator=generator)
    centroids[5] = centroids[2]
    expected = []
    for point in points:
        distances = [float((point - c).norm()) for c in centroids]
        expected.append(distances.index(min(distances)))
    assert nearest(points, centroids).tolist() == expected


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_iterations_equal_lloyds_algorithm(iterations: int) -> None:
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(60, 3, generator=generator)
    start = points[:4]
    found = kmeans(points, 4, iterations=iterations, start=start)
    expected = lloyd(points.double(), start.double(), iterations)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


def test_clouds_are_found_from_any_seed() -> None:
    points, means = blobs()
    for seed in range(3):
        found = kmeans(points, 3, seed=seed)
        order = nearest(means, found)
        assert sorted(order.tolist()) == [0, 1, 2]
        torch.testing.assert_close(found[order], means, atol=1e-4, rtol=1e-4)


def test_the_seed_decides() -> None:
    points = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    given = {"iterations": 3, "restarts": 1}
    first, again = (kmeans(points, 16, seed=5, **given) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, kmeans(points, 16, seed=6, **given))


def test_the_best_attempt_is_kept() -> None:
    """More attempts never increase the sum of squares, from one seed."""
    points = torch.randn(120, 2, generator=torch.Generator().manual_seed(2))
    sums = [inertia(points, kmeans(points, 12, restarts=r)) for r in (1, 2, 5, 20)]
    assert all(a >= b - 1e-3 for a, b in itertools.pairwise(sums))
    assert sums[-1] < 0.999 * sums[0]


def test_all_points_are_used() -> None:
    """One cluster is the mean of all points; faiss would sample by default."""
    points = torch.randn(5000, 2, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(
        kmeans(points, 1), points.mean(dim=0, keepdim=True), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("number", [1, 2, 4])
def test_with_few_points_each_is_a_cluster(number: int) -> None:
    found = kmeans(X[:number], 256)
    assert len(found) == number
    assert nearest(X[:number], found).unique().numel() == number
    assert inertia(X[:number], found) == pytest.approx(0, abs=1e-9)


def test_an_empty_cluster_is_refilled_from_a_large_one() -> None:
    """A centroid that starts far from all points is moved to points."""
    points, _ = blobs()
    start = torch.tensor([[0.0, 0], [20, 0], [0, 20], [1e4, 1e4]])
    found = kmeans(points, 4, start=start)
    assert found.isfinite().all()
    assert found.abs().max() < 100, "no centroid is far from all points"
    assert nearest(points, found).unique().numel() == 4


def test_equal_points_give_finite_centroids_without_warnings(capfd) -> None:
    """Most clusters are empty; warnings of faiss are suppressed."""
    found = kmeans(torch.ones(50, 3), 8)
    assert found.isfinite().all()
    torch.testing.assert_close(found, torch.ones(8, 3), atol=0.01, rtol=0)
    assert capfd.readouterr().err == ""


def test_points_are_unchanged() -> None:
    points, _ = blobs()
    before = points.clone()
    kmeans(points, 3)
    assert torch.equal(points, before)


def test_no_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        kmeans(torch.empty(0, 3), 4)
