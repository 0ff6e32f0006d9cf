"""Propagation and top-k by torch-sparse and torch-scatter, compared with ours.

    python -m benchmarks.accelerators [repeats]

It needs the extra ``accel``. Ways alternate in one process, so that a busy machine
slows all of them alike; a ratio is the median over the rounds, each way to ours in the
same round. Results are compared before anything is measured.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch_scatter
from torch import Tensor
from torch_sparse import SparseTensor, matmul

from benchmarks.logs import beauty, cds, large
from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.data import Interactions, leave_one_out
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.nn.adjacency import operator

LAYERS, DIM, TOP = 3, 64, 50
MOST_MESSAGES = 250_000_000  # floats: 1 GB a layer
Ways = dict[str, Callable[[], Tensor]]


def propagation(log: Interactions) -> Ways:
    """Three layers of LightGCN over user-item edges, forward and backward."""
    made = operator(build_graph(leave_one_out(log)), INTERACTS)
    pointers, columns = made.rows.pointers.long(), made.rows.columns.long()
    values, nodes = made.rows.values, made.num_nodes
    matrix = SparseTensor(
        rowptr=pointers, col=columns, value=values, sparse_sizes=(nodes, nodes)
    )
    matrix.storage.colptr()  # cached, as the operator of a graph is
    matrix.storage.csr2csc()
    matrix.storage.row()
    x = torch.randn(nodes, DIM, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()

    def gathered(x: Tensor) -> Tensor:
        messages = x[columns] * values[:, None]
        return torch_scatter.segment_csr(messages, pointers, reduce="sum")

    def both(step: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        def run() -> Tensor:
            y = x
            for _ in range(LAYERS):
                y = step(y)
            [gradient] = torch.autograd.grad(y.square().sum(), x)
            return gradient

        return run

    ways = {
        "graphseq": both(made.multiply),
        "torch-sparse, `matmul`": both(lambda x: matmul(matrix, x)),
    }
    if len(columns) * DIM < MOST_MESSAGES:  # each layer keeps them for its gradient
        ways["torch-scatter, `segment_csr`"] = both(gathered)
    return ways


def top_neighbours(log: Interactions) -> Ways:
    """The 50 items that share most users with each item: weights of the edges."""
    graph = build_graph(leave_one_out(log))
    users, items = graph[USER].num_nodes, graph[ITEM].num_nodes
    relation = CoOccurrence(ITEM, top_k=TOP, symmetrize="none")

    def ours() -> Tensor:
        edges = relation(graph)[ITEM, "co_occurs", ITEM]
        return torch.bincount(edges.edge_index[0], edges.edge_weight.double(), items)

    def theirs() -> Tensor:
        user, item = graph[INTERACTS].edge_index
        pair = torch.unique(item * users + user)
        item, user = pair // users, pair % users
        ones = torch.ones(len(pair))
        shape = (items, users)
        links = SparseTensor(row=item, col=user, value=ones, sparse_sizes=shape)
        row, column, weight = matmul(links, links.t()).coo()
        other = row != column
        row, weight = row[other], weight[other]
        order = weight.argsort(descending=True, stable=True)
        order = order[row[order].argsort(stable=True)]
        row, weight = row[order], weight[order]
        sizes = torch.bincount(row, minlength=items)
        first = torch.repeat_interleave(sizes.cumsum(0) - sizes, sizes)
        kept = torch.arange(len(row)) - first < TOP
        return torch.bincount(row[kept], weight[kept].double(), items)

    return {"graphseq": ours, "torch-sparse, `matmul` and a sort": theirs}


def best_of_groups(log: Interactions) -> Ways:
    """The largest value of each user's events, as PyG's ``scatter`` computes it."""
    owner = torch.from_numpy(log.user)
    values = torch.rand(len(owner), generator=torch.Generator().manual_seed(0))
    empty = values.new_full((log.num_users,), -torch.inf)
    return {
        "graphseq": lambda: empty.scatter_reduce(0, owner, values, "amax"),
        "torch-scatter, `scatter_max`": lambda: torch_scatter.scatter_max(
            values, owner, dim_size=log.num_users
        )[0],
    }


TASKS = {
    "propagation": (propagation, beauty, cds, large),
    "top 50 items": (top_neighbours, beauty, cds),
    "largest of a group": (best_of_groups, beauty, cds),
}


def rounds(ways: Ways, repeats: int) -> Iterator[dict[str, float]]:
    """CPU seconds of each way, round by round, after a comparison of the results."""
    [expected, *others] = [way() for way in ways.values()]
    for other in others:
        torch.testing.assert_close(other, expected, rtol=1e-4, atol=1e-5)
    for _ in range(repeats):
        taken = {}
        for name, way in ways.items():
            started = time.process_time()
            way()
            taken[name] = time.process_time() - started
        yield taken


def main(repeats: int) -> None:
    torch.set_num_threads(1)
    print("| task | log | way | CPU s, median | times ours, median (range) |")
    print("|---|---|---|---|---|")
    for task, (prepare, *logs) in TASKS.items():
        for make in logs:
            log = make()
            found = list(rounds(prepare(log), repeats))
            for way in found[0]:
                taken = statistics.median(each[way] for each in found)
                ratios = sorted(each[way] / each["graphseq"] for each in found)
                print(
                    f"| {task} | {len(log):,} events | {way} | {taken:.3g} | "
                    f"{statistics.median(ratios):.2f} "
                    f"({ratios[0]:.2f} – {ratios[-1]:.2f}) |",
                    flush=True,
                )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
