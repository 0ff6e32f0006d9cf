"""A backbone with auxiliary objectives: terms, relations, stages, state, own parts."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import fit
from graphseq.constants import INTERACTS, ITEM_CO_OCCURS
from graphseq.errors import ConfigError
from graphseq.models import (
    Auxiliary,
    Backbone,
    Encoding,
    ExplainedViews,
    FeatureContrast,
    IntentContrast,
    InterestContrast,
    SASRec,
    SequenceModel,
    Stage,
    Step,
    TargetContrast,
    ViewContrast,
    create,
)
from graphseq.nn import GRU, Propagated
from graphseq.schema import describe
from graphseq.sequences import (
    Batch,
    CropMaskReorder,
    InformedAugmentation,
    crop,
    join,
    mask,
)

Terms = dict[str, Tensor]


class Norm(Auxiliary):
    """An auxiliary of one's own: the squared length of the last states."""

    def __init__(self, *, weight: float = 0.5) -> None:
        super().__init__()
        self.weight = weight

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        return {"norm": self.weight * encoding.last.square().sum(dim=1).mean()}


def small(*auxiliaries: Auxiliary, **options: Any) -> SequenceModel:
    torch.manual_seed(0)
    given: dict[str, Any] = {"encoder": GRU(8, dropout=0.0), "max_length": 8}
    backbone = Backbone(12, **(given | options))
    return SequenceModel(48, backbone, auxiliaries)


def losses(lab: Any, model: SequenceModel, graph: HeteroData) -> Terms:
    with torch.no_grad():
        model.eval().refresh(graph, 0)
    torch.manual_seed(1)
    terms: Terms = model.train().losses(lab.load(model, graph)[0], graph)
    return terms


def test_the_terms_of_several_auxiliaries_are_added(lab, cycle: HeteroData) -> None:
    alone = losses(lab, small(), cycle)
    assert set(alone) == {"next_item"}
    model = small(Norm(), Norm(weight=2.0))
    terms = losses(lab, model, cycle)
    assert list(terms) == ["next_item", "norm", "norm_2"]
    torch.testing.assert_close(terms["next_item"], alone["next_item"])
    torch.testing.assert_close(terms["norm_2"], 4 * terms["norm"])
    items, batch = model.item_vectors(cycle), lab.load(model, cycle)[0]
    expected = model.backbone.last(items, batch).square().sum(dim=1).mean()
    torch.testing.assert_close(terms["norm"], 0.5 * expected)


def test_terms_of_equal_names_are_numbered(lab, cycle: HeteroData) -> None:
    terms = losses(lab, small(Norm(), Norm(), Norm(), ViewContrast()), cycle)
    assert list(terms) == ["next_item", "norm", "norm_2", "norm_3", "contrast"]


def test_without_auxiliaries_it_is_its_backbone(lab, cycle: HeteroData) -> None:
    torch.manual_seed(0)
    sasrec = SASRec(48, Backbone(12, dim=8))
    torch.manual_seed(0)
    model = SequenceModel(48, Backbone(12, dim=8))
    batch = lab.test_batch(model, cycle)
    assert torch.equal(
        model.eval().score(batch, cycle), sasrec.eval().score(batch, cycle)
    )


def test_a_number_of_items_makes_the_default_backbone() -> None:
    model = SequenceModel(48, 12)
    assert model.backbone.dim == 64
    assert model.options["backbone"] is model.backbone
    other = SequenceModel(48, SequenceModel.default_backbone(12, dim=8, loss="bce"))
    assert (other.backbone.dim, other.num_negatives) == (8, 1)


def test_required_relations_are_united() -> None:
    model = small(
        InterestContrast(),
        FeatureContrast(kind="item"),
        ViewContrast(InformedAugmentation()),
        features=Propagated(12, dim=8),
    )
    assert set(model.requires) == {INTERACTS, ITEM_CO_OCCURS}
    assert len(model.requires) == 2
    assert small(ViewContrast()).requires == ()


def test_the_longest_warmup_counts() -> None:
    intents = IntentContrast(sequence_weight=0.1, warm_up=2)
    model = small(intents, ExplainedViews(updates=[5]), Norm())
    assert model.warmup == 5
    assert small(Norm()).warmup == 0


def test_states_are_computed_at_every_position_only_where_they_are_read(
    lab, cycle: HeteroData
) -> None:
    class Reads(Norm):
        def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
            return {"mean": encoding.states.mean()}

    class Declares(Reads):
        every_position = True

    with pytest.raises(RuntimeError, match="set every_position = True"):
        losses(lab, small(Reads(), sampler="prefix"), cycle)
    assert "mean" in losses(lab, small(Declares(), sampler="prefix"), cycle)
    assert "mean" in losses(lab, small(Reads()), cycle)


