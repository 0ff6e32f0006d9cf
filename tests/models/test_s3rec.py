"""S3-Rec: two stages on the same weights, first both ways, then forwards."""

import pytest
import torch
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.constants import HAS_ATTRIBUTE
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import Attributes
from graphseq.models import S3Rec, SASRec
from graphseq.nn import Transformer

TERMS = {
    "MIP": ["item"],
    "ISP": ["item", "segment"],
    "full": ["item", "segment", "attribute", "hidden_attribute"],
}


def built(seed: int = 0, **options) -> S3Rec:
    torch.manual_seed(seed)
    encoder = Transformer(8, 5, layers=1, dropout=0.0)
    given = {"encoder": encoder, "max_length": 5, "pretrain_epochs": 2}
    given["num_attributes"] = 2 if options.get("variant") == "full" else None
    return S3Rec(48, 12, **(given | options))


@pytest.fixture(scope="module")
def described(cycle: HeteroData) -> HeteroData:
    """The ring, whose even and odd items differ by an attribute."""
    ids = cycle["item"].vocabulary.ids.to_list()
    return Attributes({item: [place % 2] for place, item in enumerate(ids)})(cycle)


@pytest.mark.parametrize("variant", TERMS)
def test_a_variant_is_its_tasks(lab, variant: str, described: HeteroData) -> None:
    model = built(variant=variant)
    batch = lab.load(model, described)[0]
    terms = model.pretraining(batch, described)
    assert [*terms] == TERMS[variant]
    assert all(term.isfinite() for term in terms.values())
    assert [*model.losses(batch, described)] == ["next_item"]
    assert (HAS_ATTRIBUTE in model.requires) is (variant == "full")


@pytest.mark.parametrize("variant", TERMS)
def test_pretraining_moves_all_and_fine_tuning_what_serves(
    lab, variant: str, described: HeteroData
) -> None:
    model = built(variant=variant)
    first, second = model.stages()
    assert (first.epochs, first.sampler) == (2, "prefix")
    assert (second.epochs, second.sampler) == (None, None)
    batch = lab.load(model, described)[0]
    torch.stack([*first.steps[0].losses(batch, described).values()]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name
    moved = {n for n, _ in model.named_parameters() if second.steps[0].moves(n)}
    model.zero_grad()
    model.losses(batch, described)["next_item"].backward()
    served = {
        n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()
    }
    assert moved == served
    assert "backbone.token" not in moved


def test_without_pretraining_it_is_sasrec(lab, cycle: HeteroData) -> None:
    model = built(pretrain_epochs=0)
    [stage] = model.stages()
    assert stage.epochs is None
    sasrec = SASRec(
        48, 12, dim=8, max_length=5, layers=1, dropout=0.0, loss="bce", sampler="user"
    )
    weights = sasrec.state_dict()
    model.load_state_dict({n: w for n, w in weights.items()}, strict=False)
    batch = lab.load(model, cycle)[0]
    assert torch.equal(
        model.losses(batch, cycle)["next_item"],
        sasrec.losses(batch, cycle)["next_item"],
    )
    histories = lab.test_batch(model, cycle)
    assert torch.equal(model.score(histories, cycle), sasrec.score(histories, cycle))


def test_pretraining_leaves_the_batch_and_the_causal_flag_as_they_were(
    lab, described: HeteroData
) -> None:
    model = built(variant="full")
    batch = lab.load(model, described)[0]
    items, targets = batch.items.clone(), batch.targets.clone()
    model.pretraining(batch, described)
    assert torch.equal(batch.items, items) and torch.equal(batch.targets, targets)
    assert model.backbone.encoder.causal


def test_fit_runs_both_stages(described: HeteroData) -> None:
    model = built(variant="full", pretrain_epochs=1)
    run = fit(model, described, max_epochs=2, progress=False, accelerator="cpu")
    first, second = run.history
    assert first["hidden_attribute"] > 0 and first["next_item"] is None
    assert second["next_item"] > 0 and second["item"] is None


def test_full_needs_the_number_and_the_edges_of_attributes(
    lab, cycle: HeteroData, described: HeteroData
) -> None:
    with pytest.raises(ConfigError, match="num_attributes=None"):
        built(variant="full", num_attributes=None)
    short = built(variant="full", num_attributes=1)
    with pytest.raises(GraphError, match="set num_attributes=2"):
        short.pretraining(lab.load(short, described)[0], described)
    with pytest.raises(GraphError, match="has"):
        fit(built(variant="full"), cycle, max_epochs=1, progress=False)
