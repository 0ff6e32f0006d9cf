"""Small graphs with a known answer, models to fit them, and a training loop."""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS, USER_CO_OCCURS, EdgeType
from graphseq.data import Interactions, leave_one_out, synthetic
from graphseq.graphs import CoOccurrence, build_graph
from graphseq.models import Backbone, Model, SequenceModel, create
from graphseq.models.graph_contrast import ProjectedContrast
from graphseq.models.registry import model_table
from graphseq.sequences import Batch, SequenceLoader, histories
from graphseq.sequences.augment import Augmentation
from graphseq.sequences.samplers import Sampler, gather
from graphseq.signatures import parameters
from graphseq.specs import merge

SIZES: dict[str, Any] = {"dim": 16, "max_length": 4}
TRANSFORMER = {"Transformer": {"layers": 1, "dropout": 0.1}}
SMALL: dict[str, dict[str, Any]] = {
    "LightGCN": {"layers": 2},
    "SimGCL": {"layers": 2, "noise": 0.1, "weight": 0.05},
    "XSimGCL": {"layers": 2, "noise": 0.1, "weight": 0.05},
    "ComiRec": {"num_negatives": 6, "interests": 1},  # more: see test_comirec.py
    "BERT4Rec": {
        "backbone": {"dim": 32, "max_length": 5, "sampler": "prefix"},
        "mask_rate": 0.3,
        "last_only_rate": 0.5,
    },
    "GRU4Rec": {"backbone": {"encoder": {"GRU": {"hidden": 32, "dropout": 0.1}}}},
    "Caser": {"backbone": {"encoder": {"Convolution": {"window": 3, "dropout": 0.1}}}},
    "FMLPRec": {
        "backbone": {"encoder": {"FourierFilter": {"dropout": 0.1}}, "loss": "ce"}
    },
    "BSARec": {
        "backbone": {
            "encoder": {"FrequencyAttention": {"dropout": 0.1, "cutoff": 1}}  # of 4
        }
    },
    "WEARec": {"backbone": {"encoder": {"WaveletFilter": {"dropout": 0.1}}}},
    "TVRec": {
        "backbone": {"encoder": {"TimeVariantFilter": {"dropout": 0.1, "bases": 4}}}
    },
    "S3Rec": {
        "backbone": {"sampler": "targets", "loss": "ce"},
        "objective": {"variant": "ISP", "pretrain_epochs": 2},
    },
    "EC4SRec": {
        "objective": {"updates": [1, 4], "view_weight": 0.02, "negative_weight": 0.01}
    },
    "ICLRec": {"backbone": {"sampler": "targets"}, "objective": {"clusters": [4]}},
    "CL4SRec": {"backbone": {"sampler": "targets"}},
    "CoSeRec": {
        "backbone": {"sampler": "targets"},
        "augmentation": {"threshold": 2, "offline_epochs": 1},
    },
    "LMA4Rec": {
        "backbone": {"sampler": "targets"},
        "augmentation": {"threshold": 2, "offline_epochs": 1},
    },
    "SRMA": {
        "backbone": {"sampler": "targets"},
        "objective": {"pretrain_epochs": 2, "pooling": "mean"},
    },
    "MCLRec": {"backbone": {"sampler": "targets"}},
    "DSSRec": {"backbone": {"sampler": "targets", "loss": "ce"}},
}
"""What a small model needs besides its sizes."""


def small(name: str) -> dict[str, Any]:
    """The options that make a model small, as in an experiment file."""
    known = parameters(model_table()[name])
    options: dict[str, Any] = {n: v for n, v in SIZES.items() if n in known}
    if "backbone" in known:
        options["backbone"] = {**SIZES, "encoder": TRANSFORMER}
    return merge(options, SMALL.get(name, {}))


def build(name: str, graph: HeteroData, *, seed: int = 0, **options: Any) -> Model:
    """A small model for a graph.

    Options are merged with the small ones, as those of a file with its base; parts are
    objects or ``{Name: options}``.
    """
    torch.manual_seed(seed)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    return create({name: merge(small(name), options)}, *sizes)


def load(
    model: Model,
    graph: HeteroData,
    *,
    batch_size: int = 64,
    seed: int = 0,
    sampler: Sampler | None = None,
) -> SequenceLoader:
    return SequenceLoader(
        graph,
        sampler or model.sampler,
        batch_size,
        model.max_length,
        seed=seed,
        num_negatives=model.num_negatives,
        empty_history=model.empty_history,
    )