def test_stages_of_the_auxiliaries_precede_the_joint_one(cycle: HeteroData) -> None:
    class Pretrained(Norm):
        def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
            def before(batch: Batch, graph: HeteroData) -> Terms:
                return {"before": backbone.items(graph).square().sum()}

            return (Stage((Step(before, (backbone,)),), epochs=1),)

    model = small(Pretrained(), Norm(), Pretrained())
    assert [stage.epochs for stage in model.stages()] == [1, 1, None]
    options: dict[str, Any] = {"progress": False, "accelerator": "cpu"}
    run = fit(model, cycle, max_epochs=3, **options)
    assert "before" in run.history[0] and "norm_2" in run.history[2]


def test_the_state_between_epochs_is_restored(lab, cycle: HeteroData) -> None:
    def made() -> SequenceModel:
        return small(
            IntentContrast(clusters=[3, 2]),
            ViewContrast(InformedAugmentation(offline_epochs=0)),
            ExplainedViews(updates=[0]),
            sampler="prefix",
        ).eval()

    model, other = made(), made()
    with torch.no_grad():
        model.refresh(cycle, 0)
    state = {name: tensor.clone() for name, tensor in model.epoch_state.items()}
    assert {name.rpartition(".")[2] for name in state} == {
        "centroids_0",
        "centroids_1",
        "similar",
        "scores",
        "scored_in",
    }
    assert not state.keys() & model.state_dict().keys()
    other.epoch_state = state
    assert other.epoch_state.keys() == state.keys()
    for name, tensor in other.epoch_state.items():
        assert torch.equal(tensor, state[name])
    with torch.no_grad():  # epoch 1 has no update: it keeps the importances
        for each in (model, other):
            each.refresh(cycle, 1)
    torch.manual_seed(1)
    expected = model.losses(lab.load(model, cycle)[0], cycle)
    torch.manual_seed(1)
    found = other.losses(lab.load(other, cycle)[0], cycle)
    torch.testing.assert_close(found, expected)


def two_views(batch: Batch) -> Batch:
    """A user's own augmentation, a function."""
    return join(crop(batch, 0.5), mask(batch, 0.5))


def test_a_function_can_be_an_augmentation(lab, cycle: HeteroData) -> None:
    torch.manual_seed(0)
    terms = losses(lab, small(ViewContrast(two_views)), cycle)
    assert terms["contrast"].isfinite() and terms["contrast"] > 0
    terms["contrast"].backward()

    class Own(CropMaskReorder.__base__):  # type: ignore[misc]
        def forward(self, batch: Batch) -> Batch:
            return two_views(batch)

    again = losses(lab, small(ViewContrast(Own())), cycle)
    torch.testing.assert_close(again["contrast"], terms["contrast"])


def test_an_augmentation_of_another_number_of_rows_is_refused(
    lab, cycle: HeteroData
) -> None:
    with pytest.raises(ValueError, match="returns two views of every row; found 64"):
        losses(
            lab, small(ViewContrast(lambda b: crop(b, 0.5)), sampler="prefix"), cycle
        )


def test_an_auxiliary_without_terms_is_refused(lab, cycle: HeteroData) -> None:
    class Half(Auxiliary):
        pass

    with pytest.raises(NotImplementedError, match="Half must define terms"):
        losses(lab, small(Half()), cycle)


def test_an_auxiliary_of_ones_own_takes_ten_lines_and_trains(
    lab, cycle: HeteroData
) -> None:
    """Parameters whose size depends on the backbone are created in ``attach``."""

    class Previous(Auxiliary):
        def attach(self, num_users: int, backbone: Backbone) -> None:
            self.map = torch.nn.Linear(backbone.dim, backbone.dim)

        def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
            batch, items = encoding.batch, encoding.items
            last = batch.items[torch.arange(len(batch)), batch.lengths - 1]
            scores = self.map(encoding.last) @ items.T
            return {"previous": torch.nn.functional.cross_entropy(scores, last)}

    model = small(Previous())
    before = losses(lab, model, cycle)["previous"]
    lab.train(model, cycle, 5, lr=0.03)
    assert losses(lab, model, cycle)["previous"] < 0.5 * before


def test_an_objective_that_is_added_is_an_option_of_the_model() -> None:
    given = [ViewContrast()]
    model = SequenceModel(48, 12, given)
    model.add(TargetContrast(weight=0.3))
    [[_, added]] = [o["auxiliaries"] for o in describe(model).values()]
    assert added["TargetContrast"]["weight"] == 0.3 and len(given) == 1
    again = create(describe(model), 48, 12)
    assert [type(o).__name__ for o in again.objectives] == [
        "ViewContrast",
        "TargetContrast",
    ]
    again.load_state_dict(model.state_dict())


def test_an_objective_belongs_to_one_model() -> None:
    shared = FeatureContrast()
    SequenceModel(48, 12, [shared])
    with pytest.raises(ConfigError, match="an objective of another model already"):
        SequenceModel(48, 12, [shared])


@pytest.mark.parametrize("name", ["MCLRec", "SRMA", "DSSRec", "CL4SRec", "SASRec"])
def test_objectives_are_added_to_lists_only(name: str) -> None:
    model = create({name: {}}, 48, 12)
    message = f"{name} has the objectives of its paper .* cannot be added to it"
    with pytest.raises(ConfigError, match=message):
        model.add(TargetContrast())  # type: ignore[operator]
