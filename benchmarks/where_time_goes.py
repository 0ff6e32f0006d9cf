"""Where an epoch of SASRec on Amazon Beauty spends its CPU seconds, one thread.

Every fourth batch is measured by part, and scaled to the epoch. The matrix products of
the softmax are also timed alone, and compared with the rate of a product of two
2048 x 2048 matrices in the same minute, the limit of the machine.

    OMP_NUM_THREADS=1 python -m benchmarks.where_time_goes path/to/Beauty.txt
"""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch

import graphseq as gs
from graphseq.objectives import cross_entropy
from graphseq.runtime import keep_freed_memory
from graphseq.sequences import SequenceLoader

EVERY, CHUNK = 4, 64
spent: dict[str, float] = defaultdict(float)


@contextmanager
def timed(name: str) -> Iterator[None]:
    start = time.process_time()
    yield
    spent[name] += (time.process_time() - start) * EVERY


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()  # as fit does
    log = gs.read_log(sys.argv[1], format="sequences")
    graph = gs.build_graph(gs.leave_one_out(log))
    torch.manual_seed(0)
    model = gs.models.SASRec(log.num_users, log.num_items)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loader = SequenceLoader(graph, "targets", 384, model.max_length)
    block = torch.empty(CHUNK, log.num_items)
    table, gradient = torch.randn(log.num_items, 64), torch.zeros(log.num_items, 64)
    total = flops = 0
    for number in range(0, len(loader), EVERY):
        with timed("cutting the batch"):
            batch = loader[number]
        with timed("encoder, forward"):
            items = model.item_vectors(graph)
            positions, targets = batch.target_positions()
            states = model.backbone.states(items, batch)[positions]
        h, w = states.detach().requires_grad_(), items.detach().requires_grad_()
        with timed("softmax, both directions"):
            cross_entropy(h, w, targets).backward()
        with timed("encoder, backward"):
            adam.zero_grad()
            torch.autograd.backward([states, items], [h.grad, w.grad])
        with timed("Adam"):
            adam.step()
        rows = torch.randn(len(targets), 64)
        with timed("(the softmax's three products alone)"):
            for part in rows.split(CHUNK):
                logits = torch.mm(part, table.T, out=block[: len(part)])
                torch.mm(logits, table)
                gradient.addmm_(logits.T, part)
        with timed("(the softmax's exponentials alone)"):
            for part in rows.split(CHUNK):
                block[: len(part)].zero_().exp_()
        total += EVERY * len(targets)
        flops += EVERY * 6 * len(targets) * log.num_items * 64
    square = torch.randn(2048, 2048)
    rates = []
    for _ in range(5):
        start = time.process_time()
        square @ square
        rates.append(2 * 2048**3 / (time.process_time() - start))
    seconds = sum(cpu for name, cpu in spent.items() if not name.startswith("("))
    print(f"about {total:,} targets\n")
    print("| part | CPU s per epoch | fraction |\n|---|---|---|")
    for name, cpu in spent.items():
        print(f"| {name} | {cpu:.2f} | {cpu / seconds:.0%} |")
    print(f"| total | {seconds:.2f} | |")
    rate = flops / spent["(the softmax's three products alone)"]
    limit = max(rates) / 1e9
    print(f"\nproducts: {rate / 1e9:.0f} GFLOP/s; the machine: {limit:.0f}")


if __name__ == "__main__":
    main()
