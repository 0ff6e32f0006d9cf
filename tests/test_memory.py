"""What is free, as the machine and the container tell it."""

from pathlib import Path

import pytest

from graphseq.memory import available, most_used, spelt

MEMINFO = "MemTotal:  24000 kB\nMemAvailable:   1000 kB\n"
STAT = "anon 5\ninactive_file 70\ntotal_inactive_file 90\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


V2 = {"memory.max": "500\n", "memory.current": "400\n", "memory.stat": STAT}
V1 = {
    "memory/memory.limit_in_bytes": "600\n",
    "memory/memory.usage_in_bytes": "400\n",
    "memory/memory.stat": STAT,
}


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({}, 1_024_000),
        (V2, 170),
        (V1, 290),
        (V2 | {"memory.max": "max\n"}, 1_024_000),
        (V2 | {"memory.max": "9999999999\n"}, 1_024_000),
        (V2 | {"memory.current": "600\n"}, 0),
    ],
)
def test_the_tighter_of_machine_and_container_counts(
    tmp_path: Path, container: dict[str, str], expected: int
) -> None:
    proc = write(tmp_path / "proc", {"meminfo": MEMINFO})
    assert available(proc, write(tmp_path / "cgroup", container)) == expected


def test_a_system_that_does_not_say_leaves_it_open(tmp_path: Path) -> None:
    assert available(tmp_path, tmp_path) is None


def test_the_most_that_was_used_grows_with_what_is_taken() -> None:
    before = most_used()
    taken = bytearray(before + 50_000_000)
    assert most_used() >= before + 40_000_000
    assert taken[-1] == 0


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (512_000, "512 kB"),
        (1_340_000_000, "1.34 GB"),
        (40 * 10**12, "40 TB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert spelt(size) == words
