"""Recommendations from an exported folder, without torch."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from graphseq.errors import ConfigError, DataError, RunError
from graphseq.exported import ExportedModel, best_items, checksum

VECTORS = np.array([[1, 0], [0, 1], [1, 1], [-1, 0], [0.5, 0.5]], dtype=np.float32)
USERS = np.array([[1, 0], [0, 1]], dtype=np.float32)


class LastItem:
    """In place of an ONNX session: the vector of a history is that of its last item."""

    def run(self, outputs: None, inputs: dict[str, Any]) -> list[np.ndarray]:
        rows = inputs["items"]
        lengths = (rows < len(VECTORS)).sum(axis=1)
        last = rows[np.arange(len(rows)), np.maximum(lengths - 1, 0)]
        padded = np.vstack([VECTORS, np.zeros((1, 2), dtype=np.float32)])
        return [padded[last]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five items, two users with a vector and a history each."""
    items = {"vectors": VECTORS}
    items |= {"neighbours": np.array([[2, 1], [0, 2], [0, 4], [5, 5], [3, 5]], "int32")}
    items |= {"weights": np.array([[3, 1], [2, 2], [5, 1], [0, 0], [1, 0]], "float32")}
    save_file(items, tmp_path / "items.safetensors")
    save_file({"vectors": USERS}, tmp_path / "users.safetensors")
    events = {"item": ["a", "b", "c", "d", "e"], "events": [1, 5, 2, 9, 0]}
    pl.DataFrame(events).write_parquet(tmp_path / "items.parquet")
    known = pl.Series("history", [[0], [1, 2]], dtype=pl.List(pl.Int32))
    users = pl.DataFrame([pl.Series("user", [7, 8]), known])
    users.write_parquet(tmp_path / "users.parquet")
    files = {path.name: checksum(path) for path in tmp_path.iterdir()}
    card = {"format": 1, "model_name": "M", "window": 3, "files": files}
    (tmp_path / "card.json").write_text(json.dumps(card))
    return tmp_path


@pytest.fixture
def of_histories(folder: Path) -> ExportedModel:
    model = ExportedModel(folder)
    model._of_users, model._session = None, LastItem()
    return model


def test_the_best_items_are_those_of_a_sort_by_score_and_id() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(-3, 3, (50, 40)).astype(np.float32)
    scores[scores == 2] = -0.0
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[0, 5:] = -np.inf
    for k in (1, 7, 40, 45):
        found = best_items(scores, k)
        for row, items, values in zip(scores, *found, strict=True):
            wanted = sorted((-s, i) for i, s in enumerate(row) if s > -np.inf)[:k]
            lacking = k - len(wanted)
            assert items.tolist() == [i for _, i in wanted] + [-1] * lacking
            assert values[: len(wanted)].tolist() == [-s for s, _ in wanted]
            assert np.isneginf(values[len(wanted) :]).all()


def test_users_are_found_by_number_and_by_text(folder: Path) -> None:
    model = ExportedModel(folder)
    found = model.recommend([8, "7"], k=3)
    assert found.items.tolist() == [[4, 0, 3], [2, 4, 1]]
    assert found.scores.tolist() == [[0.5, 0, 0], [1, 0.5, 0]]
    kept = model.recommend([7], k=9, history_items="keep")
    assert kept.items.tolist() == [[0, 2, 4, 1, 3, -1, -1, -1, -1]]


def test_allowed_and_denied_items_are_respected(folder: Path) -> None:
    model = ExportedModel(folder)
    only, exclude = model.find_items(["b", "c", "d"]), model.find_items(["c"])
    assert model.recommend([7], k=3, only=only).items.tolist() == [[2, 1, 3]]
    found = model.recommend([7], k=3, only=only, exclude=exclude)
    assert found.items.tolist() == [[1, 3, -1]]
    assert model.recommend([7], k=2, exclude=exclude).items.tolist() == [[4, 1]]


def test_histories_are_cut_to_the_window_but_excluded_whole(
    of_histories: ExportedModel,
) -> None:
    read: list[np.ndarray] = []
    of_histories._session.run = lambda _, rows: (  # type: ignore[union-attr]
        read.append(rows["items"]) or LastItem().run(None, rows)
    )
    long, short = np.array([3, 4, 2, 1, 0]), np.array([1])
    found = of_histories.recommend(histories=[long, short], k=2)
    assert [rows.tolist() for rows in read] == [[[1, 5, 5], [2, 1, 0]]]
    assert found.items.tolist() == [[-1, -1], [2, 4]]


def test_users_of_a_model_of_histories_are_read_by_their_history(
    of_histories: ExportedModel,
) -> None:
    found = of_histories.recommend([8], k=2)
    wanted = of_histories.recommend(histories=[np.array([1, 2])], k=2)
    assert found.items.tolist() == wanted.items.tolist() == [[0, 4]]


def test_empty_histories_get_popular_items_on_request(
    of_histories: ExportedModel,
) -> None:
    nothing, one = np.array([], dtype=np.int64), np.array([0])
    with pytest.raises(DataError, match="row 1 has no known item"):
        of_histories.recommend(histories=[one, nothing])
    found = of_histories.recommend(
        histories=[one, nothing],
        k=2,
        exclude=np.array([3]),
        empty_history="popularity",
    )
    assert found.items.tolist() == [[2, 4], [1, 2]]
    assert found.scores[1].tolist() == [5, 2]


