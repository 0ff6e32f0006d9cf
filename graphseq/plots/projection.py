"""Vectors in two dimensions: principal axes, t-SNE, UMAP."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from graphseq.errors import ConfigError

Vectors = NDArray[np.floating[Any]]
Method: TypeAlias = Literal["pca", "tsne", "umap"]


class Projection(NamedTuple):
    """Points in two dimensions.

    Attributes:
        points: (n, 2).
        axes: Names of the two axes; empty where an axis has no meaning.
        description: The method and its options.
    """

    points: Vectors
    axes: tuple[str, str]
    description: str


def project(
    vectors: Vectors,
    method: Method = "pca",
    *,
    seed: int = 0,
    perplexity: float = 30.0,
    neighbours: int = 15,
) -> Projection:
    """Project vectors onto two dimensions.

    Args:
        vectors: (n, d), with d at least 2.
        method: ``pca``, ``tsne`` or ``umap``.
        seed: Seed of ``tsne`` and ``umap``; ``pca`` has none.
        perplexity: Of ``tsne``, smaller than n.
        neighbours: Of ``umap``, smaller than n.

    Raises:
        ConfigError: There are too few vectors, or the method is not installed.
    """
    number = len(vectors)
    needed = {"pca": 1, "tsne": perplexity, "umap": neighbours}[method]
    if number <= needed:
        name = {"tsne": "perplexity", "umap": "neighbours"}.get(method, "vectors")
        raise ConfigError(
            f"{method} with {name} {needed:g} needs more than {needed:g} items; there "
            f"are {number}. Lower {name}, or use method='pca'"
        )
    if method == "pca":
        return _pca(vectors)
    if method == "tsne":
        return _tsne(vectors, seed, perplexity)
    return _umap(vectors, seed, neighbours)


def _pca(vectors: Vectors) -> Projection:
    """The first two principal axes; the largest entry of each axis is positive."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, scales, axes = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.sign(axes[np.arange(len(axes)), largest])[:, None]
    explained = scales**2 / max((scales**2).sum(), np.finfo(np.float64).tiny)
    first, second = (
        f"principal axis {n + 1} ({explained[n]:.1%} of the variance)" for n in range(2)
    )
    return Projection(centred @ axes[:2].T, (first, second), "PCA")


def _tsne(vectors: Vectors, seed: int, perplexity: float) -> Projection:
    TSNE = _imported("sklearn.manifold", "scikit-learn", "TSNE")
    found = TSNE(
        perplexity=perplexity, random_state=seed, init="pca", learning_rate="auto"
    )
    points = found.fit_transform(vectors)
    description = f"t-SNE (perplexity {perplexity:g}, seed {seed})"
    return Projection(points, ("", ""), description)


def _umap(vectors: Vectors, seed: int, neighbours: int) -> Projection:
    UMAP = _imported("umap", "umap-learn", "UMAP")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about threads, which a seed rules out
        points = UMAP(
            n_neighbors=neighbours, random_state=seed, n_jobs=1
        ).fit_transform(vectors)
    description = f"UMAP ({neighbours} neighbours, seed {seed})"
    return Projection(points, ("", ""), description)


def _imported(module: str, package: str, name: str) -> Callable[..., Any]:
    """A class of an optional package.

    Raises:
        ConfigError: It is not installed.
    """
    from importlib import import_module

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of packages about one another
            found: Callable[..., Any] = getattr(import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"{name} needs the package {package}, which cannot be imported ({error}): "
            f"pip install {package}, or use method='pca'"
        ) from error
    return found
