"""Items and their attributes, in every supported form."""

import gzip
import inspect
import json
from pathlib import Path

import polars as pl
import pytest

from graphseq.data.attributes import pairs_of, read_attributes
from graphseq.errors import DataError

TABLE = {"a": ["red", "round"], "b": [], "c": ["red"]}
PAIRS = [("a", "red"), ("a", "round"), ("c", "red")]
LISTS = pl.DataFrame({"item": [*TABLE], "attribute": [*TABLE.values()]})


def read(path: Path, **options) -> list[tuple]:
    return read_attributes(path, **options).rows()


def test_a_mapping_is_pairs_in_its_order() -> None:
    assert pairs_of(TABLE).rows() == PAIRS
    assert pairs_of({7: [1, 2]}).rows() == [(7, 1), (7, 2)]
    assert pairs_of({7: [1], "x": ["y"]}).rows() == [("7", "1"), ("x", "y")]
    assert pairs_of({7: ["a", None], "x": [None]}).rows() == [(7, "a")]
    assert pairs_of({}).rows() == []


@pytest.mark.parametrize("owned", ["red", 3, None])
def test_attributes_that_are_not_a_list_are_refused(owned: object) -> None:
    with pytest.raises(DataError, match="item 'a' has"):
        inspect.unwrap(pairs_of)({"a": owned})


