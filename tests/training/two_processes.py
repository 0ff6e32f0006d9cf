"""Train in two processes on the CPU, as a user's script would.

Each process leaves its weights, and what it saw, in the folder. Lightning starts the
second process by running this script again.

Usage: python two_processes.py FOLDER
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from graphseq.data import leave_one_out, synthetic
from graphseq.graphs import build_graph
from graphseq.models import Backbone, SASRec
from graphseq.nn import Transformer
from graphseq.training import fit


def main(folder: Path) -> None:
    """Train, keep the run, then train again without a folder."""
    graph = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=0)))
    seen: list[list[int]] = []
    losses = SASRec.losses

    def watched(self: SASRec, batch: Any, *rest: Any) -> Any:
        seen.append(sorted(batch.user.tolist()))
        return losses(self, batch, *rest)

    SASRec.losses = watched  # type: ignore[method-assign]
    runs = []
    for place in (folder / "run", None):
        torch.manual_seed(7)
        encoder = Transformer(8, 8, layers=1, heads=1, dropout=0.0)
        model = SASRec(30, Backbone(12, dim=8, max_length=8, encoder=encoder))
        options: dict[str, Any] = {"max_epochs": 2, "batch_size": 30, "lr": 0.01}
        options |= {"devices": 2, "accelerator": "cpu", "progress": False}
        runs.append(fit(model, graph, folder=place, **options))
    rank = os.environ.get("LOCAL_RANK", "0")
    save_file(model.state_dict(), folder / f"rank{rank}.safetensors")
    histories = [run.history for run in runs]
    written = folder / f"rank{rank}.json.part"
    written.write_text(json.dumps([seen, histories]))
    written.rename(folder / f"rank{rank}.json")
    other = folder / "rank1.json"
    while rank == "0" and not other.is_file():  # the test reads when this one ends
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
