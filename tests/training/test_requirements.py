"""A training that cannot begin, or ends too early, is reported before it begins."""

from collections.abc import Callable

import pytest
from torch_geometric.data import HeteroData

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import ConfigError, GraphError
from graphseq.graphs import build_graph
from graphseq.models import Model, SASRec, Stage, Step
from graphseq.training import Run
from graphseq.training.requirements import check_epochs

Make = Callable[..., Model]
Short = Callable[..., Run]


def test_a_graph_without_validation_users_is_refused(short: Short, tiny: Make) -> None:
    bare = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8, seed=0)))
    del bare["validation"]
    with pytest.raises(GraphError, match="pass monitor=None"):
        short(tiny(), bare)
    assert short(tiny(), bare, monitor=None).epochs == 2


def test_epochs_that_end_before_the_views_begin_are_reported(
    small: Make, short: Short, graph: HeteroData
) -> None:
    model = small("EC4SRec", objective={"ExplainedViews": {"updates": [5]}})
    with pytest.warns(UserWarning, match="trains 5 epochs before all"):
        short(model, graph, max_epochs=2)
    for epochs in (1, 5):
        with pytest.warns(UserWarning, match=f"and max_epochs is {epochs}"):
            check_epochs(model, epochs)
    check_epochs(model, 6)


def test_epochs_that_end_before_the_last_stage_are_refused(small: Make) -> None:
    model = small("S3Rec", objective={"MutualInformation": {"pretrain_epochs": 3}})
    with pytest.raises(ConfigError, match="trains 3 epochs before its last stage"):
        check_epochs(model, 3)
    check_epochs(model, 4)
    check_epochs(model, 0)


def test_an_endless_stage_before_the_last_one_is_refused(
    short: Short, tiny: Make, graph: HeteroData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stages(self: SASRec) -> tuple[Stage, ...]:
        return Stage((Step(self.losses),)), Stage((Step(self.losses),))

    monkeypatch.setattr(SASRec, "stages", stages)
    with pytest.raises(ConfigError, match=r"stage 1 of 2 .* has no number of epochs"):
        short(tiny(), graph)
