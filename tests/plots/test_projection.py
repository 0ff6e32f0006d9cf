"""Projections onto two dimensions against numpy, and what they refuse."""

import sys

import numpy as np
import pytest

from graphseq.errors import ConfigError
from graphseq.plots.projection import project

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]


def test_principal_axes_are_those_of_the_covariance() -> None:
    found = project(VECTORS, "pca")
    values, axes = np.linalg.eigh(np.cov(VECTORS.T))
    for n in (0, 1):
        axis = axes[:, -1 - n] * np.sign(axes[np.abs(axes[:, -1 - n]).argmax(), -1 - n])
        expected = (VECTORS - VECTORS.mean(axis=0)) @ axis
        assert found.points[:, n] == pytest.approx(expected)
        part = values[-1 - n] / values.sum()
        assert found.axes[n] == f"principal axis {n + 1} ({part:.1%} of the variance)"
    assert found.description == "PCA"


def test_tsne_keeps_groups_together_and_names_its_options() -> None:
    pytest.importorskip("sklearn")
    groups = np.repeat([[0.0] * 6, [9.0] * 6], 20, axis=0) + VECTORS / 50
    found = project(groups, "tsne", seed=3, perplexity=5.0)
    assert found.description == "t-SNE (perplexity 5, seed 3)"
    first, second = found.points[:20], found.points[20:]
    between = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert between > 2 * max(first.std(axis=0).max(), second.std(axis=0).max())
    again = project(groups, "tsne", seed=3, perplexity=5.0)
    assert np.array_equal(again.points, found.points)


@pytest.mark.parametrize(
    ("method", "module", "package"),
    [("tsne", "sklearn.manifold", "scikit-learn"), ("umap", "umap", "umap-learn")],
)
def test_a_method_that_is_not_installed_is_refused(
    method: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=f"pip install {package}"):
        project(VECTORS, method)  # type: ignore[arg-type]


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ConfigError, match="perplexity 30 needs more than 30 items"):
        project(VECTORS[:30], "tsne")
    with pytest.raises(ConfigError, match="neighbours 50 needs more than 50 items"):
        project(VECTORS, "umap", neighbours=50)
    with pytest.raises(ConfigError, match="needs more than 1 items"):
        project(VECTORS[:1], "pca")
