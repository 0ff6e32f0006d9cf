"""The files of an exported model: damaged ones are refused."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from graphseq.errors import DataError, RunError
from graphseq.exported import ExportedModel, checksum


def rewrite(folder: Path) -> None:
    """Give every file its checksum in the card."""
    card = json.loads((folder / "card.json").read_text())
    files = [path for path in folder.iterdir() if path.name != "card.json"]
    card["files"] = {path.name: checksum(path) for path in files}
    (folder / "card.json").write_text(json.dumps(card))


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
