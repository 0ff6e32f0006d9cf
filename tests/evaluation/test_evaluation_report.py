import json

import pytest

from graphseq.errors import RunError
from graphseq.evaluation import Report, evaluate


def test_the_protocol_text_names_the_protocol(small) -> None:
    text = evaluate(*small).protocol_text()
    words = "all 30 items|no sampling|history kept|history excluded|6 users|12 targets"
    for word in [*words.split("|"), "smaller dense item id", "min(k, targets)"]:
        assert word in text
    assert "history excluded" not in evaluate(*small, history="kept").protocol_text()


def test_a_saved_report_is_loaded_whole(small, tmp_path) -> None:
    report = evaluate(*small, folder=tmp_path / "run")
    again = Report.load(tmp_path / "run")
    assert again.means == report.means
    assert again.per_user.equals(report.per_user)
    assert again.protocol_text() == report.protocol_text()
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["per-user-test.parquet", "report-test.json"]
    content = json.loads((tmp_path / "run" / "report-test.json").read_text())
    assert content["facts"]["graph_hash"] == report.facts["graph_hash"]


def test_a_missing_or_damaged_report_is_explained(small, tmp_path) -> None:
    with pytest.raises(RunError, match="contains no report of the test part"):
        Report.load(tmp_path)
    path = evaluate(*small).save(tmp_path)
    whole = path.read_text()
    path.write_text(whole[:50])
    with pytest.raises(RunError, match="damaged"):
        Report.load(tmp_path)
    path.write_text(whole)
    (tmp_path / "per-user-test.parquet").write_bytes(b"nothing")
    with pytest.raises(RunError, match="damaged"):
        Report.load(tmp_path)
