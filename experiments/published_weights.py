"""Rank with weights that the authors of papers published, and compare the ranks.

The claim of each experiment gives the expected results.
"""

import argparse
from pathlib import Path

import numpy as np

import graphseq as gs
from graphseq.config import load
from graphseq.config.fingerprint import fingerprint
from graphseq.evaluation import Report
from graphseq.report import append, row

EXPERIMENTS = {
    "ICLRec": "beauty/sasrec.yaml:published-weights",
    "TVRec": "beauty/filters.yaml:tvrec-published",
}
ENCODER = "backbone.encoder"
BLOCK = f"{ENCODER}.blocks.{{i}}"
ITEMS = {
    "item_embeddings.weight[1:V+1]": "backbone.features.weight",
    "LayerNorm.{k}": f"{ENCODER}.norm.{{k}}",
}
POSITIONS = {"position_embeddings.weight": f"{ENCODER}.position"}
PADDING = {"item_embeddings.weight[0]": f"{ENCODER}.pad"}
FEED_FORWARD = {
    "item_encoder.blocks.{i}.feed_forward.dense_1.{k}": f"{BLOCK}.up.{{k}}",
    "item_encoder.blocks.{i}.feed_forward.dense_2.{k}": f"{BLOCK}.down.{{k}}",
    "item_encoder.blocks.{i}.feed_forward.LayerNorm.{k}": f"{BLOCK}.norm.{{k}}",
}
WINDOW = ITEMS | POSITIONS | PADDING | FEED_FORWARD


def attention(theirs: str, ours: str) -> dict[str, str]:
    """Query, key and value, which are one map in ours."""
    return {
        f"{theirs}.query.{{k}}": f"{ours}.qkv.{{k}}[:D]",
        f"{theirs}.key.{{k}}": f"{ours}.qkv.{{k}}[D:2*D]",
        f"{theirs}.value.{{k}}": f"{ours}.qkv.{{k}}[2*D:]",
        f"{theirs}.dense.{{k}}": f"{ours}.out.{{k}}",
    }


def layer(names: dict[str, str]) -> dict[str, str]:
    """The names of a filter, within the layer of theirs and the mixer of ours."""
    return {
        f"item_encoder.blocks.{{i}}.layer.{theirs}": f"{BLOCK}.mixer.{ours}"
        for theirs, ours in names.items()
    }


NORM = {"LayerNorm.{k}": "norm.{k}"}
NAMES: dict[str, dict[str, str]] = {
    "ICLRec": ITEMS
    | POSITIONS
    | attention("item_encoder.layer.{i}.attention", BLOCK)
    | {
        "item_encoder.layer.{i}.attention.LayerNorm.{k}": f"{BLOCK}.norm1.{{k}}",
        "item_encoder.layer.{i}.intermediate.dense_1.{k}": f"{BLOCK}.up.{{k}}",
        "item_encoder.layer.{i}.intermediate.dense_2.{k}": f"{BLOCK}.down.{{k}}",
        "item_encoder.layer.{i}.intermediate.LayerNorm.{k}": f"{BLOCK}.norm2.{{k}}",
    },
    "FMLPRec": WINDOW | layer({"complex_weight": "weight", **NORM}),
    "BSARec": WINDOW
    | layer(
        {
            "filter_layer.sqrt_beta": "scale",
            "filter_layer.LayerNorm.{k}": "filter_norm.{k}",
            "attention_layer.LayerNorm.{k}": "attention_norm.{k}",
            **attention("attention_layer", "attention"),
        }
    ),
    "WEARec": WINDOW
    | layer(
        {
            "base_filter": "scale",
            "base_bias": "shift",
            "complex_weight": "detail",
            "adaptive_mlp.0.{k}": "inner.{k}",
            "adaptive_mlp.2.{k}": "outer.{k}",
            **NORM,
        }
    ),
    "TVRec": ITEMS
    | FEED_FORWARD
    | layer({"basis": "basis", "c_t[:W]": "weight", **NORM}),
}
"""Names of the authors' tensors, and ours.

Their item table begins with the padding, and may end with a mask token.
"""


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
    parser.add_argument("model", choices=EXPERIMENTS, help="whose weights these are")
    parser.add_argument("reference", type=Path, help="folder with weights and ranks")
    parser.add_argument("--data", help="folder in which the data sets lie")
    parser.add_argument("--folder", help="run folder")
    parser.add_argument("--record", help="CSV file to append a row to")
    given = parser.parse_args()
    name = EXPERIMENTS[given.model]
    experiment = load(Path(__file__).parent / name)
    graph = experiment.graph(given.data)
    model = experiment.model(graph)
    gs.load_weights(model, given.reference / "weights.safetensors", NAMES[given.model])
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
            "experiment": f"experiments/{name}",
        }
        about |= {"fingerprint": fingerprint(experiment.options)}
        append(given.record, row(run, report, **about))


if __name__ == "__main__":
    main()