def train(
    model: Model,
    graph: HeteroData,
    epochs: int,
    *,
    lr: float = 0.01,
    batch_size: int = 64,
    seed: int = 0,
) -> list[float]:
    """Train with Adam, stage by stage; return every step's loss.

    Stages before the last take half of the epochs together. The model is left in
    evaluation mode.
    """
    torch.manual_seed(seed)
    values: list[float] = []
    if not [*model.parameters()]:
        return values
    plan, epoch = model.stages(), 0
    for stage in plan:
        loader = load(
            model, graph, batch_size=batch_size, seed=seed, sampler=stage.sampler
        )
        adams = {
            step.modules: torch.optim.Adam(step.trains(model), lr)
            for step in stage.steps
        }
        for _ in range(epochs if len(plan) == 1 else max(1, epochs // 2)):
            loader.set_epoch(epoch)
            model.eval()
            with torch.no_grad():
                model.refresh(graph, epoch)
            model.train()
            for batch in loader:
                batch = stage.prepare(batch) if stage.prepare else batch
                for step in stage.steps:
                    loss = torch.stack([*step.losses(batch, graph).values()]).sum()
                    model.zero_grad()
                    loss.backward()
                    adams[step.modules].step()
                    values.append(loss.item())
            epoch += 1
    model.eval()
    return values


def test_batch(model: Model, graph: HeteroData) -> Batch:
    rows = torch.arange(len(graph.test.user))
    return histories(graph.test, rows, model.max_length, model.num_items)


def hit_rate(model: Model, graph: HeteroData, k: int) -> float:
    """Fraction of test users whose target is among the k best, history kept."""
    best = model.score(test_batch(model, graph), graph).topk(k).indices
    return (best == graph.test.target[:, None]).any(dim=1).float().mean().item()


def graph_of(log: Interactions) -> HeteroData:
    return build_graph(leave_one_out(log), [CoOccurrence("user"), CoOccurrence("item")])


def shuffle(log: Interactions, seed: int = 0) -> Interactions:
    """The same users, items and times; the items of all events are permuted."""
    items = np.random.default_rng(seed).permutation(log.item)
    return Interactions.from_arrays(
        log.user, items, log.time, users=log.users, items=log.items
    )


def homes(num_users: int, seed: int = 0) -> Interactions:
    """Users who draw 12 events from the six items of their own quarter of 24 items."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(num_users), 12)
    item = 6 * (user % 4) + rng.integers(6, size=len(user))
    return Interactions.from_arrays(user, item, np.tile(np.arange(12), num_users))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads only slow down models of this size."""
    with runtime.limit_threads(1):
        yield


@pytest.fixture(scope="session")
def cycle() -> HeteroData:
    """48 users walk a ring of 12 items; the next item is certain."""
    return graph_of(synthetic.cycle(48, 12, length=9, seed=0))


@pytest.fixture(scope="session")
def shuffled_cycle() -> HeteroData:
    """120 users whose next item is random."""
    return graph_of(shuffle(synthetic.cycle(120, 12, length=9, seed=0)))


@pytest.fixture(scope="session")
def quarters() -> HeteroData:
    return graph_of(homes(100))


@pytest.fixture(scope="session")
def shuffled_quarters() -> HeteroData:
    return graph_of(shuffle(homes(400)))


@pytest.fixture
def t1() -> HeteroData:
    """T1 of the specification: 3 users, 4 items, the last one without edges."""
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 4
    pairs = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 1)]
    graph[INTERACTS].edge_index = torch.tensor(pairs).T.contiguous()
    graph[USER_CO_OCCURS].edge_index = torch.tensor(
        [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]
    )
    graph[ITEM_CO_OCCURS].edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    return graph


@pytest.fixture
def small_log() -> HeteroData:
    """U-G of the specification: users with the items 0 1 2, 1 2 and 2 3."""
    graph = HeteroData()
    graph["user"].num_nodes, graph["item"].num_nodes = 3, 4
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2), (2, 3)]
    graph[INTERACTS].edge_index = torch.tensor(pairs).T.contiguous()
    return graph


def written(rows: Sequence[Sequence[int]], num_items: int) -> Batch:
    """A batch with these histories, of the users 0, 1, …."""
    lengths = torch.tensor([len(row) for row in rows])
    longest = max(1, max(map(len, rows)))
    items = [[*row, *[num_items] * (longest - len(row))] for row in rows]
    return Batch(torch.arange(len(rows)), torch.tensor(items), lengths, num_items)


USERS = torch.tensor([[1.0, 0], [0, 1], [1, 1]], dtype=torch.float64)
ITEMS = torch.tensor([[1.0, 2], [3, 4], [5, 6], [7, 8]], dtype=torch.float64)


@pytest.fixture
def t1_tables() -> tuple[Tensor, Tensor]:
    """H^u and H^v of the specification."""
    return USERS.clone(), ITEMS.clone()


