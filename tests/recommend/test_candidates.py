"""Restricted lists, against a sort of all scores in Python."""

import random
from typing import Any

import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out
from graphseq.data.synthetic import communities
from graphseq.errors import ConfigError, DataError
from graphseq.graphs import build_graph
from graphseq.models import SASRec
from graphseq.recommend import Recommender
from graphseq.recommend.histories import known_sequences


@pytest.fixture(scope="module")
def graph() -> HeteroData:
    return build_graph(leave_one_out(communities(60, 40, 4, mean_length=8.0, seed=1)))


@pytest.fixture(scope="module", params=["exact", "faiss", "hnsw"])
def shop(graph: HeteroData, request: pytest.FixtureRequest) -> Recommender:
    torch.manual_seed(0)
    return Recommender(SASRec(60, 40), graph, index=request.param)


def expected(
    shop: Recommender, users: list[Any], k: int, **limits: Any
) -> list[tuple[Any, Any]]:
    """The pairs of the lists, sorted in Python from the scores of all items."""
    known, found = known_sequences(shop.graph), []
    every = shop.items.ids.to_list()
    pairs = [(user, item) for user in users for item in every]
    table = shop.score([item for _, item in pairs], [user for user, _ in pairs])
    for n, user in enumerate(users):
        scores = table.filter(user=user)["score"].to_list()
        row = int(shop.users.encode([user])[0])
        seen = {every[i] for i in known.take(torch.tensor([row])).items.tolist()}
        allowed = set(every) - (seen if limits.get("history") else set())
        for name, keep in (("only", True), ("exclude", False)):
            given = limits.get(name)
            if given is not None:
                given = given[n] if isinstance(given[0], list) else given
                allowed &= set(given) if keep else set(every) - set(given)
        ranked = sorted(allowed, key=lambda i: (-scores[every.index(i)], i))
        found += [(user, item) for item in ranked[:k]]
    return found


@pytest.mark.parametrize(
    ("names", "history"),
    [(("only",), True), (("exclude",), True), (("only", "exclude"), False)],
)
@pytest.mark.parametrize("by_user", [False, True])
def test_lists_are_the_best_of_the_items_that_are_left(
    shop: Recommender, names: tuple[str, ...], history: bool, by_user: bool
) -> None:
    random.seed(str((names, by_user)))
    every = shop.items.ids.to_list()
    users = shop.users.ids.to_list()[5:13]
    limits: dict[str, Any] = {}
    for name in names:
        lists = [random.sample(every, n % 13 + 1) for n in range(len(users))]
        limits[name] = lists if by_user else random.sample(every, 17)
    items = {"history_items": "exclude" if history else "keep"}
    found = shop.recommend(users, k=6, **items, **limits)
    wanted = expected(shop, users, 6, history=history, **limits)
    assert list(found.select("user", "item").iter_rows()) == wanted
    ranks = found.group_by("user", maintain_order=True).agg("rank")["rank"]
    assert all(each.to_list() == [*range(1, len(each) + 1)] for each in ranks)


def test_lists_of_users_may_be_a_series_and_empty(shop: Recommender) -> None:
    users, every = shop.users.ids[:3].to_list(), shop.items.ids.to_list()
    lists = [every[:4], [], every[2:5]]
    one = shop.recommend(users, k=5, only=lists, history_items="keep")
    series = pl.Series(lists, dtype=pl.List(shop.items.ids.dtype))
    assert one.equals(shop.recommend(users, k=5, only=series, history_items="keep"))
    assert one["user"].unique(maintain_order=True).to_list() == [users[0], users[2]]
    assert not len(shop.recommend(users, only=[]))


def test_unknown_ids_in_lists_and_users_are_refused_or_skipped(
    shop: Recommender,
) -> None:
    users, every = shop.users.ids[:2].to_list(), shop.items.ids.to_list()
    with pytest.raises(DataError, match="1 unknown id: 'item-x'"):
        shop.recommend(users, only=[*every[:3], "item-x"])
    given = [users[0], "user-x", users[1]]
    lists = [every[:3], every[3:6], [*every[6:9], "item-x"]]
    with pytest.warns(UserWarning) as caught:
        found = shop.recommend(given, only=lists, unknown="skip")
    assert [str(each.message) for each in caught] == [
        "unknown users skipped: 'user-x'",
        "unknown items skipped: 'item-x'",
    ]
    assert found.equals(shop.recommend(users, only=[every[:3], every[6:9]]))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"only": "7"}, "only is a list of raw item ids; found '7'"),
        ({"exclude": [[1], [2]]}, "exclude has 2 lists for 1 rows"),
        ({"only": [[1], "12"]}, "each list of only is a list .* found '12'"),
    ],
)
def test_lists_of_another_form_are_refused(
    shop: Recommender, limits: dict[str, Any], message: str
) -> None:
    users = shop.users.ids[: 2 if "12" in str(limits) else 1]
    with pytest.raises(ConfigError, match=message):
        shop.recommend(users, **limits)
