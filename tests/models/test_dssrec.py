"""DSSRec: which vectors serve, what is trained when, and what each loss compares."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.errors import ConfigError
from graphseq.models import DSSRec
from graphseq.nn import GRU, Transformer
from graphseq.objectives import cross_entropy, seq2item, seq2seq
from graphseq.sequences.whole import split_at_random, whole

V = 12


def built(seed: int = 0, **options) -> DSSRec:
    torch.manual_seed(seed)
    encoder = Transformer(8, 5, layers=1, dropout=0.0)
    given = {"encoder": encoder, "max_length": 5, "prototypes": 3}
    return DSSRec(48, V, **(given | options)).double()


def test_the_losses_compare_past_and_future_of_a_random_cut(
    lab, cycle: HeteroData
) -> None:
    model = built(item_weight=2.0, sequence_weight=3.0, keep=0.4)
    batch = lab.load(model, cycle)[0]
    torch.manual_seed(5)
    found = model.losses(batch, cycle)
    torch.manual_seed(5)
    past, future, following = split_at_random(whole(batch, 6))
    table = model.item_vectors(cycle)
    rows, labels = [], []
    for part, made in ((past, rows), (future, labels)):
        for items, n in zip(part.items, part.lengths.tolist(), strict=True):
            seen = torch.ones(1, n, dtype=torch.bool)
            states = model.backbone.encoder(table[items[:n]][None], seen)
            made.append(model.disentangle(states, seen, future=part is future)[0])
    phi, psi = torch.stack(rows), torch.stack(labels)
    torch.testing.assert_close(
        found["seq2item"], 2 * seq2item(phi, table[following]), check_dtype=False
    )
    torch.testing.assert_close(found["seq2seq"], 3 * seq2seq(phi, psi, 0.4))
    assert [*found] == ["next_item", "seq2item", "seq2seq"]


def test_the_last_state_serves_by_default_and_the_best_encoding_on_demand(
    lab, cycle: HeteroData
) -> None:
    last, best = built(), built(serve="prototypes", sampler="prefix")
    histories = lab.test_batch(last, cycle)
    assert last.represent(histories, cycle).shape == (48, 8)
    vectors = best.represent(histories, cycle)
    assert vectors.shape == (48, 3, 8)
    expected = (vectors @ best.item_vectors(cycle).T).amax(dim=1)
    torch.testing.assert_close(best.score(histories, cycle), expected.detach())


def test_a_target_is_learnt_from_the_nearest_encoding(lab, cycle: HeteroData) -> None:
    model = built(serve="prototypes", sampler="prefix", loss="ce")
    batch = lab.load(model, cycle)[0]
    table = model.item_vectors(cycle)
    encodings = model.encodings(table, batch)
    _, targets = batch.target_positions()
    chosen = []
    for row, target in zip(encodings, targets.tolist(), strict=True):
        scores = [float((row[k] @ table[target]).detach()) for k in range(3)]
        chosen.append(row[scores.index(max(scores))])
    expected = cross_entropy(torch.stack(chosen), table, targets)
    torch.testing.assert_close(model.next_item(batch, cycle)["next_item"], expected)


def test_encodings_that_serve_need_rows_that_end_with_their_target() -> None:
    with pytest.raises(ConfigError, match="sampler='prefix'"):
        built(serve="prototypes", sampler="user")


def test_pretraining_leaves_the_next_item_to_the_second_stage() -> None:
    [only] = built().stages()
    assert only.epochs is None
    first, second = built(pretrain_epochs=7).stages()
    assert (first.epochs, second.epochs) == (7, None)


def test_fit_runs_both_stages(cycle: HeteroData) -> None:
    model = built(pretrain_epochs=1).float()
    run = fit(model, cycle, max_epochs=2, progress=False, accelerator="cpu")
    first, second = run.history
    assert first["seq2seq"] > 0 and first["next_item"] is None
    assert second["next_item"] > 0 and second["seq2seq"] is None


def test_any_encoder_is_disentangled(lab, cycle: HeteroData) -> None:
    model = built(encoder=GRU(8, hidden=8)).float()
    terms = model.losses(lab.load(model, cycle)[0], cycle)
    assert all(term.isfinite() for term in terms.values())


def test_cutting_leaves_the_batch_as_it_was(lab, cycle: HeteroData) -> None:
    model = built()
    batch = lab.load(model, cycle)[0]
    items, targets = batch.items.clone(), batch.targets.clone()
    model.losses(batch, cycle)
    assert torch.equal(batch.items, items) and torch.equal(batch.targets, targets)
