"""A graph that does not fit a model is refused with everything that is wrong."""

import pytest
from graphseq.models.check import check_fits

from graphseq.data import leave_one_out, synthetic
from graphseq.errors import GraphError
from graphseq.graphs import build_graph
from graphseq.models import SASRec


def test_missing_relations_and_wrong_sizes_are_reported_together() -> None:
    graph = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8)))
    model = SASRec(30, 99, dim=8, max_length=8)
    model.requires = (("item", "co_occurs", "item"),)
    with pytest.raises(GraphError) as error:
        check_fits(model, graph)
    assert "('item', 'co_occurs', 'item')" in str(error.value)
    assert "built for 99 items, and the graph has 12" in str(error.value)


def test_a_graph_that_fits_passes() -> None:
    graph = build_graph(leave_one_out(synthetic.cycle(30, 12, length=8)))
    check_fits(SASRec(30, 12, dim=8, max_length=8), graph)
