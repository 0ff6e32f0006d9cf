"""SimGCL and XSimGCL against the numbers of the specification and naive loops."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.errors import ConfigError
from graphseq.models import SimGCL, XSimGCL
from graphseq.sequences import Batch

NODES = [[1.0, 1], [0, 2], [-1, 0], [1, 0], [0, 1], [1, 1], [2, -1]]
MEAN = [[0.81890383, 1.28365888], [0.42032743, 1.21744560], [0.53025849, 0.06038974]]
FIRST = [[0.92148653, 0.94128965], [0.60439029, 0.94734195], [1.94238725, -0.45891441]]
CLEAN = [[0.69285598, 1.01655328], [0.29089427, 1.04089427], [0.64593897, 0.08527880]]
EDGES = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2), (2, 3)]


def deltas(start: int = 600) -> Iterator[Tensor]:
    """U-X: the noise of layer k, |sin| from 600 + 20 k."""
    for k in range(start, start + 200, 20):
        yield torch.arange(k, k + 14).double().sin().abs().view(7, 2)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of the specification instead of uniform random numbers."""
    drawn = deltas()
    monkeypatch.setattr(torch, "rand_like", lambda x: next(drawn).to(x))


def written(kind: Callable, **options):
    model = kind(3, 4, dim=2, layers=2, noise=0.2, **options).double()
    with torch.no_grad():
        number = len(model.users)
        model.users[:] = torch.tensor(NODES[:number])
        model.items[:] = torch.tensor(NODES[number:])
    return model


def batch(users: list[int], targets: list[int], negatives: list[int]) -> Batch:
    n = len(users)
    pairs = torch.tensor(targets)[:, None], torch.tensor(negatives)[:, None, None]
    rows = torch.full((n, 1), 4), torch.zeros(n, dtype=torch.int64)
    return Batch(torch.tensor(users), *rows, 4, *pairs)


def test_vectors_are_those_of_the_specification(
    given: None, small_log: HeteroData
) -> None:
    model = written(XSimGCL)
    layers = model.layer_vectors(small_log, noisy=True)
    clean = model.layer_vectors(small_log).mean(dim=0)
    pairs = (layers.mean(dim=0), MEAN), (layers[0], FIRST), (clean, CLEAN)
    for found, expected in pairs:
        values = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(found[:3], values, rtol=0, atol=1e-7)


def test_contrast_is_that_of_the_specification(
    given: None, small_log: HeteroData
) -> None:
    """The distinct users 0, 1, 2 and items 0 … 3, however often they occur."""
    model = written(XSimGCL, weight=1.0, temperature=0.15)
    pairs = batch([2, 0, 1, 0, 2], [3, 0, 1, 2, 2], [0] * 5)
    found = model.losses(pairs, small_log)["contrast"].item()
    assert found == pytest.approx(0.54745363 + 2.27177736, abs=1e-7)


def naive_layers(noise: list | None, layers: int = 2) -> list:
    """The vectors of each layer by loops over edges."""
    near: dict[int, list[int]] = {n: [] for n in range(7)}
    for u, i in EDGES:
        near[u].append(3 + i)
        near[3 + i].append(u)
    x, found = NODES, []
    for layer in range(layers):
        rows = []
        for n in range(7):
            row = [0.0, 0.0]
            for m in near[n]:
                scale = math.sqrt(len(near[n]) * len(near[m]))
                row = [a + b / scale for a, b in zip(row, x[m], strict=True)]
            if noise:
                delta = noise[layer][n]
                size = math.hypot(*delta)
                row = [
                    a + 0.2 * ((a > 0) - (a < 0)) * d / size
                    for a, d in zip(row, delta, strict=True)
                ]
            rows.append(row)
        x = rows
        found.append(x)
    return found


def mean(layers: list) -> list:
    return [
        [sum(c) / len(layers) for c in zip(*rows, strict=True)]
        for rows in zip(*layers, strict=True)
    ]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def naive_contrast(first: list, second: list, rows: list[int], tau: float) -> float:
    total = 0.0
    for i in rows:
        logits = {
            j: dot(first[i], second[j])
            / math.hypot(*first[i])
            / math.hypot(*second[j])
            / tau
            for j in rows
        }
        total += math.log(sum(map(math.exp, logits.values()))) - logits[i]
    return total / len(rows)


def naive_ranking(x: list, users, targets, negatives, decay: float) -> tuple:
    pairs = zip(users, targets, negatives, strict=True)
    loss = sum(
        math.log1p(math.exp(dot(x[u], x[3 + j]) - dot(x[u], x[3 + i])))
        for u, i, j in pairs
    )
    sizes = [
        math.sqrt(sum(dot(x[n], x[n]) for n in rows))
        for rows in (users, [3 + i for i in targets])
    ]
    return loss / len(users), decay * sum(sizes) / len(users)


@pytest.mark.parametrize("kind", [SimGCL, XSimGCL])
def test_losses_are_those_of_loops(
    given: None, kind: Callable, small_log: HeteroData
) -> None:
    options = {"weight": 0.3, "temperature": 0.2, "decay": 0.01}
    users, targets, negatives = [0, 2, 0], [1, 3, 2], [3, 0, 0]
    terms = written(kind, **options).losses(batch(users, targets, negatives), small_log)
    drawn = [noise.tolist() for noise in deltas()]
    if kind is XSimGCL:
        layers = naive_layers(drawn[:2])
        read, first, second = mean(layers), mean(layers), layers[0]
    else:
        read = mean(naive_layers(None))
        first, second = (mean(naive_layers(drawn[n : n + 2])) for n in (0, 2))
    pairs, penalty = naive_ranking(read, users, targets, negatives, 0.01)
    contrast = sum(
        naive_contrast(first, second, rows, 0.2) for rows in ([0, 2], [4, 5, 6])
    )
    assert terms["pairs"].item() == pytest.approx(pairs, rel=1e-6)
    assert terms["decay"].item() == pytest.approx(penalty, rel=1e-6)
    assert terms["contrast"].item() == pytest.approx(0.3 * contrast, rel=1e-6)


@pytest.mark.parametrize("kind", [SimGCL, XSimGCL])
def test_evaluation_has_no_noise_and_propagates_once(
    kind: Callable, noise: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = kind(60, 20, dim=8)
    calls = []
    original = type(model).layer_vectors

    def counted(self, *args, **options):
        calls.append(options)
        return original(self, *args, **options)

    monkeypatch.setattr(type(model), "layer_vectors", counted)
    first = gs.evaluate(model, noise, batch_size=16)
    assert calls == [{}]
    assert gs.evaluate(model, noise).means == first.means


def test_zero_vectors_and_weights_of_zero(small_log: HeteroData) -> None:
    model = written(SimGCL, weight=0.0)
    assert "contrast" not in model.losses(batch([0], [1], [3]), small_log)
    with torch.no_grad():
        model.users.zero_()
        model.items.zero_()
    assert not model.layer_vectors(small_log, noisy=True).any()


def test_the_layer_of_the_contrast_is_one_of_the_layers() -> None:
    with pytest.raises(ConfigError, match="found 3 of 2 layers"):
        XSimGCL(3, 4, layers=2, contrast_layer=3)
