"""A user's vector in the states that score items, against loops over prefixes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import INTERACTS, USER_CO_OCCURS
from graphseq.models import Backbone, SequenceModel, UserContext, create
from graphseq.nn import GRU, FrequencyAttention, Transformer
from graphseq.schema import OptionError, describe
from graphseq.sequences import Batch

JOINS = ("add", "gate", "token")
SOURCES: dict[str, dict[str, Any]] = {
    "history": {},
    "interacts": {"source": "graph"},
    "user": {"source": "graph", "relation": "user", "layers": 1},
}


def batch_of(rows: list[list[int]], users: list[int], targets: Any = None) -> Batch:
    lengths = torch.tensor([len(row) for row in rows])
    width = max(1, int(lengths.max()))
    items = torch.tensor([row + [4] * (width - len(row)) for row in rows])
    if targets is not None:
        targets = torch.tensor([row + [4] * (width - len(row)) for row in targets])
    return Batch(torch.tensor(users), items, lengths, 4, targets=targets)


def backbone_of(encoder: Any, users: UserContext | None, **options: Any) -> Backbone:
    """With random weights that are not small, so that nothing is close by chance."""
    torch.manual_seed(0)
    backbone = Backbone(4, encoder=encoder, users=users, max_length=3, **options)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.normal_()
    return backbone.eval()


def test_user_rows_are_those_of_the_specification(
    relations: HeteroData, tables: tuple[Tensor, Tensor]
) -> None:
    """G3, mean of layers 0 to 2, and G5."""
    expected = {
        "interacts": [
            [0.79523732, 1.01103552],
            [0.19392951, 1.36059618],
            [0.09729265, 0.05685254],
        ],
        "user": [
            [0.29587585, 1.16666667],
            [0.12920919, 1.33333333],
            [-0.29587585, 0.61237244],
        ],
    }
    batch = batch_of([[1], [2], [0]], [0, 1, 2])
    for relation, rows in expected.items():
        users = UserContext(3, dim=2, **SOURCES[relation]).double()
        assert users.table is not None
        with torch.no_grad():
            users.table.copy_(tables[0])
        found = users(tables[1], batch, relations)
        exact = torch.tensor(rows, dtype=torch.float64)
        torch.testing.assert_close(found, exact, rtol=0, atol=2e-7)


def test_a_history_is_the_mean_of_its_items_at_every_position(
    relations: HeteroData,
) -> None:
    items = torch.randn(4, 2)
    rows = [[1, 3, 3], [2], []]
    found = UserContext(dim=2)(
        items, batch_of(rows, [0, 1, 2]), relations, every_position=True
    )
    for row, vectors in zip(rows, found, strict=True):
        for t in range(len(row)):
            expected = sum(items[i] for i in row[: t + 1]) / (t + 1)
            torch.testing.assert_close(vectors[t], expected)
    assert not found[2].any()
    last = UserContext(dim=2)(items, batch_of(rows, [0, 1, 2]), relations)
    torch.testing.assert_close(last[:2], torch.stack([found[0, 2], found[1, 0]]))
    masked = batch_of([[1, 4, 3]], [0])
    found = UserContext(dim=2)(items, masked, relations)[0]
    torch.testing.assert_close(found, (items[1] + items[3]) / 2)


@pytest.mark.parametrize("relation", ["interacts", "user"])
def test_users_without_events_have_the_mean_of_their_history(
    relations: HeteroData, relation: str
) -> None:
    """User 3 has no events, user -1 and user 9 are outside the graph."""
    relations["user"].num_nodes = 4
    items = torch.randn(4, 2)
    users = UserContext(4, dim=2, **SOURCES[relation])
    found = users(items, batch_of([[1, 2]] * 4, [3, -1, 9, 0]), relations)
    history = (items[1] + items[2]) / 2
    torch.testing.assert_close(found[:3], history.expand(3, 2))
    assert not torch.allclose(found[3], history)


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("encoder", [GRU(6), Transformer(6, 4, layers=1)])
def test_states_are_joined_as_written(
    relations: HeteroData, join: Any, source: str, encoder: Any
) -> None:
    users = UserContext(3, dim=6, join=join, **SOURCES[source])
    backbone = backbone_of(encoder, users, sampler="prefix")
    items = backbone.items(relations)
    batch = batch_of([[1, 3, 3], [2], [0, 1]], [0, 1, 2])
    found = backbone.represent(items, batch, relations)
    context = users(items, batch, relations)
    for n, row in enumerate([[1, 3, 3], [2], [0, 1]]):
        x, z = items[row], context[n]
        if join == "token":
            x = torch.cat([(users.map.weight @ z)[None], x])
        mask = torch.ones(1, len(x), dtype=torch.bool)
        h = encoder(x[None], mask)[0, -1]
        if join == "add":
            h = h + users.map.weight @ z
        if join == "gate":
            g = torch.sigmoid(users.map.weight @ torch.cat([h, z]))
            h = g * h + (1 - g) * z
        torch.testing.assert_close(found[n], h, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("join", ["add", "gate"])
@pytest.mark.parametrize("source", SOURCES)
def test_training_at_every_position_equals_serving_every_prefix(
    relations: HeteroData, join: Any, source: str
) -> None:
    """No state sees its target, and none depends on a later item."""
    users = UserContext(3, dim=6, join=join, **SOURCES[source])
    backbone = backbone_of(Transformer(6, 3, layers=1), users)
    items = backbone.items(relations)
    whole = batch_of([[1, 3, 0], [2, 0]], [0, 1], [[3, 0, 2], [0, 1]])
    found = backbone.encode(items, whole, relations).with_users
    prefixes = [[1], [1, 3], [1, 3, 0], [2], [2, 0]]
    rows = batch_of(prefixes, [0, 0, 0, 1, 1])
    expected = backbone.represent(items, rows, relations)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("join", JOINS)
def test_rows_of_one_target_are_encoded_as_they_are_served(
    relations: HeteroData, join: Any
) -> None:
    users = UserContext(dim=6, join=join)
    encoder = FrequencyAttention(6, 4, layers=1, cutoff=1)
    backbone = backbone_of(encoder, users, sampler="prefix")
    items = backbone.items(relations)
    batch = batch_of([[1, 3], [2]], [0, 1], [[4, 0], [1]])
    expected = backbone.represent(items, batch, relations)
    for every in (False, True):
        encoding = backbone.encode(items, batch, relations, every_position=every)
        torch.testing.assert_close(encoding.with_users, expected)


def test_contrasted_states_are_those_of_the_sequence_alone(
    relations: HeteroData,
) -> None:
    for join in JOINS:
        users = UserContext(dim=6, join=join)  # type: ignore[arg-type]
        backbone = backbone_of(Transformer(6, 4, layers=1), users, sampler="prefix")
        items = backbone.items(relations)
        batch = batch_of([[1, 3], [2]], [0, 1], [[4, 0], [1]])
        before = (
            backbone.last(items, batch),
            backbone.represent(items, batch, relations),
        )
        with torch.no_grad():
            users.map.weight.normal_(std=5)
        after = backbone.last(items, batch), backbone.represent(items, batch, relations)
        assert torch.equal(before[0], after[0])
        assert not torch.allclose(before[1], after[1])


def test_the_edges_of_targets_are_left_out_in_training_only(
    relations: HeteroData,
) -> None:
    users = UserContext(3, dim=2, source="graph", target_edges="left_out")
    items = torch.randn(4, 2)
    batch = batch_of([[0, 1], [2]], [0, 2], [[4, 2], [3]])
    without = relations.clone()
    kept = [n for n in range(7) if n not in (2, 6)]
    without[INTERACTS].edge_index = relations[INTERACTS].edge_index[:, kept]
    whole = users.eval()(items, batch, relations)
    expected = users(items, batch, without)
    found = users.train()(items, batch, relations)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, whole)


def test_a_row_without_items_has_only_its_user(relations: HeteroData) -> None:
    users = UserContext(3, dim=6, source="graph", join="token")
    backbone = backbone_of(Transformer(6, 4, layers=1), users)
    items = backbone.items(relations)
    found = backbone.represent(items, batch_of([[], []], [0, 1]), relations)
    assert found.any(dim=1).all() and not torch.allclose(found[0], found[1])


@pytest.mark.parametrize(
    "options, found",
    [
        ({"relation": "user"}, "relation: only source='graph' reads it"),
        ({"target_edges": "left_out"}, "target_edges: only source='graph' reads it"),
        ({"source": "graph"}, "num_users: expected the number of users, found None"),
        (
            {
                "num_users": 3,
                "source": "graph",
                "relation": "user",
                "target_edges": "left_out",
            },
            "target_edges: the edges between users count the items",
        ),
        (
            {"num_users": 3, "source": "graph", "layers": 1, "readout": "last"},
            "readout: after 1 layers, the last vector of a user depends on items only",
        ),
    ],
)
def test_contradicting_options_are_refused(options: dict[str, Any], found: str) -> None:
    with pytest.raises(OptionError, match=found):
        UserContext(dim=2, **options)


def test_training_that_would_show_its_targets_is_refused() -> None:
    with pytest.raises(OptionError, match="users: the first position would hold the"):
        Backbone(4, users=UserContext(dim=8, join="token"))
    left = UserContext(3, dim=8, source="graph", target_edges="left_out")
    with pytest.raises(OptionError, match=r"users: .* would leave no edge of a user"):
        Backbone(4, users=left)
    with pytest.raises(OptionError, match="set the encoder's max_length to 51"):
        users = UserContext(dim=8, join="token")
        Backbone(4, users=users, encoder=Transformer(8, 50), sampler="prefix")
    longest = Backbone(4, users=UserContext(dim=8, join="token"), sampler="prefix")
    assert longest.encoder.max_length == 51
    with pytest.raises(OptionError, match="dim: expected one width, found encoder has"):
        Backbone(4, users=UserContext(dim=8), encoder=GRU(16))


@pytest.mark.parametrize("name", ["Caser", "BERT4Rec"])
def test_models_that_score_by_something_else_refuse_users(name: str) -> None:
    part = {"dim": 8, "users": {"UserContext": {}}}
    with pytest.raises(OptionError, match=r"backbone\.users: would join no state"):
        create({name: {"backbone": part}}, 3, 4)


def test_users_are_written_in_files(relations: HeteroData) -> None:
    users = {"UserContext": {"source": "graph", "relation": "user", "join": "gate"}}
    backbone = {"dim": 8, "max_length": 5, "users": users}
    model = create({"SASRec": {"backbone": backbone}}, 3, 4)
    assert isinstance(model, SequenceModel)
    assert USER_CO_OCCURS in model.requires and INTERACTS in model.requires
    assert len(model.backbone.users.table) == 3  # type: ignore[union-attr,arg-type]
    again = create(describe(model), 3, 4)
    again.load_state_dict(model.state_dict())
    batch = replace(batch_of([[1, 2]], [1]))
    assert torch.equal(
        again.eval().score(batch, relations), model.eval().score(batch, relations)
    )


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("join", JOINS)
def test_objectives_read_a_batch_as_they_read_their_views(
    relations: HeteroData, join: Any, every: bool
) -> None:
    """Without the user: contrast would compare rows with a token to rows without."""
    users = UserContext(3, dim=6, join=join, source="graph")
    backbone = backbone_of(Transformer(6, 4, layers=1), users, sampler="prefix")
    items = backbone.items(relations)
    batch = batch_of([[1, 3], [2]], [0, 1], [[4, 0], [1]])
    encoding = backbone.encode(items, batch, relations, every_position=every)
    torch.testing.assert_close(encoding.last, backbone.last(items, batch))
    torch.testing.assert_close(encoding.at_targets, backbone.last(items, batch))
    if every:
        torch.testing.assert_close(encoding.states, backbone.states(items, batch))
    scored = backbone.represent(items, batch, relations)
    torch.testing.assert_close(encoding.with_users, scored)
    assert not torch.allclose(encoding.last, scored)
