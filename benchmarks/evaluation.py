"""Full ranking of Amazon Beauty, both protocols: CPU seconds by part.

One thread. Compared in the same run: the product of users and items alone (the lower
bound), and the usual way, a sorted top-k of every row for each protocol. First, users
with many targets and long histories, with the memory that ranking them adds.

    OMP_NUM_THREADS=1 python benchmarks/evaluation.py path/to/Beauty.txt
"""

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable

import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data.ragged import Ragged
from graphseq.evaluation.held_out import by_length
from graphseq.evaluation.ranking import rank_block
from graphseq.models.base import Model
from graphseq.models.scoring import width
from graphseq.runtime import peak_memory
from graphseq.sequences.batch import histories

K = 20


def seconds(work: Callable[[], object], times: int = 3) -> float:
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


@torch.no_grad()
def represent_only(model: Model, graph: HeteroData) -> None:
    order = by_length(graph.test).order
    for rows in order.split(512):
        batch = histories(graph.test, rows, model.max_length, model.num_items)
        model.represent(batch, graph)


@torch.no_grad()
def product_only(model: Model, graph: HeteroData) -> None:
    items = model.item_vectors(graph).T.contiguous()
    users = torch.randn(len(graph.test.user), items.shape[0])
    block = torch.empty(128, items.shape[1])
    for rows in users.split(128):
        torch.mm(rows, items, out=block[: len(rows)])


@torch.no_grad()
def usual(model: Model, graph: HeteroData) -> None:
    items, held_out = model.item_vectors(graph), graph.test
    for rows in by_length(held_out).order.split(512):
        batch = histories(held_out, rows, model.max_length, model.num_items)
        scores = model.score(batch, graph, items)
        scores.topk(K)
        real = batch.mask.nonzero(as_tuple=True)
        scores[real[0], batch.items[real]] = -torch.inf
        scores.topk(K)


def many_targets(
    users: int = 512, items: int = 10_000, targets: int = 200, history: int = 800
) -> None:
    """Rank 200 targets of each of 512 users, against 800 items of history."""
    scores = torch.full((users, width(items)), -torch.inf)
    scores[:, :items] = torch.randn(users, items)
    order = torch.rand(users, items).argsort(dim=1)
    starts = torch.arange(users + 1)
    target = Ragged(order[:, :targets].flatten(), starts * targets)
    known = Ragged(order[:, -history:].flatten(), starts * history)
    before, start = peak_memory(), time.process_time()
    rank_block(scores, items, target, known, K)
    took, added = time.process_time() - start, (peak_memory() - before) / 2**20
    print(f"{f'{users} users, {targets} targets each':<32}{took:6.2f} CPU s  ", end="")
    print(f"{added:.0f} MB more at the peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", help="a file of sequences, such as Beauty.txt")
    log = gs.read_log(parser.parse_args().log, format="sequences")
    torch.set_num_threads(1)
    many_targets()
    graph = gs.build_graph(gs.leave_one_out(log))
    model = gs.models.SASRec(log.num_users, log.num_items).eval()
    ours = seconds(lambda: gs.evaluate(model, graph))
    for name, work in {
        "encoding the histories": lambda: represent_only(model, graph),
        "product with all items": lambda: product_only(model, graph),
        f"the usual way, top-{K} twice": lambda: usual(model, graph),
    }.items():
        took = seconds(work, 2)
        print(f"{name:<32}{took:6.2f} CPU s  {took / ours:5.2f} x ours")
    print(f"{'ours, both protocols':<32}{ours:6.2f} CPU s  (target 1.6)")
    with cProfile.Profile() as profile:
        gs.evaluate(model, graph)
    pstats.Stats(profile).sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    main()