def prefix_losses(model: SequenceModel, graph: HeteroData) -> Tensor:
    """The softmax loss of every row of the sampler ``prefix``, encoded alone."""
    (batch,) = load(model, graph, batch_size=10_000)
    items = model.item_vectors(graph)
    losses = []
    for row in range(len(batch)):
        length = int(batch.lengths[row])
        x = items.new_zeros(1, length or 1, items.shape[1])
        x[0, :length] = items[batch.items[row, :length]]
        mask = torch.arange(x.shape[1])[None] < length
        target = batch.targets[row, max(length - 1, 0)]
        scores = items @ model.backbone.encoder.last(x, mask)[0]
        losses.append(nn.functional.cross_entropy(scores, target))
    return torch.stack(losses)


class Laboratory:
    """The functions above, as one fixture."""

    small = staticmethod(small)
    build = staticmethod(build)
    load = staticmethod(load)
    prefix_losses = staticmethod(prefix_losses)
    train = staticmethod(train)
    test_batch = staticmethod(test_batch)
    written = staticmethod(written)
    hit_rate = staticmethod(hit_rate)
    graph_of = staticmethod(graph_of)
    shuffle = staticmethod(shuffle)


@pytest.fixture(scope="session")
def lab() -> type[Laboratory]:
    return Laboratory


