"""Files of ids, of pairs and of titles."""

from pathlib import Path

import polars as pl
import pytest

from graphseq.cli.id_files import lists_by_user, read_ids, read_titles
from graphseq.errors import ConfigError, DataError


def test_ids_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    text = "\ufeffann\n\n  bob \r\nann|a;b\ntwo\u2028parts\r\n"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_ids("--only", path) == ["ann", "bob", "ann|a;b", "two\u2028parts"]
    for content, message in ((b" \n", "has no id"), (b"\xff", "cannot be read")):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=f"--only .*ids.txt {message}"):
            read_ids("--only", path)
    with pytest.raises(ConfigError, match="there is none at"):
        read_ids("--only", tmp_path / "other")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "jsonl"])
def test_tables_have_a_list_for_each_user(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"item": [7, 9, 7], "user": [1, 1, 3], "more": ["", "x", "|"]})
    path = tmp_path / f"pairs.{suffix}"
    if suffix == "parquet":
        frame.write_parquet(path)
    elif suffix == "jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="," if suffix == "csv" else "\t")
    found = lists_by_user("--only", path, pl.Series([3, 2, 1, 3]))
    assert isinstance(found, pl.Series)
    assert found.to_list() == [["7"], None, ["7", "9"], ["7"]]
    frame.drop("user").write_csv(tmp_path / "items.csv")
    with pytest.raises(DataError, match="has no column 'user'"):
        lists_by_user("--only", tmp_path / "items.csv", pl.Series([3]))
    with pytest.raises(DataError, match="these lists have no users"):
        lists_by_user("--only", path, None)
    with pytest.warns(UserWarning, match=r"names 1 user not in the log: '3'\. Their"):
        lists_by_user("--only", path, pl.Series([2]), pl.Series([1, 2]))
    with pytest.raises(DataError, match=r"names 2 users not .*: '1', '3', and no oth"):
        lists_by_user("--only", path, pl.Series([2]), pl.Series([2, 4]))


def test_titles_keep_their_signs(tmp_path: Path) -> None:
    path = tmp_path / "titles.csv"
    path.write_text('asin,name\n1,"Tea; green|black, loose"\n2,\n1,second\n')
    found = read_titles(path, item="asin", title="name")
    assert found.rows() == [("1", "Tea; green|black, loose")]
