"""DSSRec: terms against loops over rows, its stages, which vectors rank."""

from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import DisentangledFuture, DSSRec
from graphseq.objectives import cross_entropy, seq2item, seq2seq
from graphseq.sequences import SequenceLoader
from graphseq.sequences.rows import full_sequences, split_at_random


def small(
    backbone: dict[str, Any] | None = None, serve: Any = "last", **options: Any
) -> DSSRec:
    torch.manual_seed(0)
    encoder = {"Transformer": {"layers": 1, "dropout": 0.0}}
    sizes = {"dim": 8, "max_length": 5, "encoder": encoder} | (backbone or {})
    objective = DisentangledFuture(**{"prototypes": 3} | options)
    part = DSSRec.default_backbone(12, **sizes)
    return DSSRec(48, part, objective=objective, serve=serve).double()


def test_terms_compare_past_and_future_of_a_random_split(
    lab: Any, cycle: HeteroData
) -> None:
    options = {"item_weight": 2.0, "sequence_weight": 3.0, "keep": 0.4}
    model = small(**options)
    batch = lab.load(model, cycle)[0]
    torch.manual_seed(5)
    found = model.losses(batch, cycle)
    torch.manual_seed(5)
    past, future, following = split_at_random(full_sequences(batch, 6))
    items, encodings = model.item_vectors(cycle), []
    for part in (past, future):
        for row, n in zip(part.items, part.lengths.tolist(), strict=True):
            real = torch.ones(1, n, dtype=torch.bool)
            states = model.backbone.encoder(items[row[:n]][None], real)
            [own] = model.future.disentangle(states, real, future=part is future)
            encodings.append(own)
    phi, psi = torch.stack(encodings).chunk(2)
    torch.testing.assert_close(found["seq2item"], 2 * seq2item(phi, items[following]))
    torch.testing.assert_close(found["seq2seq"], 3 * seq2seq(phi, psi, 0.4))
    assert [*found] == ["next_item", "seq2item", "seq2seq"]
    pretrained = small(pretrain_epochs=7, **options)
    first, second = pretrained.stages()
    assert (first.epochs, second.epochs) == (7, None)
    torch.manual_seed(5)
    alone = first.steps[0].losses(batch, cycle)
    assert {n: found[n] for n in ("seq2item", "seq2seq")} == alone
    assert [*second.steps[0].losses(batch, cycle)] == ["next_item"]


def test_the_best_encoding_ranks(lab: Any, cycle: HeteroData) -> None:
    model = small({"sampler": "prefix"}, serve="prototypes")
    histories = lab.test_batch(model, cycle)
    assert small().represent(histories, cycle).shape == (48, 8)
    vectors = model.represent(histories, cycle)
    assert vectors.shape == (48, 3, 8)
    expected = (vectors @ model.item_vectors(cycle).T).amax(dim=1)
    torch.testing.assert_close(model.score(histories, cycle), expected.detach())


@pytest.mark.parametrize("pretrain_epochs", [0, 1])
def test_the_encoding_nearest_to_the_target_is_trained(
    lab: Any, cycle: HeteroData, pretrain_epochs: int
) -> None:
    options = {"serve": "prototypes", "pretrain_epochs": pretrain_epochs}
    model = small({"sampler": "prefix", "loss": "ce"}, **options)
    batch, items = lab.load(model, cycle)[0], model.item_vectors(cycle)
    states = model.backbone.states(items, batch)
    encodings = model.future.encodings(states, batch.mask)
    _, targets = batch.target_positions()
    chosen = []
    for row, target in zip(encodings, targets.tolist(), strict=True):
        scores = [float((vector @ items[target]).detach()) for vector in row]
        chosen.append(row[scores.index(max(scores))])
    expected = cross_entropy(torch.stack(chosen), items, targets)
    torch.testing.assert_close(model.losses(batch, cycle)["next_item"], expected)


def test_encodings_that_rank_need_rows_that_end_with_their_target() -> None:
    with pytest.raises(ConfigError, match="sampler='prefix', found 'user'"):
        small({"sampler": "user"}, serve="prototypes")


def test_pre_training_may_read_long_sequences_in_windows(cycle: HeteroData) -> None:
    """All events of all users, though the next item reads the newest."""
    options: dict[str, Any] = {"pretrain_sampler": "targets", "pretrain_batch_size": 99}
    model = small({"max_length": 3}, pretrain_epochs=1, **options)
    first, last = model.stages()
    assert (first.sampler, first.batch_size) == ("targets", 99)
    assert (last.sampler, last.batch_size) == (None, None)
    rows = {}
    for sampler in ("targets", "user"):
        batch = SequenceLoader(cycle, sampler, 10_000, 3)[0]
        torch.manual_seed(0)
        assert first.steps[0].losses(batch, cycle).keys() == {"seq2item", "seq2seq"}
        rows[sampler] = len(batch)
    assert rows["targets"] > rows["user"] == 48


def test_fit_runs_both_stages(cycle: HeteroData) -> None:
    model = small(pretrain_epochs=1).float()
    run = fit(model, cycle, max_epochs=2, progress=False, accelerator="cpu")
    first, second = run.history
    assert first["seq2seq"] > 0 and first["next_item"] is None
    assert second["next_item"] > 0 and second["seq2seq"] is None


def test_splitting_leaves_the_batch_unchanged(lab: Any, cycle: HeteroData) -> None:
    model = small()
    batch = lab.load(model, cycle)[0]
    items, targets = batch.items.clone(), batch.targets.clone()
    model.losses(batch, cycle)
    assert torch.equal(batch.items, items) and torch.equal(batch.targets, targets)