@pytest.fixture(scope="session")
def noise() -> HeteroData:
    """60 users of 3 to 13 random events, 20 items; both co-occurrence relations."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 14, 60)
    time = np.concatenate([np.arange(n) for n in lengths])
    log = Interactions.from_arrays(
        np.repeat(np.arange(60), lengths), rng.integers(0, 20, lengths.sum()), time
    )
    relations = [CoOccurrence("user"), CoOccurrence("item", weight="iuf")]
    return build_graph(leave_one_out(log), relations)


class Loops:
    """Loss terms as loops over rows, each encoded alone and without padding."""

    @staticmethod
    def build(
        cls: type[SequenceModel],
        graph: HeteroData,
        backbone: Mapping[str, Any] = MappingProxyType({}),
        **options: Any,
    ) -> Any:
        """A model in float64 and evaluation mode, with weights far from zero."""
        torch.manual_seed(0)
        sizes = {"dim": 8, "max_length": 12} | dict(backbone)
        part = cls.default_backbone(graph["item"].num_nodes, **sizes)
        model = cls(graph["user"].num_nodes, part, **options)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.4 * torch.randn_like(weight))
        return model.double().eval()

    @staticmethod
    def batch(model: Model, graph: HeteroData, number: int = 14) -> Batch:
        """Random training rows of many lengths."""
        loader = load(model, graph, batch_size=16)
        generator = torch.Generator().manual_seed(1)
        rows = torch.randperm(len(loader.examples), generator=generator)[:number]
        batch = gather(loader.flat, loader.examples, rows, model.num_items)
        assert len(batch.lengths.unique()) > 3
        return batch

    @staticmethod
    def record_views(model: Model) -> list[Batch]:
        """A list to which every batch of views that the model draws is added."""
        seen: list[Batch] = []
        for part in model.modules():
            if isinstance(part, Augmentation):
                part.register_forward_hook(lambda _, inputs, views: seen.append(views))
        return seen

    @staticmethod
    def after(seed: int, draw: Callable[[], Any]) -> Any:
        """The result of a random function, from a seed."""
        torch.manual_seed(seed)
        return draw()

    @staticmethod
    def vectors(
        backbone: Backbone,
        items: Tensor,
        rows: Batch,
        pooling: str = "last",
        *,
        head: Callable[[Tensor], Tensor] = lambda states: states,
    ) -> Tensor:
        """The pooled vector of each row's newest items; ``flatten`` aligns the ends."""
        found, longest = [], backbone.max_length
        for row, length in zip(rows.items, rows.lengths.tolist(), strict=True):
            kept = row[max(0, length - longest) : length][None]
            size = torch.tensor([kept.numel()])
            alone = Batch(torch.tensor([0]), kept, size, len(items))
            x = backbone.embed(items, alone)
            states = head(backbone.encoder(x, alone.mask))[0]
            if pooling == "flatten":
                before = states.new_zeros(longest - len(states), states.shape[1])
                found.append(torch.cat([before, states]).flatten())
            else:
                found.append(states[-1] if pooling == "last" else states.mean(dim=0))
        return torch.stack(found).detach()

    @staticmethod
    def nt_xent(
        first: Tensor,
        second: Tensor,
        temperature: float = 1.0,
        exclude: Any = None,
        *,
        directions: str = "mean",
    ) -> float:
        """NT-Xent, anchor by anchor; ``exclude`` lists pairs that are not negatives.

        Papers print the sum of both directions for every row, and codes their mean.
        """
        both, number = [*first.tolist(), *second.tolist()], len(first)

        def similar(i: int, j: int) -> float:
            return sum(map(operator.mul, both[i], both[j])) / temperature

        total = 0.0
        for i in range(2 * number):
            partner = (i + number) % (2 * number)
            among = [partner]
            for j in range(2 * number):
                free = exclude is None or not exclude[i % number][j % number]
                among += [j] if j not in (i, partner) and free else []
            mass = sum(math.exp(similar(i, j)) for j in among)
            total += math.log(mass) - similar(i, partner)
        return total / number if directions == "sum" else total / (2 * number)

    @staticmethod
    def comparable(
        combine: str,
        scores: Sequence[float],
        excluded: Sequence[int] = (),
        constant: int = 60,
    ) -> list[float]:
        """A user's scores, made comparable to those of other models."""
        mean = sum(scores) / len(scores)
        if combine == "log_softmax":
            mass = sum(math.exp(s - max(scores)) for s in scores)
            return [s - max(scores) - math.log(mass) for s in scores]
        if combine == "z_score":
            deviation = math.sqrt(sum((s - mean) ** 2 for s in scores) / len(scores))
            return [(s - mean) / deviation if deviation else 0.0 for s in scores]
        values = []
        for i, s in enumerate(scores):
            rank = 1
            for j, t in enumerate(scores):
                above = t > s or (t == s and j < i)
                rank += above and j not in excluded
            values.append(1 / (constant + rank))
        return values

    @staticmethod
    def equal_pairs(labels: Sequence[int]) -> list[list[bool]]:
        """The pairs of rows with the same label, of which there are some."""
        assert len(set(labels)) < len(labels)
        return [[one == other for other in labels] for one in labels]

    @staticmethod
    def last_targets(batch: Batch) -> list[int]:
        """The target of each row's last position."""
        pairs = zip(batch.targets, batch.lengths, strict=True)
        return [int(row[n - 1]) for row, n in pairs]

    @staticmethod
    def check(found: Tensor, expected: float) -> None:
        """Refuse a difference beyond rounding in float64."""
        assert expected != 0
        assert found.item() == pytest.approx(expected, rel=1e-9)

    @staticmethod
    def with_auxiliaries(graph: HeteroData, encoder: Any, *auxiliaries: Any) -> Any:
        """A model of propagated features with these auxiliaries, and a batch."""
        backbone = {"encoder": encoder, "features": {"Propagated": {}}}
        model = Loops.build(SequenceModel, graph, backbone, auxiliaries=auxiliaries)
        return model, Loops.batch(model, graph, 8)

    @staticmethod
    def normalised(graph: HeteroData, relation: EdgeType) -> Tensor:
        """D^-1/2 A D^-1/2, dense; of a bipartite relation over users, then items."""
        (i, j), number = graph[relation].edge_index, graph["user"].num_nodes
        if relation == INTERACTS:
            size = number + graph["item"].num_nodes
            matrix = torch.zeros(size, size, dtype=torch.float64)
            matrix[i, j + number] = matrix[j + number, i] = 1.0
        else:
            size = graph[relation[0]].num_nodes
            matrix = torch.zeros(size, size, dtype=torch.float64)
            matrix[i, j] = graph[relation].edge_weight.double()
        root = matrix.sum(dim=1).sqrt()
        scale = root.where(root == 0, 1 / root)
        return scale[:, None] * matrix * scale

    @staticmethod
    def propagated(
        graph: HeteroData, relation: EdgeType, x: Tensor, layers: int
    ) -> Tensor:
        for _ in range(layers):
            x = Loops.normalised(graph, relation) @ x
        return x

    @staticmethod
    def one_sided(
        contrast: ProjectedContrast, a: Tensor, b: Tensor, t: float, users: Any = None
    ) -> float:
        """Eqs. (7) and (8), anchor by anchor; rows of one user are not negatives."""
        heads = (contrast.first, contrast.second or contrast.first)
        views = []
        for x, head in zip((a, b), heads, strict=True):
            inner = x @ head.inner.weight.T + head.inner.bias
            elu = torch.where(inner > 0, inner, inner.exp() - 1)
            outer = elu @ head.outer.weight.T + head.outer.bias
            views.append((outer / outer.norm(dim=1, keepdim=True)).detach())
        first, second = views
        total = 0.0
        for i in range(len(first)):
            own = float(first[i] @ second[i]) / t
            mass = math.exp(own)
            for j in range(len(first)):
                if j != i and (users is None or users[i] != users[j]):
                    mass += math.exp(float(first[i] @ second[j]) / t)
                    mass += math.exp(float(first[i] @ first[j]) / t)
            total += math.log(mass) - own
        return total / len(first)

    @staticmethod
    def prefixes(batch: Batch) -> tuple[Batch, list[int]]:
        """Every prefix with a target as a row, and its row in the batch."""
        at, _ = batch.target_positions()
        rows, last = at.nonzero().T
        return (
            Batch(batch.user[rows], batch.items[rows], last + 1, batch.num_items),
            rows.tolist(),
        )


@pytest.fixture(scope="session")
def loops() -> type[Loops]:
    return Loops
