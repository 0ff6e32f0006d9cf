"""Lists in files."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import torch

from graphseq.data import leave_one_out
from graphseq.data.synthetic import communities
from graphseq.errors import ConfigError
from graphseq.graphs import build_graph
from graphseq.models import SASRec
from graphseq.recommend import Recommender, write_lists

READ = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".jsonl": pl.read_ndjson}


@pytest.fixture(scope="module")
def shop() -> Recommender:
    torch.manual_seed(0)
    graph = build_graph(leave_one_out(communities(60, 40, 4, mean_length=8.0, seed=1)))
    return Recommender(SASRec(60, 40), graph)


@pytest.mark.parametrize("suffix", READ)
def test_a_file_of_parts_is_the_file_of_the_whole(
    shop: Recommender, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / "new" / f"lists{suffix}"
    assert write_lists(shop.batches(size=7, k=3), path) == 180
    whole = shop.recommend(shop.users.ids, k=3)
    found = READ[suffix](path)
    assert found.columns == ["user", "rank", "item", "score"]
    assert found.drop("score").equals(whole.drop("score"))
    torch.testing.assert_close(
        found["score"].cast(pl.Float32).to_torch(), whole["score"].to_torch()
    )
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_older_file_stays_until_the_new_one_is_complete(
    shop: Recommender, tmp_path: Path
) -> None:
    def broken() -> Iterator[pl.DataFrame]:
        yield next(shop.batches(size=7, k=3))
        raise KeyboardInterrupt

    for suffix in READ:
        path = tmp_path / f"lists{suffix}"
        path.write_text("older")
        with pytest.raises(KeyboardInterrupt):
            write_lists(broken(), path)
        assert path.read_text() == "older"
    assert len([*tmp_path.iterdir()]) == 3
    with pytest.raises(ConfigError, match=r"lists are written as .parquet"):
        write_lists([], tmp_path / "lists.xlsx")


def test_no_users_make_a_file_without_rows(shop: Recommender, tmp_path: Path) -> None:
    for suffix, read in READ.items():
        path = tmp_path / f"lists{suffix}"
        assert write_lists(shop.batches([], k=3), path) == 0
        if suffix != ".jsonl":
            assert read(path).columns == ["user", "rank", "item", "score"]
