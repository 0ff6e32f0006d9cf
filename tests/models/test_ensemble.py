"""Ensembles: scores by loops, members of other graphs refused, the history excluded."""

import copy
import itertools

import numpy as np
import polars as pl
import pytest
import torch
from torch_geometric.data import HeteroData

import graphseq as gs
from graphseq.data.ragged import Ragged
from graphseq.errors import ConfigError, GraphSeqError
from graphseq.models import EASE, Ensemble, SequenceModel, create, scoring
from graphseq.schema import describe
from graphseq.sequences.rows import newest

SMALL = {"dim": 8, "max_length": 5}
ENCODERS = ({"Transformer": {"layers": 1}}, {"GRU": {"hidden": 8}})
COMBINE = ["log_softmax", "z_score", "reciprocal_rank"]


def sequence_model(graph: HeteroData, encoder: dict, seed: int, **options):
    torch.manual_seed(seed)
    sizes = graph["user"].num_nodes, graph["item"].num_nodes
    backbone = {**SMALL, "encoder": encoder, **options}
    model = create({"SequenceModel": {"backbone": backbone}}, *sizes).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.5 * torch.randn_like(weight))
    return model


@pytest.fixture(scope="module")
def members(noise: HeteroData):
    """A transformer of five items, a GRU of nine, and several interests."""
    torch.manual_seed(3)
    sizes = noise["user"].num_nodes, noise["item"].num_nodes
    comirec = create({"ComiRec": {**SMALL, "interests": 3}}, *sizes).eval()
    return [
        sequence_model(noise, ENCODERS[0], 1),
        sequence_model(noise, ENCODERS[1], 2, max_length=9),
        comirec,
    ]


def by_loops(loops, ensemble, graph, batch, excluded) -> np.ndarray:
    """Scores of the ensemble, (B, V), from those of the members."""
    total = np.zeros((len(batch), ensemble.num_items))
    scale = len(ensemble.weights) if ensemble.combine == "reciprocal_rank" else 1
    for model, weight in zip(ensemble.models, ensemble.weights, strict=True):
        rows = newest(batch, model.max_length)
        for row, scores in enumerate(model.score(rows, graph).double().tolist()):
            values = loops.comparable(
                ensemble.combine, scores, excluded[row], ensemble.rank_constant
            )
            total[row] += scale * weight * np.array(values)
    return total


@pytest.mark.parametrize("combine", COMBINE)
def test_scores_are_those_of_loops_over_members_and_users(
    combine, members, noise, lab, loops, monkeypatch
) -> None:
    monkeypatch.setattr(scoring, "FEWEST_ROWS", 1)
    monkeypatch.setattr(scoring, "CPU_BLOCK", 8 * 64)  # several blocks
    ensemble = Ensemble(members, weights=[2.0, 1.0, 1.0], combine=combine).eval()
    assert ensemble.max_length == 9
    batch = lab.test_batch(ensemble, noise)
    assert batch.items.shape[1] > 5
    nothing = [()] * len(batch)
    expected = by_loops(loops, ensemble, noise, batch, nothing)
    assert np.abs(ensemble.score(batch, noise).numpy() - expected).max() < 1e-5
    seen = Ragged(noise.test.history, noise.test.history_ptr).distinct()
    lists = [seen.between(n, n + 1).items.tolist() for n in range(len(batch))]
    expected = by_loops(loops, ensemble, noise, batch, lists)
    scorer = ensemble.scorer(noise)
    assert scorer.depends_on_candidates == (combine == "reciprocal_rank")
    with torch.no_grad():
        for first, block in scorer.candidate_blocks(batch, seen):
            assert block[:, ensemble.num_items :].eq(-torch.inf).all()
            for row, scores in enumerate(block.tolist(), first):
                for item in set(range(ensemble.num_items)) - set(lists[row]):
                    assert scores[item] == pytest.approx(expected[row, item], abs=1e-5)


def naive_rank(scores, target: int, excluded=()) -> int:
    own = scores[target]
    return 1 + sum(
        s > own or (s == own and i < target)
        for i, s in enumerate(scores)
        if i not in excluded
    )


def test_ranks_are_combined_after_the_history_is_excluded(
    members, noise, lab, loops
) -> None:
    """Both protocols of one evaluation, and the recommendations."""
    ensemble = Ensemble(members, combine="reciprocal_rank", rank_constant=1)
    batch = lab.test_batch(ensemble, noise)
    seen = Ragged(noise.test.history, noise.test.history_ptr).distinct()
    lists = [seen.between(n, n + 1).items.tolist() for n in range(len(batch))]
    report = gs.evaluate(ensemble, noise)
    kept = by_loops(loops, ensemble.eval(), noise, batch, [()] * len(batch))
    excluded = by_loops(loops, ensemble, noise, batch, lists)
    late = by_loops(loops, ensemble, noise, batch, [()] * len(batch))
    differs = False
    for row, target in enumerate(noise.test.target.tolist()):
        found = report.per_user.filter(user_index=int(noise.test.user[row]))
        found = dict(found.select("protocol", "best_rank").iter_rows())
        assert found["kept"] == naive_rank(np.round(kept[row], 6), target)
        if target in lists[row]:
            assert found["excluded"] is None
            continue
        rank = naive_rank(np.round(excluded[row], 6), target, lists[row])
        assert found["excluded"] == rank
        differs |= rank != naive_rank(np.round(late[row], 6), target, lists[row])
    assert differs, "excluding before or after the ranks would be equal"
    [user] = noise["user"].vocabulary.decode([0])
    best = gs.Recommender(ensemble, noise).recommend([user], k=3)
    full = noise.test.history[: noise.test.history_ptr[1]].tolist()
    assert noise["item"].vocabulary.decode(full)[0] not in best["item"].to_list()


