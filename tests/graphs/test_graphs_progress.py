"""How far a stage is."""

from graphseq.graphs.progress import Advance, progress_callback, track


def test_each_part_counts_when_it_is_over() -> None:
    told: list[Advance] = []
    with progress_callback(told.append):
        for part in track("ab", [3, 4], stage="letters", unit="points"):
            told.append(Advance(part, 0, 0, ""))
    assert [(each.stage, each.done, each.total) for each in told] == [
        ("letters", 0, 7),
        ("a", 0, 0),
        ("letters", 3, 7),
        ("b", 0, 0),
        ("letters", 7, 7),
    ]


def test_nobody_need_watch() -> None:
    assert [*track("ab", [1, 1], stage="letters", unit="points")] == ["a", "b"]
