"""One file of an archive is extracted; damaged and hostile archives are refused."""

import io
import re
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from graphseq.data import archives
from graphseq.data.archives import extract
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


def test_one_file_of_a_zip_is_extracted_and_no_other(tmp_path: Path) -> None:
    files = {"ml-1m/": b"", "ml-1m/ratings.dat": LOG, "ml-1m/users.dat": b"x"}
    archive = zipped(tmp_path / "ml-1m.zip", **files)
    extract(archive, "ml-1m/ratings.dat", tmp_path / "ratings.dat")
    assert (tmp_path / "ratings.dat").read_bytes() == LOG
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ml-1m.zip", "ratings.dat"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2"])
def test_a_tar_is_read_compressed_or_not_whatever_its_name(
    mode: str, tmp_path: Path
) -> None:
    """Yelp's ``yelp_dataset.tar`` has been a packed tar for years."""
    entry = tarfile.TarInfo("yelp/review.json")
    archive = tarred(tmp_path / "yelp_dataset.tar", mode, (entry, LOG))
    extract(archive, "review.json", tmp_path / "review.json")
    assert (tmp_path / "review.json").read_bytes() == LOG


@pytest.mark.parametrize("name", ["../../evil.dat", "/tmp/evil.dat", "a/../evil.dat"])
def test_no_path_in_an_archive_decides_where_a_file_goes(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    archive = zipped(folder / "log.zip", **{name: LOG})
    extract(archive, "evil.dat", folder / "log.dat")
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.dat")}
    assert made == {"a/b/log.dat"}
    assert not Path("/tmp/evil.dat").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_a_device_in_a_tar_is_refused(kind: bytes, tmp_path: Path) -> None:
    entry = tarfile.TarInfo("log")
    entry.type, entry.linkname = kind, "/etc/passwd"
    archive = tarred(tmp_path / "log.tar", "w", (entry, b""))
    with pytest.raises(DataError, match="it is not a regular file"):
        extract(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log.tar"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_link_or_a_device_in_a_zip_is_refused(kind: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("log")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="it is not a regular file"):
        extract(tmp_path / "log.zip", "log", tmp_path / "log")


def test_an_encrypted_file_in_a_zip_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "log.zip", log=LOG)
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="it is encrypted"):
        extract(archive, "log", tmp_path / "log")


def test_an_archive_that_grows_beyond_reason_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SMALL", 1 << 10)
    archive = zipped(tmp_path / "log.zip", log=bytes(1 << 20))
    with pytest.raises(
        DataError, match=r"1,048,576 bytes, \d+ times those of the arch"
    ):
        extract(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log.zip"]


def test_a_full_disk_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    archive = zipped(tmp_path / "log.zip", log=LOG)
    with pytest.raises(DataError, match=r"needs 22,000 bytes.* has 100 free"):
        extract(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == ["log.zip"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_damaged_archive_is_reported_and_leaves_no_file(
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
    with pytest.raises(DataError, match=r"it is damaged|it is truncated"):
        extract(archive, "log", tmp_path / "log")
    assert [p.name for p in tmp_path.iterdir()] == [archive.name]


@pytest.mark.parametrize("kind", ["zip", "text"])
def test_a_truncated_archive_or_another_file_is_reported(
    kind: str, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "log.zip", log=LOG)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-40] if kind == "zip" else b"<html>")
    with pytest.raises(
        DataError, match="neither a zip nor a tar archive, or it is trunc"
    ):
        extract(archive, "log", tmp_path / "log")


def test_the_file_must_be_there_once(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "log.zip", **{"a/log": LOG, "b/log": LOG})
    with pytest.raises(DataError, match="must hold exactly one such file; found 2"):
        extract(archive, "log", tmp_path / "log")
    with pytest.raises(DataError, match="did you mean 'a/log'"):
        extract(archive, "a/logs", tmp_path / "log")


def test_every_truncation_of_an_archive_is_a_named_error(tmp_path: Path) -> None:
    noise = bytes((i * i * 31 + i // 7) % 256 for i in range(3_000))
    for mode in ("w:gz", "w:bz2", "w:xz"):
        archive = tarred(tmp_path / "log", mode, (tarfile.TarInfo("log"), noise))
        whole = archive.read_bytes()
        for size in range(0, len(whole) - 1, len(whole) // 12):
            archive.write_bytes(whole[:size])
            try:  # the padding at the end is not missed
                extract(archive, "log", tmp_path / "out")
            except DataError as error:
                assert re.search("damaged|truncated|hold exactly", str(error))
                assert not (tmp_path / "out").exists()
            else:
                assert size > len(whole) // 2
                assert (tmp_path / "out").read_bytes() == noise
                (tmp_path / "out").unlink()


def test_an_unsupported_method_of_a_zip_is_a_named_error(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "log.zip", log=LOG)
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = data.index(signature) + offset
        data[place : place + 2] = (97).to_bytes(2, "little")  # WavPack
    archive.write_bytes(data)
    with pytest.raises(DataError, match="unsupported method"):
        extract(archive, "log", tmp_path / "log")


def test_the_truncated_archive_of_the_cases_is_refused(
    shared: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"damaged|truncated|hold exactly"):
        extract(shared / "cases" / "truncated.tar.gz", "log.csv", tmp_path / "log")