def test_a_member_alone_ranks_as_itself(members, noise) -> None:
    own = gs.evaluate(members[0], noise)
    ensemble = Ensemble([*members[:2], EASE(*_sizes(noise))], weights=[1.0, 0.0, 0.0])
    found = gs.evaluate(ensemble, noise)
    for protocol in ("kept", "excluded"):
        assert found[protocol] == own[protocol]


def _sizes(graph: HeteroData) -> tuple[int, int]:
    return graph["user"].num_nodes, graph["item"].num_nodes


def test_an_ensemble_is_not_trained_and_its_run_is_complete(
    members, noise, tmp_path
) -> None:
    ensemble = Ensemble(members, weights=[0.5, 0.25, 0.25], combine="z_score")
    before = copy.deepcopy(ensemble.state_dict())
    run = gs.fit(ensemble, noise, folder=tmp_path / "all", progress=False)
    assert run.epochs == 0 and all(p.requires_grad for p in members[0].parameters())
    for name, tensor in ensemble.state_dict().items():
        assert torch.equal(tensor, before[name])
    loaded = run.model(noise)
    assert describe(loaded) == describe(ensemble)
    assert gs.evaluate(loaded, noise).means == gs.evaluate(ensemble, noise).means
    assert "num_items" not in str(run.experiment["model"])


def test_runs_of_different_graphs_are_refused(noise, quarters, tmp_path) -> None:
    runs = {}
    for name, graph in {"a": noise, "b": noise, "c": quarters}.items():
        model = sequence_model(graph, ENCODERS[0], 1)
        folder = tmp_path / name
        runs[name] = gs.fit(model, graph, folder=folder, max_epochs=0, progress=False)
    both = gs.Ensemble([runs["a"], runs["b"]])
    assert [type(m) for m in both.models] == [SequenceModel] * 2
    with pytest.raises(ConfigError, match="60 users, 20 items and 100 users, 24 items"):
        gs.Ensemble([runs["a"], runs["c"]])
    with pytest.raises(ConfigError, match="60 users, 20 items and 100 users, 24 items"):
        gs.Ensemble([runs["a"].model(), runs["c"].model()])


def test_members_and_weights_that_do_not_fit_are_refused_at_once(
    members, noise
) -> None:
    with pytest.raises(ConfigError) as raised:
        Ensemble(members[:1], weights=[1.0, 1.0])
    assert "two or more models or runs, found 1" in str(raised.value)
    assert "one for each member, found 2 for 1" in str(raised.value)
    with pytest.raises(ConfigError, match="one above 0"):
        Ensemble(members, weights=[0.0, 0.0, 0.0])
    with pytest.raises(ConfigError, match="0 or more"):
        Ensemble(members, weights=[1.0, -1.0, 1.0])
    with pytest.raises(ConfigError, match="has no vectors"):
        Ensemble(members).item_vectors(noise)


def test_a_member_with_nan_scores_is_refused(members, noise) -> None:
    broken = copy.deepcopy(members[0])
    with torch.no_grad():
        broken.backbone.features.weight[3] = torch.nan
    for combine in COMBINE:
        with pytest.raises(GraphSeqError, match="NaN"):
            gs.evaluate(Ensemble([members[1], broken], combine=combine), noise)


def test_ranks_of_a_member_that_is_an_ensemble_are_among_the_candidates(
    members, noise
) -> None:
    """Evaluation, and lists of all items for the same histories."""
    inner = Ensemble(members[:2], combine="reciprocal_rank", rank_constant=1)
    outer = Ensemble([inner, members[2]], combine="z_score").eval()
    scorer = outer.scorer(noise)
    assert scorer.depends_on_candidates
    assert scorer.weights.tolist() == [0.5, 0.5]
    found = gs.evaluate(outer, noise, ks=[5], history="excluded").per_user
    names = noise["item"].vocabulary.ids
    pointer = noise.test.history_ptr.tolist()
    events = [
        names[noise.test.history[a:b].tolist()].to_list()
        for a, b in itertools.pairwise(pointer)
    ]
    lists = gs.Recommender(outer, noise).recommend(histories=events, k=len(names))
    targets = names[noise.test.target.tolist()].to_list()
    for row, target in enumerate(targets):
        own = lists.filter(pl.col("history") == row, pl.col("item") == target)
        if own.height:  # the target is not in the history
            assert found["best_rank"][row] == own["rank"].item()
