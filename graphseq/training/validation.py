"""The validation metric that a run watches."""

import re
from typing import Any

from torch_geometric.data import HeteroData

from graphseq.evaluation import evaluate
from graphseq.models import Model

METRIC = re.compile(r"(HR|Recall|NDCG|MRR|coverage)@([1-9]\d*)|MRR")


def validate(
    model: Model, graph: HeteroData, options: dict[str, Any]
) -> dict[str, float]:
    """Metrics of the validation users, at the list length of the monitored one.

    Args:
        model: The model.
        graph: The graph, on the model's device.
        options: Of :func:`graphseq.fit`; ``monitor`` and ``history`` are read.
    """
    named = METRIC.fullmatch(options["monitor"])
    k = int(named[2]) if named and named[2] else 10
    history = options["history"]
    report = evaluate(model, graph, "validation", ks=(k,), history=history)
    return dict(report[history])
