"""Archives as publishers pack them, and as nobody should."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from graphseq.data.unpack import unpack
from graphseq.errors import DataError

LOG = b"1::1193::5::978300760\n" * 1000


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, mode: str, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, mode) as archive:
        for entry, data in entries:
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_one_file_comes_out_of_a_zip_and_no_other(tmp_path: Path) -> None:
    files = {"ml-1m/": b"", "ml-1m/ratings.dat": LOG, "ml-1m/users.dat": b"x"}
    archive = zipped(tmp_path / "ml-1m.zip", **files)
    unpack(archive, "ml-1m/ratings.dat", tmp_path / "ratings.dat")
    assert (tmp_path / "ratings.dat").read_bytes() == LOG
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ml-1m.zip", "ratings.dat"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_a_tar_is_read_packed_or_not_whatever_its_name(
    mode: str, tmp_path: Path
) -> None:
    """Yelp's ``yelp_dataset.tar`` has been a packed tar for years."""
    entry = tarfile.TarInfo("yelp/review.json")
    archive = tarred(tmp_path / "yelp_dataset.tar", mode, (entry, LOG))
    unpack(archive, "review.json", tmp_path / "review.json")
    assert (tmp_path / "review.json").read_bytes() == LOG


@pytest.mark.parametrize("name", ["../../evil.dat", "/tmp/evil.dat", "a/../evil.dat"])
def test_no_name_in_an_archive_decides_where_a_file_goes(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    archive = zipped(folder / "log.zip", **{name: LOG})
    unpack(archive, "evil.dat", folder / "log.dat")
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.dat")}
    assert made == {"a/b/log.dat"}
    assert not Path("/tmp/evil.dat").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_in_a_tar_is_refused(kind: bytes, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("log")
    entry.type, entry.linkname = kind, "/etc/passwd"
    archive = tarred(tmp_path / "log.tar", "w", (entry, b""))
    with pytest.raises(DataError, match="is no plain file"):
        unpack(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log.tar"]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("log")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is no plain file"):
        unpack(tmp_path / "log.zip", "log", tmp_path / "log")


def test_what_swells_beyond_reason_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "log.zip"
    with (
        zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made,
        made.open("log", "w") as file,
    ):
        for _ in range(201):
            file.write(bytes(1 << 20))
    with pytest.raises(DataError, match="Nothing was unpacked"):
        unpack(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log.zip"]


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    archive = zipped(tmp_path / "log.zip", log=LOG)
    with pytest.raises(DataError, match=r"takes 22,000 bytes .* has 100 free"):
        unpack(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log.zip"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_damaged_archive_is_told_and_leaves_nothing(
    kind: str, tmp_path: Path
) -> None:
    archive = tmp_path / f"log.{kind}"
    noise = bytes((i * i * 31 + i // 7) % 256 for i in range(200_000))
    if kind == "zip":
        zipped(archive, log=noise)
    else:
        tarred(archive, "w:gz", (tarfile.TarInfo("log"), noise))
    data = bytearray(archive.read_bytes())
    if kind == "zip":
        data[1000:1100] = bytes(100)
    else:
        del data[len(data) // 2 :]
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"is damaged|its end is missing"):
        unpack(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == [archive.name]


@pytest.mark.parametrize("kind", ["zip", "text"])
def test_what_is_no_archive_or_cut_short_is_told(kind: str, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "log.zip", log=LOG)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-40] if kind == "zip" else b"<html>")
    with pytest.raises(DataError, match="no zip and no tar archive, or its end"):
        unpack(archive, "log", tmp_path / "log")


def test_the_file_must_be_there_once(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "log.zip", **{"a/log": LOG, "b/log": LOG})
    with pytest.raises(DataError, match="does not hold one log; 2 of that name"):
        unpack(archive, "log", tmp_path / "log")
    with pytest.raises(DataError, match="did you mean 'a/log'"):
        unpack(archive, "a/logs", tmp_path / "log")