@pytest.mark.parametrize("packed", [False, True])
def test_a_json_object(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("items.json.gz" if packed else "items.json")
    text = json.dumps(TABLE).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read(path) == PAIRS


@pytest.mark.parametrize("packed", [False, True])
def test_json_lines_with_lists_however_deep(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("meta.jsonl.gz" if packed else "meta.jsonl")
    rows = [{"asin": k, "categories": [[v] for v in vs]} for k, vs in TABLE.items()]
    text = "\n".join(map(json.dumps, rows)).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read(path, item="asin", attribute="categories") == PAIRS


@pytest.mark.parametrize(("ending", "separator"), [("csv", ","), ("tsv", "\t")])
def test_a_row_for_each_pair(tmp_path: Path, ending: str, separator: str) -> None:
    path = tmp_path / f"pairs.{ending}"
    rows = [["attribute", "x", "item"], *([a, "0", i] for i, a in PAIRS)]
    path.write_text("\n".join(separator.join(row) for row in rows), "utf-8")
    assert read(path) == PAIRS


def test_numbers_in_a_csv_keep_their_spelling(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("item,attribute\n007,1\n7,2\n", "utf-8")
    assert read(path) == [("007", "1"), ("7", "2")]


def test_parquet_with_lists_or_pairs(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    LISTS.write_parquet(path)
    assert read(path) == PAIRS
    pairs_of(TABLE).write_parquet(path)
    assert read(path) == PAIRS


def test_a_relative_path_counts_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "items.json").write_text(json.dumps(TABLE), "utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("GRAPHSEQ_DATA", raising=False)
    assert read(Path("sub/items.json"), root=tmp_path) == PAIRS
    with pytest.raises(DataError, match="does not exist"):
        read(Path("sub/items.json"))
    monkeypatch.setenv("GRAPHSEQ_DATA", str(tmp_path))
    assert read(Path("sub/items.json")) == PAIRS
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHSEQ_DATA", str(elsewhere))
    assert read(Path("sub/items.json")) == PAIRS


def test_a_missing_column_is_named_with_a_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("items,attribute\na,red\n", "utf-8")
    with pytest.raises(DataError, match=r"no column 'item'; did you mean 'items'\?"):
        read(path)


@pytest.mark.parametrize("text", ["[1, 2]", "{not json", '{"a": "red"}'])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "items.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError):
        read(path)


def test_pairs_without_an_item_or_an_attribute_are_omitted(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    frame = pl.DataFrame({"item": [1, None, 2], "attribute": [[3, None], [4], None]})
    frame.write_parquet(path)
    assert read(path) == [(1, 3)]


PIPED = "movieId,title,genres\n1,x,Adventure|Comedy\n2,y,Comedy\n3,z,\n"
GENRES = [("1", "Adventure"), ("1", "Comedy"), ("2", "Comedy")]


def test_blank_fields_are_an_error_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.CSV").write_text("item,attribute\n1,red\n2,\n ,blue\n")
    assert len(read_attributes("a.CSV", root=tmp_path)) == 1
    with pytest.raises(DataError, match="2 of 3 pairs have no 'item' or 'attribute'"):
        read_attributes("a.CSV", root=tmp_path, blank="error")


def test_several_attributes_in_a_field_are_split_on_request(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text(PIPED)
    columns = {"item": "movieId", "attribute": "genres"}
    assert read(path, **columns, separator="|") == GENRES
    with pytest.warns(UserWarning, match=r"'Adventure\|Comedy'.*--attribute-separator"):
        assert read(path, **columns)[0] == ("1", "Adventure|Comedy")


def test_movielens_movies_are_read(tmp_path: Path) -> None:
    path = tmp_path / "movies.dat"
    path.write_bytes(b"1::caf\xe9 (1995)::Adventure|Comedy\r\n2::y::Comedy\n")
    assert read(path) == GENRES


def test_recbole_items_are_read(tmp_path: Path) -> None:
    path = tmp_path / "ml.item"
    path.write_text(
        "item_id:token\tmovie_title:token_seq\tclass:token_seq\n"
        '1\tSay "A\tAdventure Comedy\n2\ty\tComedy\n'
    )
    assert read(path, item="item_id", attribute="class") == GENRES


def test_bytes_that_are_not_utf_8_are_refused_in_a_column_that_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"item,attribute,x\na,red,\xe9\n")
    assert read(path) == [("a", "red")]
    path.write_bytes(b"item,attribute,x\na,\xe9,x\n")
    with pytest.raises(
        DataError, match="'attribute' contains bytes that are not UTF-8"
    ):
        read(path)


@pytest.mark.parametrize("text", ["[" * 99_999, '{"a": ' + "9" * 5000 + "}"])
def test_json_that_a_parser_gives_up_on_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "items.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError):
        read(path)


@pytest.mark.parametrize(("ending", "separator"), [("csv", ","), ("tsv", "\t")])
def test_fields_are_stripped_and_blank_attributes_left_out_as_in_a_log(
    tmp_path: Path, ending: str, separator: str
) -> None:
    path = tmp_path / f"pairs.{ending}"
    text = '\r\nitem, attribute\r\n a,red \r\n"a","round"\r\nc,red\r\r\n'
    text += 'b,\nb,""\nb," "\n,blue\n" ",blue\n'
    path.write_bytes(text.replace(",", separator).encode())
    assert read(path) == PAIRS


def test_blank_attributes_of_other_files_are_left_out(tmp_path: Path) -> None:
    assert pairs_of({"a": ["red", "", " "], " ": ["red"]}).rows() == [("a", "red")]
    frame = pl.DataFrame({"item": ["a", "", "b"], "attribute": ["red", "red", "\t"]})
    frame.write_ndjson(tmp_path / "items.jsonl")
    kinds = {"item": pl.Categorical, "attribute": pl.Categorical}
    frame.cast(kinds).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "movies.dat").write_bytes(b" a ::x:: red | \r\nb::y:: \n")
    for name in ("items.jsonl", "items.parquet", "movies.dat"):
        assert read(tmp_path / name) == [("a", "red")]


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    for name, text in (
        ("items.jsonl", '{"item": "a", "attribute": ["red"]}'),
        ("items.json", '{"a": ["red"]}'),
        ("items.csv", "item,attribute\na,red"),
        ("movies.dat", "a::x::red"),
    ):
        (tmp_path / name).write_text(text, "utf-8-sig")
        assert read(tmp_path / name) == [("a", "red")]


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_name_of_several_columns_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"pairs.{ending}"
    separator = "," if ending == "csv" else "\t"
    path.write_text("item,tag,attribute,tag\na,x,red,y\n".replace(",", separator))
    assert read(path) == [("a", "red")]
    with pytest.raises(DataError, match=r"2 columns named 'tag', .* Rename the others"):
        read(path, attribute="tag")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([["red", "round"], None, "red"], PAIRS),
        (["red", [], ["red"]], [("a", "red"), ("c", "red")]),
        ([["red", ["round"]], [], [["red"], None]], PAIRS),
        ([[["red"], "round"], [[]], "red"], PAIRS),
        ([[1, 2], None, 1], [("a", 1), ("a", 2), ("c", 1)]),
        (["[red", None, "[]"], [("a", "[red"), ("c", "[]")]),
    ],
)
def test_single_values_among_lists_are_lists_of_one(
    tmp_path: Path, values: list[object], expected: list[tuple]
) -> None:
    path = tmp_path / "meta.jsonl"
    rows = [
        {"item": i, "attribute": v, "z": [0]}
        for i, v in zip("abc", values, strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    assert read(path) == expected
    with pytest.raises(DataError, match="no column 'asin'"):
        read(path, item="asin")
    path.write_text(path.read_text() + "\n[1]\n")
    with pytest.raises(DataError, match="cannot be read as a table of attributes"):
        read(path)


def test_lists_of_mixed_depth_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text('{"i0": [["Beauty", "Hair"]], "i1": ["Beauty", null]}')
    found = read_attributes(path, root=".")
    expected = [("i0", "Beauty"), ("i0", "Hair"), ("i1", "Beauty")]
    assert found.rows() == expected
    path.write_text('{"i0": ["Beauty", true]}')
    with pytest.raises(DataError, match="item 'i0' has True"):
        read_attributes(path, root=".")
