"""``graphseq repeats`` writes a run that the other commands use."""

from pathlib import Path

import pytest
import yaml

from graphseq.cli import main
from graphseq.training import load_run

EXPERIMENT = {
    "data": {"cycle": {"num_users": 30, "num_items": 12, "length": 8}},
    "split": {"leave_one_out": {}},
    "model": {"SASRec": {"backbone": {"dim": 8, "max_length": 6}}},
    "train": {"max_epochs": 1, "progress": False},
    "evaluate": {"ks": [1, 3]},
}


def test_the_run_with_biases_is_used_like_any_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plain, biased = (str(tmp_path / n) for n in ("a.yaml", "plain", "biased"))
    Path(file).write_text(yaml.safe_dump(EXPERIMENT))
    assert main(["train", file, "--folder", plain]) == 0
    assert main(["repeats", plain, "--folder", biased, "--ages", "3"]) == 0
    printed = capsys.readouterr().out
    assert "SASRec with repeats" in printed and "bias by age" in printed
    assert len(load_run(biased).experiment["model"]["RepeatBias"]["bias"]) == 3
    assert main(["evaluate", biased]) == 0
    assert main(["compare", biased, plain, "--metric", "NDCG@3"]) == 0
    assert main(["recommend", biased, "--users", "user-1", "--k", "2"]) == 0
    capsys.readouterr()
    assert main(["repeats", plain, "--folder", biased]) == 2
    assert "contains a run already" in capsys.readouterr().err
    assert main(["train", f"{biased}/experiment.yaml", "--folder", plain + "2"]) == 2
    assert "graphseq repeats RUN" in capsys.readouterr().err
