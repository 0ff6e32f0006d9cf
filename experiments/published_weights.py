"""Rank with the weights that the authors of ICLRec published, and compare the ranks.

The claim of the experiment gives the expected results.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from graphseq.config import load
from graphseq.config.fingerprint import fingerprint
from graphseq.evaluation import Report
from graphseq.report import append, row

EXPERIMENT = "beauty/sasrec.yaml:published-weights"
NAMES = {
    "attention.dense": "out",
    "attention.LayerNorm": "norm1",
    "intermediate.dense_1": "up",
    "intermediate.dense_2": "down",
    "intermediate.LayerNorm": "norm2",
}


def converted(weights: dict[str, Tensor], num_items: int) -> dict[str, Tensor]:
    """The published tensors under the names of our SASRec.

    Row 0 of the published item table is padding and the last one a mask token; ours has
    neither. Query, key and value are one map in ours.
    """
    ours = {
        "backbone.features.weight": weights["item_embeddings.weight"][
            1 : num_items + 1
        ],
        "backbone.encoder.position": weights["position_embeddings.weight"],
    }
    for kind in ("weight", "bias"):
        ours[f"backbone.encoder.norm.{kind}"] = weights[f"LayerNorm.{kind}"]
        layers = {name.split(".")[2] for name in weights if ".layer." in name}
        for layer in layers:
            theirs, block = (
                f"item_encoder.layer.{layer}",
                f"backbone.encoder.blocks.{layer}",
            )
            ours[f"{block}.qkv.{kind}"] = torch.cat(
                [
                    weights[f"{theirs}.attention.{part}.{kind}"]
                    for part in ("query", "key", "value")
                ]
            )
            for old, new in NAMES.items():
                ours[f"{block}.{new}.{kind}"] = weights[f"{theirs}.{old}.{kind}"]
    return ours


def differences(report: Report, reference: Path) -> dict[str, np.ndarray]:
    """The absolute differences between our ranks and the stored ones, by protocol."""
    found = {}
    for protocol in ("kept", "excluded"):
        rows = report.per_user.filter(protocol=protocol).sort("user_index")
        stored = np.load(reference / f"ranks_{protocol}.npy", allow_pickle=False)
        found[protocol] = np.abs(rows["best_rank"].to_numpy() - stored)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=Path, help="folder with weights and ranks")
    parser.add_argument("--data", help="folder in which the data sets lie")
    parser.add_argument("--folder", help="run folder")
    parser.add_argument("--record", help="CSV file to append a row to")
    given = parser.parse_args()
    experiment = load(Path(__file__).parent / EXPERIMENT)
    graph = experiment.graph(given.data)
    model = experiment.model(graph)
    weights = load_file(given.reference / "weights.safetensors")
    model.load_state_dict(converted(weights, model.num_items))
    run = experiment.fit(model, graph, folder=given.folder)
    report = experiment.evaluate(model, graph, part="test", folder=given.folder)
    for protocol, means in report.means.items():
        print(protocol, {name: round(value, 4) for name, value in means.items()})
    for protocol, distances in differences(report, given.reference).items():
        differing = np.count_nonzero(distances)
        print(f"{protocol}: {differing} of {len(distances):,} ranks differ,")
        print(f"  by at most {distances.max():.0f}")
    if given.record:
        about = {
            "data": experiment.data_name,
            "experiment": f"experiments/{EXPERIMENT}",
        }
        about |= {"fingerprint": fingerprint(experiment.options)}
        append(given.record, row(run, report, **about))


if __name__ == "__main__":
    main()
