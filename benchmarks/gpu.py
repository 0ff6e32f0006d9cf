"""Epochs and an evaluation on a GPU next to their matrix products alone.

For each model: seconds of the second epoch and of an evaluation, peak memory, how often
a step makes the process wait for the GPU, and a profile of some steps. The limit of an
epoch is the time of the softmax's three products, batch by batch; that of an evaluation
is one product of users and items. All are seconds of wall time.

    python -m benchmarks.gpu path/to/Beauty.txt --out results
    python -m benchmarks.gpu --device cpu --out results    # a small log: a dry run
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data import synthetic
from graphseq.graphs import CoOccurrence
from graphseq.models import Model, create
from graphseq.sequences import SequenceLoader
from graphseq.training.fit import BATCH_SIZE

MODELS = ("SASRec", "CL4SRec", "MCLSR")
PROFILED = 20  # steps
DIM = 64


def seconds(work: Callable[[], object], device: str) -> float:
    """Wall time of the second call, until the device is done."""
    for _ in range(2):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - start


def softmax_products(targets: int, items: int, batch: int, device: str) -> float:
    """The three products of every batch of an epoch."""
    table = torch.randn(items, DIM, device=device)
    rows = torch.randn(batch, DIM, device=device)
    logits = torch.empty(batch, items, device=device)

    def epoch() -> None:
        for _ in range(-(-targets // batch)):
            torch.mm(rows, table.T, out=logits)
            torch.mm(logits, table)
            torch.mm(logits.T, rows)

    return seconds(epoch, device)


def ranking_product(users: int, items: int, device: str) -> float:
    """The scores of all users, 1,024 at a time."""
    table = torch.randn(items, DIM, device=device)
    rows = torch.randn(min(users, 1024), DIM, device=device)
    return seconds(
        lambda: [rows @ table.T for _ in range(-(-users // len(rows)))], device
    )


def profile(model: Model, graph: HeteroData, device: str, file: Path) -> float:
    """Write a profile of some steps; return how often a step waits."""
    stage = model.stages()[-1]
    sampler = stage.sampler or model.sampler
    size = stage.batch_size or BATCH_SIZE[sampler]
    loader = SequenceLoader(
        graph, sampler, size, model.max_length, num_negatives=model.num_negatives
    )
    there = graph.clone().to(device)
    model = model.to(device)
    with torch.no_grad():
        model.eval().refresh(there, 0)
    model.train()
    adams = [torch.optim.Adam(step.trains(model), fused=True) for step in stage.steps]

    def step(index: int) -> None:
        batch = loader[index % len(loader)]
        batch = stage.prepare(batch) if stage.prepare and stage.on_host else batch
        batch = batch.pin_memory() if device == "cuda" else batch
        batch = batch.to(device, non_blocking=True)
        batch = stage.prepare(batch) if stage.prepare and not stage.on_host else batch
        for part, adam in zip(stage.steps, adams, strict=True):
            adam.zero_grad()
            torch.stack([*part.losses(batch, there).values()]).sum().backward()
            adam.step()

    step(0)
    with torch.profiler.profile() as recorded:
        for index in range(PROFILED):
            step(index)
    key = "cuda_time_total" if device == "cuda" else "cpu_time_total"
    file.write_text(recorded.key_averages().table(sort_by=key, row_limit=40))
    if device != "cuda":
        return 0.0
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        for index in range(PROFILED):
            step(index)
        torch.cuda.set_sync_debug_mode("default")
    waits = [w for w in found if "synchronizing" in str(w.message)]
    return len(waits) / PROFILED


def measure(name: str, graph: HeteroData, device: str, out: Path) -> dict[str, Any]:
    """One model's row."""
    users, items = graph["user"].num_nodes, graph["item"].num_nodes
    torch.manual_seed(0)
    model = create({name: {}}, users, items)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    accelerator = "gpu" if device == "cuda" else "cpu"
    options = {"max_epochs": 2, "monitor": None, "progress": False}
    run = gs.fit(model, graph, accelerator=accelerator, **options)
    there = graph.clone().to(device)
    model.to(device)
    row = {
        "model": name,
        "epoch": run.times[-1]["seconds"],
        "evaluation": seconds(lambda: gs.evaluate(model, there), device),
    }
    if device == "cuda":
        row["peak GB"] = torch.cuda.max_memory_allocated() / 1e9
    row["waits a step"] = profile(model, graph, device, out / f"profile-{name}.txt")
    return row


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", help="Beauty.txt; left out: a small log")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    log = synthetic.cycle(60, 20, length=9)
    if given.path:
        log = gs.read_log(given.path, format="sequences")
    relations = [CoOccurrence(kind, top_k=50) for kind in ("user", "item")]
    graph = gs.build_graph(gs.leave_one_out(log), relations)
    targets = len(log) - 3 * log.num_users
    sizes = (log.num_items, BATCH_SIZE["targets"], given.device)
    limits = {
        "epoch, products alone": softmax_products(targets, *sizes),
        "evaluation, product alone": ranking_product(
            log.num_users, log.num_items, given.device
        ),
    }
    name = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    found: dict[str, Any] = {"device": name, "limits": limits, "models": []}
    for model in MODELS:
        found["models"].append(measure(model, graph, given.device, given.out))
        print(json.dumps(found["models"][-1]), flush=True)
        (given.out / "gpu.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
