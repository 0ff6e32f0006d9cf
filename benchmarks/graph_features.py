"""Training steps of graph features, users and contrast, alone and together.

    OMP_NUM_THREADS=1 python -m benchmarks.graph_features path/to/Beauty.txt

All arms take the same batches in turns: rows of the sampler ``prefix``, 256 a batch,
one thread, full softmax. The last line compares the composition of all parts with the
sum of what each part adds to SASRec.
"""

import sys
from collections.abc import Sequence

import torch

import graphseq as gs
from benchmarks.filters import measure, print_steps
from graphseq.models import UserContext, ViewContrast

RELATIONS = {"item": 1, "precedes": 1, "interacts": 2}  # and layers


def main(path: str) -> None:
    """Time all arms, and the composition against its parts."""
    steps = [gs.CoOccurrence("item"), gs.CoOccurrence("user"), gs.Transitions()]
    graph = gs.build_graph(gs.leave_one_out(gs.read_log(path)), steps)
    users, items = graph["user"].num_nodes, graph["item"].num_nodes

    def part(relation: str) -> gs.nn.Propagated:
        layers = RELATIONS[relation]
        return gs.nn.Propagated(items, users, relation=relation, layers=layers)

    def model(
        features: gs.nn.Features | None = None,
        context: UserContext | None = None,
        auxiliaries: Sequence[gs.models.Auxiliary] = (),
    ) -> gs.models.SequenceModel:
        backbone = gs.Backbone(
            items, features=features, users=context, sampler="prefix"
        )
        return gs.models.SequenceModel(users, backbone, auxiliaries)

    def fused() -> gs.nn.Fused:
        return gs.nn.Fused(items, parts=[part(name) for name in RELATIONS])

    single = {
        "history of the user": model(context=UserContext()),
        "views": model(auxiliaries=[ViewContrast()]),
        **{name: model(part(name)) for name in RELATIONS},
    }
    models = {
        "SASRec": model(),
        **single,
        "user rows of the user-item graph": model(
            context=UserContext(users, source="graph")
        ),
        "user rows of the user-user graph": model(
            context=UserContext(users, source="graph", relation="user")
        ),
        "interacts, target edges left out": model(
            gs.nn.Propagated(
                items, users, relation="interacts", layers=2, target_edges="left_out"
            )
        ),
        "three relations": model(fused()),
        "all parts": model(fused(), UserContext(), [ViewContrast()]),
    }
    medians, number = measure(models, graph)
    print_steps("what is added", medians, number)
    alone = medians["SASRec"]
    parts = alone + sum(medians[name] - alone for name in single)
    print(f"\nall parts cost {medians['all parts'] / parts:.3f} times their sum")


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    main(sys.argv[1])
