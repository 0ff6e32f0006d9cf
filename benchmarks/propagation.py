"""LightGCN propagation over user-item edges, compared with PyG's implementations.

    python -m benchmarks.propagation

Three layers of width 64, forward, and forward with backward. The operator is built
before the measurement, as are the sparse matrices of the peers; PyG's ``LGConv`` on
``edge_index`` normalises in every call, which is its default.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.cases import Case, main
from benchmarks.logs import beauty, large
from graphseq.constants import INTERACTS
from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import build_graph
from graphseq.nn.adjacency import operator
from graphseq.nn.propagation import propagate

LAYERS, DIM = 3, 64
Log = Callable[[], Interactions]
Step = Callable[[Tensor], Tensor]


def graphseq_step(log: Log) -> tuple[Step, int]:
    made = operator(build_graph(leave_one_out(log())), INTERACTS)
    return made.multiply, made.num_nodes


def _both(log: Log) -> tuple[Tensor, int]:
    """Each distinct user-item pair in both directions, sorted by row."""
    graph = build_graph(leave_one_out(log()))
    users, items = graph["user"].num_nodes, graph["item"].num_nodes
    user, item = graph[INTERACTS].edge_index
    pair = torch.unique(user * items + item)
    pairs = torch.stack([pair // items, pair % items + users])
    pairs = torch.cat([pairs, pairs.flip(0)], dim=1)
    return pairs[:, pairs[0].argsort(stable=True)].contiguous(), users + items


def lgconv_step(log: Log) -> tuple[Step, int]:
    from torch_geometric.nn import LGConv

    edges, nodes = _both(log)
    layer = LGConv()
    return lambda x: layer(x, edges), nodes


def csr_step(log: Log, ids: torch.dtype) -> tuple[Step, int]:
    made = operator(build_graph(leave_one_out(log())), INTERACTS)
    rows = made.rows._replace(
        pointers=made.rows.pointers.to(ids), columns=made.rows.columns.to(ids)
    )
    matrix = rows.tensor(made.num_nodes)
    return lambda x: matrix @ x, made.num_nodes


def edge_index_step(log: Log) -> tuple[Step, int]:
    from torch_geometric import EdgeIndex
    from torch_geometric.nn.conv.gcn_conv import gcn_norm

    edges, nodes = _both(log)
    _, weight = gcn_norm(edges, None, nodes, add_self_loops=False)
    index = EdgeIndex(
        edges, sparse_size=(nodes, nodes), sort_order="row", is_undirected=True
    ).fill_cache_()
    return lambda x: index.matmul(x, weight), nodes


def case(make: Callable[[], tuple[Step, int]], backward: bool, repeats: int) -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        torch.set_num_threads(1)
        step, nodes = make()
        x = torch.randn(nodes, DIM, generator=torch.Generator().manual_seed(0))
        x.requires_grad_()

        def run(backward: bool = backward) -> None:
            with torch.set_grad_enabled(backward):
                y = x
                for _ in range(LAYERS):
                    y = step(y)
                if backward:
                    torch.autograd.grad(y.sum(), x)

        if repeats > 3:
            run(backward=True)  # fills the pools of the allocator, as in training
        return run, repeats

    return prepare


def last_layer(fraction: float) -> Case:
    """The last layer as models use it: only for the nodes of a batch."""

    def prepare() -> tuple[Callable[[], object], int]:
        torch.set_num_threads(1)
        made = operator(build_graph(leave_one_out(beauty())), INTERACTS)
        x = torch.randn(made.num_nodes, DIM, requires_grad=True)
        rows = torch.randperm(made.num_nodes)[: int(fraction * made.num_nodes)]
        chosen = None if fraction == 1 else rows

        def run() -> None:
            torch.autograd.grad(propagate(x, made, 1, rows=chosen).sum(), x)

        run()
        return run, 15

    return prepare


def build(log: Log) -> Case:
    def prepare() -> tuple[Callable[[], object], int]:
        graph = build_graph(leave_one_out(log()))

        def run() -> None:
            graph[INTERACTS].pop("operator", None)
            operator(graph, INTERACTS)

        return run, 3

    return prepare


WAYS = {
    "graphseq": graphseq_step,
    "PyG LGConv on edge_index": lgconv_step,
    "PyG EdgeIndex.matmul": edge_index_step,
    "torch.sparse_csr, 32-bit ids": partial(csr_step, ids=torch.int32),
    "torch.sparse_csr, 64-bit ids": partial(csr_step, ids=torch.int64),
}
CASES: dict[str, Case] = {}
for name, log, repeats in (("Beauty", beauty, 15), ("10M events", large, 3)):
    for task, backward in (("forward", False), ("forward and backward", True)):
        for way, step in WAYS.items():
            key = f"{name}, {task}: {way}"
            CASES[key] = case(partial(step, log), backward, repeats)
    CASES[f"{name}, operator: graphseq"] = build(log)
CASES["Beauty, one layer and backward: all rows"] = last_layer(1)
CASES["Beauty, one layer and backward: a tenth of the rows"] = last_layer(0.1)

if __name__ == "__main__":
    main("benchmarks.propagation", CASES, "Propagation, 3 layers, D = 64 (one thread)")
