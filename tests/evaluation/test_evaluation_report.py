import json

import polars as pl
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


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (["means"], []),
        (["means", "kept"], 3),
        (["means", "kept", "HR@5"], "high"),
        (["means", "kept", "HR@5"], float("nan")),
        (["means", "of me"], {"HR@5": 0.5}),
        (["facts"], None),
        (["facts", "ks"], 5),
        (["facts", "users"], "six"),
        (["facts", "training_hash"], ...),
        (["format"], ...),
    ],
)
def test_an_edited_report_is_damaged(small, tmp_path, place, value) -> None:
    path = evaluate(*small).save(tmp_path)
    content = json.loads(path.read_text())
    *outer, last = place
    part = content
    for key in outer:
        part = part[key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="damaged"):
        Report.load(tmp_path)


def test_users_that_are_missing_or_listed_twice_are_damage(small, tmp_path) -> None:
    report = evaluate(*small)
    report.save(tmp_path)
    table = tmp_path / "per-user-test.parquet"
    report.per_user.drop("user_index").write_parquet(table)
    with pytest.raises(RunError, match="damaged"):
        Report.load(tmp_path)
    pl.concat([report.per_user, report.per_user]).write_parquet(table)
    with pytest.raises(RunError, match="not listed once each"):
        Report.load(tmp_path)


def test_dense_users_of_format_1_get_their_new_name(small, tmp_path) -> None:
    path = evaluate(*small).save(tmp_path)
    content = json.loads(path.read_text()) | {"format": 1}
    path.write_text(json.dumps(content))
    table = tmp_path / "per-user-test.parquet"
    pl.read_parquet(table).rename({"user_index": "user"}).write_parquet(table)
    assert "user_index" in Report.load(tmp_path).per_user.columns


def test_one_user_is_not_written_as_several(written) -> None:
    report = evaluate(*written([[3, 2, 1]], [[0]], [[1]]))
    assert "test part: 1 user, 1 target;" in report.protocol_text()
    assert repr(report).startswith("Report(test, 1 user)")
