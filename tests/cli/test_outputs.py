"""Files and folders of options: what cannot be written is told at once."""

from pathlib import Path

import pytest

from graphseq.cli.outputs import check_file, check_folder, check_picture
from graphseq.errors import ConfigError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("log.csv").touch()
    Path("folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("path", ["folder", "new", "new/deep", "."])
def test_a_folder_is_there_or_can_be_made(place: Path, path: str) -> None:
    check_folder("--folder", path)
    check_file("--record", Path(path) / "results.csv")
    assert sorted(p.name for p in place.iterdir()) == ["folder", "log.csv"]


def test_a_file_is_no_folder(place: Path) -> None:
    with pytest.raises(ConfigError) as error:
        check_folder("--folder", "log.csv")
    assert str(error.value) == "log.csv is a file; --folder names a folder"
    with pytest.raises(ConfigError, match=r"log\.csv is a file; --folder lies in a"):
        check_folder("--folder", "log.csv/run")
    with pytest.raises(ConfigError, match=r"log\.csv is a file; --record lies in a"):
        check_file("--record", "log.csv/results.csv")


def test_a_folder_is_no_file(place: Path) -> None:
    with pytest.raises(ConfigError) as error:
        check_file("--record", "folder")
    assert str(error.value) == "folder is a folder; --record names a file"
    check_file("--record", "log.csv")


def test_a_locked_folder_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ConfigError, match="nothing may be written in folder"):
        check_folder("--folder", "folder")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("x.docx", "--plot ends in .png, .svg or .pdf; got '.docx'"),
        ("picture", "--plot ends in .png, .svg or .pdf; got 'picture'"),
        ("nofolder/x.png", "there is no folder nofolder for --plot"),
        ("log.csv/x.png", "there is no folder log.csv for --plot"),
    ],
)
def test_a_picture_has_a_kind_and_a_folder(place: Path, path: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_picture("--plot", path)
    assert str(error.value) == words
    check_picture("--plot", "folder/x.SVG")