def test_the_largest_score_of_several_interests_counts(
    of_histories: ExportedModel,
) -> None:
    of_histories.encode = lambda histories: USERS[None]  # type: ignore[method-assign]
    found = of_histories.recommend(histories=[np.array([3])], k=4)
    assert found.items.tolist() == [[0, 1, 2, 4]]


def test_blocks_do_not_change_lists(
    of_histories: ExportedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 5, size=rng.integers(1, 9)) for _ in range(20)]
    wanted = of_histories.recommend(histories=rows, k=3)
    monkeypatch.setattr("graphseq.exported.SCORES", 15)
    found = of_histories.recommend(histories=rows, k=3)
    assert found.items.tolist() == wanted.items.tolist()


def test_neighbours_in_the_history_speak_for_an_item(folder: Path) -> None:
    model = ExportedModel(folder)
    assert model.neighbours(2, np.array([4, 0, 3])) == [0, 4]
    assert model.neighbours(2, np.array([4, 0, 3]), count=1) == [0]
    assert model.neighbours(3, np.array([0, 1])) == []


def test_unknown_ids_are_named(folder: Path) -> None:
    model = ExportedModel(folder)
    with pytest.raises(DataError, match="2 unknown items: 'x', 9"):
        model.find_items(["a", "x", 9])
    assert model.find_items(["a", "x", "e"], unknown="skip").tolist() == [0, 4]
    with pytest.raises(DataError, match="1 unknown user: 9"):
        model.recommend([7, 9])


def test_wrong_requests_are_refused(folder: Path) -> None:
    model = ExportedModel(folder)
    with pytest.raises(ConfigError, match="found neither"):
        model.recommend()
    with pytest.raises(ConfigError, match="1 or more; found 0"):
        model.recommend([7], k=0)
    with pytest.raises(ConfigError, match="a vector for each user"):
        model.recommend(histories=[np.array([0])])


def test_an_unknown_rule_for_the_history_is_refused(
    folder: Path, unchecked_shapes: None
) -> None:
    with pytest.raises(ConfigError, match="found 'drop'"):
        ExportedModel(folder).recommend([7], history_items="drop")  # type: ignore[arg-type]


def test_a_damaged_folder_is_refused(folder: Path) -> None:
    with pytest.raises(RunError, match="no exported model"):
        ExportedModel(folder / "nowhere")
    card = (folder / "card.json").read_text()
    (folder / "items.parquet").write_bytes(b"damage")
    with pytest.raises(RunError, match=r"items.parquet .* differs from the checksum"):
        ExportedModel(folder)
    (folder / "card.json").write_text(card.replace('"format": 1', '"format": 9'))
    with pytest.raises(RunError, match="format 9"):
        ExportedModel(folder)
    (folder / "card.json").write_text("[" * 9)
    with pytest.raises(RunError, match="is damaged"):
        ExportedModel(folder)


def rewrite(folder: Path) -> None:
    """Give every file its checksum in the card."""
    card = json.loads((folder / "card.json").read_text())
    files = [path for path in folder.iterdir() if path.name != "card.json"]
    card["files"] = {path.name: checksum(path) for path in files}
    (folder / "card.json").write_text(json.dumps(card))


def test_no_name_in_the_card_becomes_a_path(folder: Path) -> None:
    for name in ("../thesis.txt", "/dev/zero", "card.json", ""):
        card = {"format": 1, "window": 3, "files": {name: "0" * 64}}
        (folder / "card.json").write_text(json.dumps(card))
        with pytest.raises(RunError, match="files that no export has"):
            ExportedModel(folder)


def test_tables_that_do_not_fit_each_other_are_refused(folder: Path) -> None:
    known = pl.Series("history", [[0], [1, 9]], dtype=pl.List(pl.Int32))
    users = pl.DataFrame([pl.Series("user", [7, 8]), known])
    users.write_parquet(folder / "users.parquet")
    rewrite(folder)
    with pytest.raises(RunError, match="5 items, and histories of rows 0 to 9"):
        ExportedModel(folder)
    users[:1].write_parquet(folder / "users.parquet")
    rewrite(folder)
    with pytest.raises(RunError, match="1 users, and 2 vectors"):
        ExportedModel(folder)
    events = {"item": ["a", "b", "c", "d"], "events": [1, 5, 2, 9]}
    pl.DataFrame(events).write_parquet(folder / "items.parquet")
    rewrite(folder)
    with pytest.raises(RunError, match="4 items, and tables of the sizes"):
        ExportedModel(folder)


def test_an_encoder_that_is_no_onnx_file_is_refused(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    (folder / "encoder.onnx").write_bytes(b"not a model")
    rewrite(folder)
    with pytest.raises(RunError, match="is damaged"):
        ExportedModel(folder)


def test_without_users_histories_are_needed(folder: Path) -> None:
    (folder / "users.parquet").unlink()
    (folder / "users.safetensors").unlink()
    rewrite(folder)
    model = ExportedModel(folder)
    assert model.users is None
    with pytest.raises(DataError, match="exported without the users' histories"):
        model.recommend([7])


def test_torch_is_not_imported(folder: Path) -> None:
    program = (
        "import sys; from graphseq.exported import ExportedModel; "
        f"ExportedModel({str(folder)!r}).recommend([7]); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
