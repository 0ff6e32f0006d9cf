"""Training steps of the filter encoders, as multiples of the Transformer's.

    OMP_NUM_THREADS=1 python -m benchmarks.filters path/to/Beauty.txt

All arms take the same batches in turns: rows of the sampler ``prefix``, 256 a batch,
one thread, full softmax. A second table compares a filter as a product of real matrices
with the same filter by the fast Fourier transform.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.nn.fourier_filter import FourierMixer
from graphseq.nn.frequencies import low_pass
from graphseq.sequences import SequenceLoader

STEPS, WARM = 40, 5
ROWS, WINDOW, DIM = 256, 50, 64


def arms(num_items: int) -> dict[str, gs.Backbone]:
    """One backbone for each encoder and treatment of padding."""
    n = gs.nn

    def read(encoder: n.Encoder, features: n.Features | None = None) -> gs.Backbone:
        return gs.Backbone(
            num_items, encoder=encoder, features=features, sampler="prefix"
        )

    return {
        "Transformer": read(n.Transformer()),
        "Transformer, item graph": read(n.Transformer(), n.Propagated(num_items)),
        "FrequencyAttention, token": read(n.FrequencyAttention()),
        "FrequencyAttention, zero": read(n.FrequencyAttention(padding="zero")),
        "FrequencyAttention, zero, item graph": read(
            n.FrequencyAttention(padding="zero"), n.Propagated(num_items)
        ),
        "FourierFilter, token": read(n.FourierFilter()),
        "FourierFilter, zero": read(n.FourierFilter(padding="zero")),
        "WaveletFilter, token": read(n.WaveletFilter()),
        "WaveletFilter, zero": read(n.WaveletFilter(padding="zero")),
        "TimeVariantFilter": read(n.TimeVariantFilter()),
    }


def measure(
    models: dict[str, gs.models.Model], graph: HeteroData
) -> tuple[dict[str, float], int]:
    """The median CPU seconds of a training step of each model, and steps an epoch."""
    loader = SequenceLoader(graph, "prefix", ROWS, WINDOW, seed=0)
    for model in models.values():
        model.refresh(graph, epoch=1)
        model.train()
    optimisers = {name: torch.optim.Adam(m.parameters()) for name, m in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(STEPS):
        batch = loader[number]
        for name, model in models.items():
            start = time.process_time()
            optimisers[name].zero_grad()
            torch.stack([*model.losses(batch, graph).values()]).sum().backward()
            optimisers[name].step()
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(seconds[name][WARM:]) for name in models}
    return medians, len(loader)


def steps(path: str) -> None:
    """Time a training step of every arm."""
    split = gs.leave_one_out(gs.read_log(path))
    graph = gs.build_graph(split, [gs.CoOccurrence("item")])
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    models = {
        name: gs.models.SequenceModel(sizes[0], backbone)
        for name, backbone in arms(sizes[1]).items()
    }
    medians, number = measure(models, graph)
    print_steps("encoder", medians, number)


def print_steps(of: str, medians: dict[str, float], number: int) -> None:
    """Print a table of steps; the first one is SASRec's."""
    print(f"| {of} | step, median | an epoch of {number} steps | times SASRec |")
    print("|---|---|---|---|")
    ours = next(iter(medians.values()))
    for name, step in medians.items():
        row = f"{1e3 * step:.1f} ms | {step * number:.1f} CPU s | {step / ours:.2f}"
        print(f"| {name} | {row} |")


def transforms() -> None:
    """Compare matrices with the fast Fourier transform, forward."""
    x = torch.randn(ROWS, WINDOW, DIM)
    mixer = FourierMixer(DIM, WINDOW, 0.0)
    low = low_pass(WINDOW, 5).float()
    weight = torch.view_as_complex(nn.Parameter(mixer.weight.detach().clone()))

    def by_transform(change: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.fft.irfft(change(torch.fft.rfft(x, dim=1)), n=WINDOW, dim=1)

    kept = (torch.arange(WINDOW // 2 + 1) <= 2)[:, None]
    ways = {
        "learned filter, matrices": lambda: mixer.filter(x),
        "learned filter, transform": lambda: by_transform(lambda s: s * weight),
        "low-pass, matrix": lambda: low @ x,
        "low-pass, transform": lambda: by_transform(lambda s: s * kept),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with torch.no_grad():
        for _ in range(STEPS):
            for name, way in ways.items():
                start = time.process_time()
                way()
                seconds[name].append(time.process_time() - start)
    print("\n| filter of 256 windows of 50 columns, 64 dimensions | median |")
    print("|---|---|")
    for name, found in seconds.items():
        print(f"| {name} | {1e3 * statistics.median(found[WARM:]):.2f} ms |")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    steps(sys.argv[1])
    transforms()
