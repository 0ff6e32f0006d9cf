"""The folder of an exported model: encoder, vectors, ids, index and card."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

import graphseq
from graphseq.atomic import atomic_folder, write_safetensors, write_text
from graphseq.constants import INTERACTS, ITEM, USER
from graphseq.errors import ConfigError, GraphError, RunError
from graphseq.export.encoder import HistoryEncoder, to_onnx
from graphseq.export.neighbours import item_neighbours
from graphseq.exported.folder import (
    CARD,
    ENCODER,
    FORMAT,
    INDEX,
    ITEM_TABLE,
    ITEMS,
    USER_TABLE,
    USERS,
    checksum,
)
from graphseq.folders import other_files
from graphseq.models import DirectModel, Model, SequenceModel
from graphseq.recommend.histories import have_events, known_sequences
from graphseq.schema import Count, checked, describe
from graphseq.sequences.batch import Batch
from graphseq.training import Run
from graphseq.training.provenance import identity

LINKS = 32  # of a node in the HNSW graph


@checked
def export_model(
    model: Model,
    graph: HeteroData,
    folder: str | Path,
    *,
    run: Run | None = None,
    titles: Mapping[str | int, str] | None = None,
    histories: bool = True,
    neighbours: Count = 20,
    index: Literal["flat", "hnsw"] = "flat",
    license: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Export a model with what is needed to recommend: a folder without torch or graph.

    Item features are computed once, propagation over graphs included, and frozen.

    * ``encoder.onnx``: histories to vectors (see :func:`to_onnx`); for models that read
      users instead, ``users.safetensors`` has their vectors.
    * ``items.safetensors``: the item ``vectors``, and the nearest ``neighbours`` with
      their ``weights`` if the graph relates items.
    * ``items.parquet``, ``users.parquet``: raw ids, in the order of the rows; titles
      and training events of items; rows of each user's known items, oldest first,
      held-out targets included.
    * ``index.faiss``: an index of inner products.
    * ``card.json``: the model's options, window, protocol and metrics, the hashes of
      the graph, the licence, and a checksum of each file.

    Args:
        model: The model.
        graph: The graph that it was trained on.
        folder: The folder to write, under a temporary name until it is complete.
        run: The run of the model; its test metrics go into the card.
        titles: Title of each item by raw id.
        histories: Write the users and their histories; without them, or if the graph
            is of a run that left its users out, the folder only answers for histories
            in the request.
        neighbours: Neighbours written for each item.
        index: ``flat`` is exact; ``hnsw`` is approximate, for millions of items.
        license: The licence of the folder, such as an SPDX identifier.
        overwrite: Replace an earlier export in this folder.

    Returns:
        The folder.

    Raises:
        ConfigError: The model cannot be exported; or packages are not installed.
        GraphError: The graph does not fit the model, its vectors are not finite, or the
            folder cannot be written.
        RunError: The folder contains an export, and ``overwrite`` is not set.
    """
    folder = Path(folder)
    _check_model(model)
    if model.has_user_embeddings and not histories:
        raise ConfigError(
            f"{type(model).__name__} has a vector of each user, so that its export "
            "answers users by their ids only, and without histories it could exclude "
            "nothing that they know. Export it with histories, or export a model that "
            "reads histories, such as SASRec"
        )
    _check_graph(model, graph)
    if _is_export(folder) and not overwrite:
        raise RunError(
            f"{folder} contains an exported model already. Choose another folder, or "
            "replace it: overwrite=True (--overwrite)"
        )
    _refuse_other_files(folder)
    with atomic_folder(folder, _is_export, "an exported model") as draft:
        with torch.no_grad():
            vectors = model.catalogue(graph).detach().float().cpu()
            _check_finite(model, vectors)
            if model.has_user_embeddings:
                users = _users(model, graph)
                _check_finite(model, users)
                write_safetensors(draft / USERS, {"vectors": users})
            else:
                to_onnx(HistoryEncoder(model, graph), draft / ENCODER)
        tensors = {"vectors": vectors}
        if neighbours and (near := item_neighbours(graph, neighbours)) is not None:
            tensors |= {"neighbours": near.items.int(), "weights": near.weights}
        write_safetensors(draft / ITEMS, tensors)
        _write_index(draft / INDEX, vectors, index)
        _item_table(graph, titles).write_parquet(draft / ITEM_TABLE)
        if INTERACTS in graph.edge_types and histories:
            _user_table(graph).write_parquet(draft / USER_TABLE)
        card = {
            "format": FORMAT,
            "graphseq": graphseq.__version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "model_name": type(model).__name__,
            "model": describe(model),
            "reads": "users" if model.has_user_embeddings else "histories",
            "window": model.max_length,
            "dim": vectors.shape[1],
            "graph": identity(graph),
            "metrics": _metrics(run),
            "license": license,
            "files": {path.name: checksum(path) for path in sorted(draft.iterdir())},
        }
        write_text(draft / CARD, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    return folder


def _check_model(model: Model) -> None:
    name = type(model).__name__
    if isinstance(model, DirectModel):
        raise ConfigError(
            f"{name} cannot be exported: it scores items directly, without vectors of "
            "histories and items. Serve it with Recommender, or export a model with "
            "vectors, such as SASRec"
        )
    if isinstance(model, SequenceModel) and _reads_users(model):
        raise ConfigError(
            f"this {name} cannot be exported: it reads both a history and a vector of "
            "its user, and the exported encoder reads histories only. Train it "
            "without vectors of users"
        )


def _reads_users(model: SequenceModel) -> bool:
    users = model.backbone.users
    return model.has_user_embeddings or (users is not None and users.table is not None)


def _check_graph(model: Model, graph: HeteroData) -> None:
    model.check(graph, model.ranks_with)
    kinds = (USER, ITEM) if INTERACTS in graph.edge_types else (ITEM,)
    lacking = [f"{kind}s" for kind in kinds if "vocabulary" not in graph[kind]]
    if lacking:
        raise GraphError(
            f"the graph has no raw ids of {' and '.join(lacking)}, which the export "
            "writes. Build it with build_graph, or load it with load_graph"
        )


def _is_export(folder: Path) -> bool:
    """Whether a folder has the card of an exported model."""
    return _card(folder) is not None


def _card(folder: Path) -> dict[str, Any] | None:
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(card, dict) or not {"graphseq", "model_name"} <= {*card}:
        return None
    return card if isinstance(card.get("files"), dict) else None


def _refuse_other_files(folder: Path) -> None:
    """Refuse to replace an export whose folder also holds files of someone else.

    Raises:
        RunError: With their names.
    """
    card = _card(folder)
    if card is not None and (others := other_files(folder, {CARD, *card["files"]})):
        raise RunError(
            f"{folder} contains an exported model, and also {others}, which would be "
            "lost with it. Move that elsewhere first"
        )


def _check_finite(model: Model, vectors: Float[Tensor, "n D"]) -> None:
    if not vectors.isfinite().all():
        raise GraphError(
            f"{type(model).__name__} has vectors with NaN or infinite numbers. Its "
            "training diverged: return to an earlier checkpoint"
        )


def _users(model: Model, graph: HeteroData) -> Float[Tensor, "U D"]:
    """The vectors of all users, (U, D)."""
    users = torch.arange(model.num_users, device=graph[INTERACTS].edge_index.device)
    nothing = torch.full((len(users), 1), model.num_items, device=users.device)
    batch = Batch(users, nothing, torch.zeros_like(users), model.num_items)
    return model.represent(batch, graph).float()


def _write_index(
    path: Path, vectors: Float[Tensor, "V D"], kind: Literal["flat", "hnsw"]
) -> None:
    import faiss

    dim = vectors.shape[1]
    found: Any = faiss.IndexFlatIP(dim)
    if kind == "hnsw":
        found = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
    found.add(vectors.contiguous().numpy())
    faiss.write_index(found, str(path))


def _item_table(
    graph: HeteroData, titles: Mapping[str | int, str] | None
) -> pl.DataFrame:
    """Raw id, title and number of training events of each item."""
    items = graph[ITEM].vocabulary
    table = pl.DataFrame({"item": items.ids})
    if INTERACTS in graph.edge_types:
        events = graph[INTERACTS].edge_index[1].bincount(minlength=len(items)).cpu()
        table = table.with_columns(pl.Series("events", events.numpy()))
    if titles is None:
        return table
    known = {str(raw): title for raw, title in titles.items()}
    column = [known.get(str(raw)) for raw in items.ids.to_list()]
    return table.with_columns(pl.Series("title", column, dtype=pl.String))


def _user_table(graph: HeteroData) -> pl.DataFrame:
    """Raw id and known items of each user, and whether it has a training event."""
    users = graph[USER].vocabulary
    known = known_sequences(graph)
    flat = pl.Series(known.items.int().numpy())
    rows = pl.Series("user", known.rows.numpy(), dtype=pl.UInt32)
    grouped = pl.DataFrame({"row": rows, "history": flat}).group_by(
        "row", maintain_order=True
    )
    numbers = pl.DataFrame({"user": users.ids}).with_row_index("row")
    table = numbers.join(grouped.all(), on="row", how="left", maintain_order="left")
    empty = pl.lit([], dtype=pl.List(pl.Int32))
    trained = pl.Series("trained", have_events(graph).numpy())
    return table.select("user", pl.col("history").fill_null(empty), trained)


def _metrics(run: Run | None) -> dict[str, Any] | None:
    """The test metrics of a run, with their protocol; ``None`` if there are none."""
    if run is None:
        return None
    try:
        report = run.report
    except RunError:
        return None
    return {"means": report.means, "protocol": report.protocol_text()}
