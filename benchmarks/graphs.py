"""User-item, user-user and item-item graphs, compared with full scipy products.

    python -m benchmarks.graphs

The naive way computes all of ``A @ A.T`` and sorts the entries of every row (numpy
``lexsort``) for the same exact top 50; times are of both co-occurrence graphs together.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.cases import Case, main
from benchmarks.logs import beauty, cds
from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import CoOccurrence, build_graph, graph_hash, summary

TOP = 50
Log = Callable[[], Interactions]


def ours(log: Log, repeats: int, weight: str = "count") -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        split = leave_one_out(log())
        steps = [
            CoOccurrence(kind, top_k=TOP, weight=weight)  # type: ignore[arg-type]
            for kind in ("user", "item")
        ]
        build_graph(leave_one_out(Interactions.from_arrays([0] * 4, [0] * 4)), steps)
        return lambda: build_graph(split, steps), repeats

    return prepare


def naive(log: Log, repeats: int) -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        train = leave_one_out(log()).train

        def run() -> None:
            shape = (train.num_users, train.num_items)
            ones = np.ones(len(train), np.float32)
            a = csr_matrix((ones, (train.user, train.item)), shape)
            a.data[:] = 1
            for product in (a @ a.T, a.T @ a):
                _sorted_top(product)

        return run, repeats

    return prepare


def _sorted_top(product: csr_matrix) -> csr_matrix:
    edges = product.tocoo()
    others = edges.row != edges.col
    row, col, weight = edges.row[others], edges.col[others], edges.data[others]
    order = np.lexsort((col, -weight, row))
    row, col, weight = row[order], col[order], weight[order]
    lengths = np.bincount(row, minlength=product.shape[0])
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = np.arange(len(row)) - first < TOP
    top = csr_matrix((weight[kept], (row[kept], col[kept])), product.shape)
    return top.maximum(top.T.tocsr())


def product_only(log: Log, repeats: int) -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        train = leave_one_out(log()).train
        shape = (train.num_users, train.num_items)
        ones = np.ones(len(train), np.float32)
        a = csr_matrix((ones, (train.user, train.item)), shape)
        return lambda: ((a @ a.T).nnz, (a.T @ a).nnz), repeats

    return prepare


def on_built(what: Callable[..., object]) -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        steps = [CoOccurrence("user"), CoOccurrence("item")]
        graph = build_graph(leave_one_out(beauty()), steps)
        return lambda: what(graph), 3

    return prepare


CASES: dict[str, Case] = {
    "Beauty, uv + top-50 uu + vv: graphseq": ours(beauty, 5),
    "Beauty, uv + top-50 uu + vv: scipy, product only": product_only(beauty, 5),
    "Beauty, uv + top-50 uu + vv: scipy, product and lexsort": naive(beauty, 3),
    "Beauty, the same by cosine: graphseq": ours(beauty, 3, "cosine"),
    "CDs size, uv + top-50 uu + vv: graphseq": ours(cds, 3),
    "CDs size, uv + top-50 uu + vv: scipy, product only": product_only(cds, 1),
    "CDs size, uv + top-50 uu + vv: scipy, product and lexsort": naive(cds, 1),
    "CDs size, the same by cosine: graphseq": ours(cds, 1, "cosine"),
    "Beauty, hash of the graph: graphseq": on_built(graph_hash),
    "Beauty, summary of the graph: graphseq": on_built(summary),
}

if __name__ == "__main__":
    main("benchmarks.graphs", CASES, "Building graphs (one thread)")
