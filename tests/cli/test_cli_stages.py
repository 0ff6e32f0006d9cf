"""How far long work is, and what it took."""

import pytest
from rich.console import Console

from graphseq.cli import stages as module
from graphseq.cli.stages import Stages, told
from graphseq.graphs.progress import Advance


def test_share_rate_and_remaining_time_are_told() -> None:
    step = Advance("edges", 2_500_000, 10_000_000, "multiply-adds")
    words = "25%, 1.25 million multiply-adds/s, 0:06 left"
    assert told(step, 2.0) == words
    assert told(Advance("edges", 0, 10, "pairs"), 2.0) == "0%"


@pytest.mark.parametrize("shows", [False, True])
def test_stages_follow_each_other_and_are_summed_up(shows: bool) -> None:
    with Stages(shows) as stages:
        stages.begin("read")
        stages.end("7 events")
        stages.begin("build")
        stages.advance(Advance("edges", 1, 2, "pairs"))
        stages.begin("save")
    assert [stage.name for stage in stages.over] == ["read", "build", "save"]
    assert [stage.made for stage in stages.over] == ["7 events", "", ""]
    assert all(stage.seconds >= 0 and stage.memory > 0 for stage in stages.over)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(stages.table())
    assert "7 events" in shown.get()
    assert "in all" in shown.get()


def test_without_a_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stages(shows=False) as stages:
        stages.begin("item-item")
        stages.advance(Advance("edges", 1, 4, "pairs"))
        assert capsys.readouterr().err == ""
        monkeypatch.setattr(module, "PAUSE", -1.0)
        stages.advance(Advance("edges", 2, 4, "pairs"))
    assert capsys.readouterr().err.startswith("item-item: 50%, ")


def test_a_failure_closes_the_open_stage() -> None:
    with pytest.raises(KeyError), Stages(shows=True) as stages:
        stages.begin("read")
        raise KeyError
    assert [stage.name for stage in stages.over] == ["read"]
