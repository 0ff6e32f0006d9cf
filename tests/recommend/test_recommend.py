import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq.data import HeldOut, Interactions, by_time, leave_one_out
from graphseq.data.synthetic import communities
from graphseq.errors import ConfigError, DataError, GraphError, GraphSeqError
from graphseq.graphs import build_graph, part_of
from graphseq.models import BPRMF, Ensemble, ItemKNN, LightGCN, SASRec
from graphseq.models.base import Model
from graphseq.recommend import Recommender

ITEMS = ["ale", "bread", "eggs", "rice", "salt", "tea"]
LINES = {"ann": [0, 1, 2, 3], "bob": [2, 3, 4, 5], "cid": [5, 4, 0, 1]}


class Next(Model):
    """Sequence (…, i) asks for item i + 1; the nearer an item to it, the better."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        self.num_users, self.num_items = num_users, num_items
        self.bias = 0.0

    def represent(self, batch, graph):
        wanted = batch.last(batch.items[..., None].double())[:, 0] + 1 + self.bias
        return torch.stack([2 * wanted, torch.ones_like(wanted)], dim=1).float()

    def item_vectors(self, graph):
        item = torch.arange(self.num_items).float()
        return torch.stack([item, -(item**2)], dim=1)  # 2 w i - i^2 peaks at i = w

    def losses(self, batch, graph):
        return {}


@pytest.fixture
def graph() -> HeteroData:
    rows = [(u, ITEMS[i], t) for u, line in LINES.items() for t, i in enumerate(line)]
    user, item, time = zip(*rows, strict=True)
    frame = pl.DataFrame({"user": user, "item": item, "time": time})
    return build_graph(leave_one_out(Interactions.from_frame(frame)))


@pytest.fixture(params=["exact", "faiss", "hnsw"])
def shop(graph, request) -> Recommender:
    return Recommender(Next(3, 6), graph, index=request.param)


def test_known_users_get_what_follows_all_that_is_known(shop) -> None:
    found = shop.recommend(users=["cid", "ann"], k=2)
    assert found.columns == ["user", "rank", "item", "score"]
    assert found["user"].to_list() == ["cid", "cid", "ann", "ann"]
    assert found["rank"].to_list() == [1, 2, 1, 2]
    # cid's last is bread (1), and rice (3) is nearer to eggs (2) than any other unseen;
    # ann's last is rice (3): salt (4), tea (5).
    assert found["item"].to_list() == ["eggs", "rice", "salt", "tea"]
    assert found["score"].to_list() == [4, 3, 16, 15]


def test_vectors_come_with_raw_ids(shop) -> None:
    found = shop.vectors()
    assert found["item"].to_list() == shop.items.ids.to_list()
    expected = shop.model.item_vectors(shop.graph)
    assert torch.equal(torch.tensor(found["vector"].to_numpy()), expected)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"users": "ann"}, "users is a list; found only 'ann'"),
        ({"histories": "ale"}, "histories is a list; found only 'ale'"),
        ({"histories": ["ale", "tea"]}, "each history is a list .* found 'ale'"),
    ],
)
def test_a_word_is_not_taken_apart(shop, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop.recommend(**given, k=2)


def test_histories_of_new_users(shop) -> None:
    found = shop.recommend(histories=[["ale"], ["tea", "eggs"]], k=1)
    assert found.columns == ["history", "rank", "item", "score"], "not a user's id"
    assert found["history"].to_list() == [0, 1]
    assert found["item"].to_list() == ["bread", "rice"]


def test_a_log_of_new_users_is_a_file_of_histories(shop) -> None:
    rows = {"user": ["z", "y", "z"], "item": ["tea", "ale", "eggs"], "time": [1, 1, 2]}
    log = Interactions.from_frame(rows)
    found = shop.recommend(histories=log, k=2)
    assert found["user"].to_list() == ["z", "z", "y", "y"]
    lists = shop.recommend(histories=[["tea", "eggs"], ["ale"]], k=2)
    assert found["item"].to_list() == lists["item"].to_list()
    assert found["score"].to_list() == lists["score"].to_list()


def test_popular_items_are_taken_from_those_that_are_left(shop) -> None:
    options = {"k": 2, "empty_history": "popularity", "exclude": ["ale"]}
    found = shop.recommend(histories=[[], ["tea"]], **options)
    # One training event each; ties by id.
    assert found.filter(history=0)["item"].to_list() == ["bread", "eggs"]


def test_scores_of_pairs_are_those_of_the_lists(shop) -> None:
    users, items = ["cid", "ann", "cid"], ["eggs", "tea", "rice"]
    found = shop.score(items, users)
    assert found.columns == ["user", "item", "score"]
    assert list(found.iter_rows()) == [
        ("cid", "eggs", 4),
        ("ann", "tea", 15),
        ("cid", "rice", 3),
    ]
    found = shop.score(["bread", "ale"], histories=[["ale"], ["tea", "eggs"]])
    assert list(found.iter_rows()) == [(0, "bread", 1), (1, "ale", 0)]
    with pytest.warns(UserWarning, match="skipped"):
        found = shop.score(["sugar", "eggs"], ["cid", "cid"], unknown="skip")
    assert list(found.iter_rows()) == [("cid", "eggs", 4)]
    with pytest.raises(ConfigError, match="2 items for 1 users"):
        shop.score(["ale", "tea"], ["ann"])
    with pytest.raises(DataError, match="history 1 without any known item"):
        shop.score(["ale", "tea"], histories=[["ale"], []])


def test_parts_are_the_whole(shop) -> None:
    parts = list(shop.batches(size=2, k=3))
    assert [part["user"].n_unique() for part in parts] == [2, 1]
    assert pl.concat(parts).equals(shop.recommend(["ann", "bob", "cid"], k=3))


def test_empty_histories_are_refused_or_get_the_most_popular_items(shop) -> None:
    with pytest.raises(DataError, match="history 1 without any known item"):
        shop.recommend(histories=[["ale"], []])
    found = shop.recommend(
        histories=[["ale"], []], k=3, empty_history="popularity", unknown="skip"
    ).filter(history=1)
    # Training events: ann ale, bread; bob eggs, rice; cid tea, salt. Ties by id.
    assert found["item"].to_list() == ["ale", "bread", "eggs"]
    assert found["score"].to_list() == [1, 1, 1]


def test_unknown_ids_are_skipped_on_request_and_named(shop) -> None:
    with pytest.warns(UserWarning, match="unknown users skipped: 'anne'$"):
        found = shop.recommend(users=["ann", "anne", "bob"], k=1, unknown="skip")
    assert found.equals(shop.recommend(users=["ann", "bob"], k=1))
    given = [["sugar", "ale"], ["tea", "alee", "eggs"]]
    with pytest.warns(UserWarning, match="unknown items skipped: 'sugar', 'alee'$"):
        found = shop.recommend(histories=given, k=2, unknown="skip")
    known = [["ale"], ["tea", "eggs"]]
    assert found.equals(shop.recommend(histories=known, k=2))
    with (
        pytest.warns(UserWarning, match="'sugar'"),
        pytest.raises(DataError, match="history 0 without any known item"),
    ):
        shop.recommend(histories=[["sugar"]], unknown="skip")


def test_history_can_be_recommended_on_request(shop) -> None:
    found = shop.recommend(histories=[["bread", "ale"]], k=3, history_items="keep")
    assert found["item"].to_list()[0] == "bread"
    assert set(found["item"]) == {"bread", "ale", "eggs"}
    assert "bread" not in shop.recommend(histories=[["bread", "ale"]], k=6)["item"]


def test_lists_end_with_the_catalogue_and_hold_no_padding(shop) -> None:
    found = shop.recommend(users=["ann"], k=100)
    assert sorted(found["item"]) == ["salt", "tea"]
    everything = shop.recommend(users=["ann"], k=100, history_items="keep")
    assert sorted(everything["item"]) == sorted(ITEMS)


def test_no_users_give_no_rows(shop) -> None:
    assert len(shop.recommend(users=[])) == len(shop.recommend(histories=[])) == 0
    assert len(shop.similar_items([])) == 0


def test_unknown_ids_are_named_with_suggestions(shop) -> None:
    with pytest.raises(DataError, match=r"1 unknown id: 'anne'.*did you mean 'ann'"):
        shop.recommend(users=["anne"])
    with pytest.raises(DataError, match=r"'alee'.*did you mean 'ale'"):
        shop.recommend(histories=[["alee"]])
    with pytest.raises(DataError, match="'sugar'"):
        shop.similar_items(["sugar"])


def test_similar_items_leave_out_the_item_itself(shop) -> None:
    found = shop.similar_items(["tea", "bread"], k=2)
    assert found.columns == ["item", "rank", "similar", "score"]
    assert found["item"].to_list() == ["tea", "tea", "bread", "bread"]
    assert found["similar"].to_list()[:2] == ["salt", "rice"]
    assert (found["score"] <= 1 + 1e-6).all()
    assert len(shop.similar_items(["tea"], k=50)) == 5


def test_users_or_histories_not_both(shop) -> None:
    for options in ({}, {"users": ["ann"], "histories": [["ale"]]}):
        with pytest.raises(ConfigError, match="either users"):
            shop.recommend(**options)


def test_options_that_do_not_fit_the_signature_are_refused_at_once(
    shop, unchecked_shapes: None
) -> None:
    with pytest.raises(ConfigError) as error:
        shop.recommend(users=["ann"], history_items="kept", k=0, diversity=-1.0)
    first, *lines = [" ".join(each.split()) for each in str(error.value).splitlines()]
    assert first == "recommend: 3 problems"
    assert set(lines) == {
        "history_items expected 'exclude' or 'keep', found 'kept'",
        "k expected a whole number of 1 or more, found 0",
        "diversity expected a finite number of 0 or more, found -1.0",
    }
    with pytest.raises(ConfigError, match="did you mean 'exclude'"):
        next(shop.batches(["ann"], exclud=["tea"]))
    with pytest.raises(ConfigError, match=r"score: unknown: expected 'error' or 'sk"):
        shop.score(["tea"], ["ann"], unknown="drop")
    with pytest.raises(ConfigError, match="similar_items: k: expected a whole number"):
        shop.similar_items(["tea"], k=0)
    with pytest.raises(ConfigError, match="index: expected 'exact' or 'faiss' or"):
        Recommender(shop.model, shop.graph, index="annoy")


def test_a_model_of_user_ids_needs_users(graph) -> None:
    model = Next(3, 6)
    model.has_user_embeddings = True
    shop = Recommender(model, graph)
    assert len(shop.recommend(users=["ann"], k=1)) == 1
    with pytest.raises(ConfigError, match="an embedding for each user"):
        shop.recommend(histories=[["ale"]])


def test_users_outside_the_graph_have_no_id_of_one_inside(graph) -> None:
    class Recorded(Next):
        def represent(self, batch, graph):
            seen.append(batch.user.tolist())
            return super().represent(batch, graph)

    seen: list[list[int]] = []
    shop = Recommender(Recorded(3, 6), graph)
    shop.recommend(histories=[["ale"], ["tea"]], k=1)
    shop.recommend(users=["bob"], k=1)
    assert seen == [[-1, -1], [1]]


def test_a_graph_without_its_users_serves_histories(graph) -> None:
    shop = Recommender(Next(3, 6), part_of(graph, (), users=False))
    assert shop.recommend(histories=[["ale"]], k=1)["item"].to_list() == ["bread"]
    assert "no users, 6 items" in repr(shop)
    for options in (
        {"users": ["ann"]},
        {"histories": [[]], "empty_history": "popularity"},
    ):
        with pytest.raises(DataError, match="keep_histories=False"):
            shop.recommend(**options)


def test_a_graph_that_does_not_fit_is_refused(graph) -> None:
    with pytest.raises(GraphError, match="was built for 4 users"):
        Recommender(Next(4, 6), graph)
    with pytest.raises(GraphError, match="was built for 7 items"):
        Recommender(Next(3, 7), graph)


def test_a_diverged_model_is_named(graph) -> None:
    shop = Recommender(Next(3, 6), graph)
    shop.model.bias = float("nan")
    with pytest.raises(GraphSeqError, match="Next gives NaN"):
        shop.recommend(users=["ann"])


def test_a_model_in_training_stays_in_training(graph) -> None:
    model = Next(3, 6).train()
    Recommender(model, graph).recommend(users=["ann"])
    assert model.training


def test_a_user_held_out_whole_is_known_by_the_held_out_rows(graph) -> None:
    # As in a user split: cid has no training events.
    edges = graph["user", "interacts", "item"].edge_index
    graph["user", "interacts", "item"].edge_index = edges[:, edges[0] != 2]
    graph.validation = HeldOut(
        *(torch.zeros(n, dtype=torch.int64) for n in (0, 0, 1, 0, 1))
    )
    found = Recommender(Next(3, 6), graph).recommend(users=["cid"], k=1)
    assert found["item"].to_list() == ["eggs"]


@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_item_vectors_that_are_trained_are_read_without_their_gradient(
    graph, index
) -> None:
    torch.manual_seed(0)
    shop = Recommender(BPRMF(3, 6, dim=4), graph, index=index)
    assert len(shop.similar_items(["tea"], k=2)) == 2
    assert len(shop.recommend(users=["ann"], k=2)) == 2


def test_a_model_without_vectors_recommends_and_refuses_what_needs_them(graph) -> None:
    shop = Recommender(ItemKNN(3, 6), graph)
    # Training events: ann ale bread, bob eggs rice, cid tea salt.
    found = shop.recommend(histories=[["tea"], ["rice", "ale"]], k=1)
    assert found["item"].to_list() == ["salt", "bread"]
    assert shop.recommend(users=["bob"], k=6)["item"].to_list() == ["ale", "bread"]
    for refused in (
        lambda: shop.similar_items(["tea"]),
        shop.vectors,
        lambda: Recommender(ItemKNN(3, 6), graph, index="hnsw"),
    ):
        with pytest.raises(ConfigError, match="ItemKNN has no vectors of users"):
            refused()


KINDS = {"ale": "fresh", "bread": "dry", "eggs": "fresh", "rice": "dry"}
KINDS |= {"salt": "dry", "tea": "drink"}


@pytest.mark.parametrize("index", ["exact", "faiss", "hnsw"])
def test_lists_mix_categories_by_the_weight(graph, index) -> None:
    shop = Recommender(Next(3, 6), graph, index=index, categories=KINDS)
    # After ale: bread 1, eggs 0 and ale 0, rice -3, salt -8, tea -15.
    given = {"histories": [["ale"]], "k": 4}
    plain = shop.recommend(**given)
    assert plain["item"].to_list() == ["bread", "eggs", "rice", "salt"]
    assert shop.recommend(**given, diversity=0.0).equals(plain)
    mixed = shop.recommend(**given, diversity=13.0)
    assert mixed["item"].to_list() == ["bread", "eggs", "tea", "rice"]
    assert mixed["score"].to_list() == [1, 0, -15, -3], "the model's own scores"
    assert mixed["rank"].to_list() == [1, 2, 3, 4]
    few = shop.recommend(**given, diversity=13.0, candidates=4)
    assert few["item"].to_list() == ["bread", "eggs", "rice", "salt"]


def test_lists_that_mix_hold_no_history_and_end_with_the_catalogue(graph) -> None:
    shop = Recommender(Next(3, 6), graph, categories=torch.tensor([0, 1, 0, 1, 1, 2]))
    found = shop.recommend(users=["ann", "cid"], k=100, diversity=5.0)
    of = {user: found.filter(user=user)["item"].to_list() for user in ("ann", "cid")}
    assert of == {"ann": ["salt", "tea"], "cid": ["eggs", "rice"]}


def test_mixing_without_categories_or_with_numbers_that_mean_nothing_is_refused(
    graph,
) -> None:
    with pytest.raises(ConfigError, match="needs the items' categories"):
        Recommender(Next(3, 6), graph).recommend(users=["ann"], diversity=1.0)
    shop = Recommender(Next(3, 6), graph, categories=KINDS)
    with pytest.raises(ConfigError, match=r"candidates are at least k=10.* found 5"):
        shop.recommend(users=["ann"], diversity=1.0, candidates=5)


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_threads_get_the_answers_that_each_gets_alone(index) -> None:
    torch.manual_seed(0)
    log = communities(300, 120, 6, seed=1)
    graph = build_graph(leave_one_out(log))
    model = SASRec(log.num_users, log.num_items)  # in training mode, with dropout
    recommender = Recommender(model, graph, index=index)
    names = recommender.users.ids.to_list()
    calls = [(names[n :: n + 2], 1 + n % 17) for n in range(160)]
    alone = [recommender.recommend(users, k=k) for users, k in calls]
    threads = torch.get_num_threads()
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda c: recommender.recommend(c[0], k=c[1]), calls))
    finally:
        sys.setswitchinterval(switch)
    assert [a.equals(b) for a, b in zip(alone, found, strict=True)] == [True] * 160
    assert all(module.training for module in model.modules())
    assert torch.get_num_threads() == threads


def test_training_the_model_meanwhile_does_not_switch_dropout_on(graph) -> None:
    torch.manual_seed(0)
    model = SASRec(3, 6)
    recommender = Recommender(model, graph)
    alone = recommender.recommend(users=["ann", "bob"], k=2)
    model.train()
    assert recommender.recommend(users=["ann", "bob"], k=2).equals(alone)


@pytest.fixture
def later() -> HeteroData:
    """Eve has no training event, and a held-out one before her target."""
    rows = [(u, ITEMS[i], t) for u, line in LINES.items() for t, i in enumerate(line)]
    rows += [("eve", "salt", 20), ("ann", "tea", 20), ("eve", "tea", 21)]
    rows += [("bob", "ale", 21)]
    user, item, time = zip(*rows, strict=True)
    log = Interactions.from_frame(
        pl.DataFrame({"user": user, "item": item, "time": time})
    )
    return build_graph(by_time(log, fractions=(0.8, 0.1, 0.1)))


@pytest.mark.parametrize("model", [BPRMF, LightGCN])
def test_a_user_whose_vector_was_never_trained_has_no_list_of_it(
    later: HeteroData, model: type[Model]
) -> None:
    """But that of popularity, without the items that the user knows."""
    events = later["user", "interacts", "item"].edge_index
    eve = int(later["user"].vocabulary.encode(["eve"])[0])
    assert not (events[0] == eve).any()
    shop = Recommender(model(4, 6, dim=4), later)
    message = r"eve' without any training event, and \w+ ranks with trained vectors"
    with pytest.raises(DataError, match=message):
        shop.recommend(["ann", "eve"])
    with pytest.raises(DataError, match=message):
        shop.score(["tea"], ["eve"])
    found = shop.recommend(["eve"], k=6, empty_history="popularity")
    counts = events[1].bincount(minlength=6).tolist()
    assert not {"salt", "tea"} & set(found["item"]) and found.height == 4
    for item, score in found.select("item", "score").rows():
        assert score == counts[int(later["item"].vocabulary.encode([item])[0])]
    assert shop.recommend(["ann"], k=1).height == 1


@pytest.mark.parametrize("option", ["only", "exclude"])
def test_ranks_are_among_the_candidates_however_these_are_given(
    graph: HeteroData, option: str
) -> None:
    """Reciprocal ranks of an ensemble; for all users at once, and for each."""
    torch.manual_seed(3)
    members = [ItemKNN(3, 6), BPRMF(3, 6, dim=4), BPRMF(3, 6, dim=4)]
    ensemble = Ensemble(members, combine="reciprocal_rank", rank_constant=1)
    shop = Recommender(ensemble.eval(), graph)
    items, users = ["ale", "tea", "rice"], ["ann", "bob", "cid"]
    together = shop.recommend(users, k=4, **{option: items}, history_items="keep")
    each = shop.recommend(users, k=4, **{option: [items] * 3}, history_items="keep")
    assert together.equals(each)
    wanted = set(items) if option == "only" else set(ITEMS) - set(items)
    for row, user in enumerate(users):
        scores = dict.fromkeys(wanted, 0.0)
        for member in members:
            alone = Recommender(member.eval(), graph).recommend(
                [user], k=6, history_items="keep"
            )
            ranked = [item for item in alone["item"] if item in wanted]
            for rank, item in enumerate(ranked, 1):
                scores[item] += 1 / (1 + rank)
        own = together.filter(pl.col("user") == user)
        for item, score in own.select("item", "score").rows():
            assert score == pytest.approx(scores[item], rel=1e-5), (row, item)


def test_arguments_that_are_not_lists_are_refused_by_name(
    graph: HeteroData, unchecked_shapes: None
) -> None:
    shop = Recommender(SASRec(3, 6), graph)
    with pytest.raises(ConfigError, match="users is a list; found only 5"):
        shop.recommend(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="each history is a list of raw item ids"):
        shop.recommend(histories=[None])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="found a set, which has no order"):
        shop.recommend(histories=[["tea"], {"ale"}])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="only is a list of raw item ids; found 5"):
        shop.recommend(["ann"], only=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="each list of only is a list of raw item"):
        shop.recommend(["ann", "bob"], only=[["ale"], None])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="one text or number for each item; found"):
        Recommender(SASRec(3, 6), graph, categories={"ale": ["x"]})  # type: ignore[dict-item]
    histories = pl.Series([["ale", None, "tea"], None, [None]])
    found = shop.recommend(histories=histories, k=1, empty_history="popularity")
    expected = shop.recommend(
        histories=[["ale", "tea"], [], []], k=1, empty_history="popularity"
    )
    assert found.equals(expected)
