"""How far a stage is."""

from graphseq.graphs.progress import Advance, progress_callback, track


def test_each_part_counts_when_it_is_over() -> None:
    reports: list[Advance] = []
    with progress_callback(reports.append):
        for part in track("ab", [3, 4], stage="letters", unit="points"):
            reports.append(Advance(part, 0, 0, ""))
    assert [(each.stage, each.done, each.total) for each in reports] == [
        ("letters", 0, 7),
        ("a", 0, 0),
        ("letters", 3, 7),
        ("b", 0, 0),
        ("letters", 7, 7),
    ]


def test_a_callback_is_optional() -> None:
    assert [*track("ab", [1, 1], stage="letters", unit="points")] == ["a", "b"]
