"""Start from the weights of another run: tensors by name, rows by raw id."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq.constants import (
    HAS_ATTRIBUTE,
    ITEM,
    ITEM_CO_OCCURS,
    PRECEDES,
    USER,
)
from graphseq.errors import GraphError, RunError
from graphseq.models import Model, SequenceModel, create
from graphseq.models.axes import growing_axes
from graphseq.nn.similar_items import similar_by_attributes
from graphseq.schema import describe
from graphseq.training.checkpoint import read_tensors, write_tensors
from graphseq.training.fit_items import fit_items
from graphseq.training.run import WEIGHTS, Run, load_run

NewItems = Literal["neighbours", "attributes", "fresh", "fitted"]
SHOWN = 10  # tensors in a message


class Rows(NamedTuple):
    """Nodes of one kind that both graphs have.

    Attributes:
        old: Dense ids in the earlier graph, (n,).
        new: Dense ids in this graph, (n,).
        sizes: Number of nodes in the earlier graph and in this one.
    """

    old: Int[Tensor, "n"]
    new: Int[Tensor, "n"]
    sizes: tuple[int, int]


def start_from(
    model: Model, graph: HeteroData, folder: str | Path, new_items: NewItems
) -> None:
    """Load the weights of a run; users and items are matched by their raw ids.

    A model of another kind takes the tensors that have the same names and shapes, such
    as ICLRec those of S3-Rec's backbone; a warning lists what it takes and what not.
    Objectives are matched by their kind, in any order.

    Args:
        model: The model; its own weights stay at new users, at new items without known
            neighbours, and where the run has none of the name and shape.
        graph: The graph on which it will be trained.
        folder: The run folder.
        new_items: ``neighbours``: the row of an item that the run did not know is the
            weighted mean of the rows of its known neighbours among the items of the
            graph, by co-occurrence or else transitions; ``attributes``: the mean of the
            ten known items with the most similar attributes; ``fitted``: as
            ``neighbours``, before :func:`fit_new_items`; ``fresh``: the model's own.

    Raises:
        RunError: The folder has no run with a graph, or a run of the same kind of model
            with other options, or nothing that the model can take.
        GraphError: ``attributes`` of a graph that has none.
    """
    if new_items == "attributes" and HAS_ATTRIBUTE not in graph.edge_types:
        raise GraphError(
            "new_items='attributes' reads the attributes of items, and the graph has "
            f"only {graph.edge_types}: add the step Attributes(FILE), or use "
            "new_items='neighbours'"
        )
    run = load_run(folder)
    earlier = run.graph()
    rebuilt = _rebuilt(run)
    objectives = _objectives(rebuilt), _objectives(model)
    weights = _loaded(rebuilt, read_tensors(run.weights_file)[0])
    weights = _match_objectives(weights, *objectives)
    rows = {kind: _common(earlier, graph, kind) for kind in (USER, ITEM)}
    axes = growing_axes(model)
    state, problems = model.state_dict(), []
    started = {}
    for name, own in state.items():
        axis = axes.get(name, {})
        theirs = weights.get(name)
        if (
            theirs is None
            or len(axis) > 1
            or _others(theirs, axis) != _others(own, axis)
        ):
            problems.append(name)
            continue
        if not axis:
            started[name] = theirs
            continue
        [(dim, kind)] = axis.items()
        table = own.clone().movedim(dim, 0)
        _copy_rows(table, theirs.movedim(dim, 0), rows[kind])
        if kind == ITEM and own.is_floating_point():
            _fill(table, graph, rows[ITEM].new, new_items)
        started[name] = table.movedim(0, dim).contiguous()
    [theirs], [ours] = run.experiment["model"], describe(model)
    is_same_kind = theirs == ours and sorted(objectives[0]) == sorted(objectives[1])
    if problems and (is_same_kind or not started):
        advice = "Use the same options" if is_same_kind else f"Start from {ours}"
        raise RunError(
            f"{folder}, a run of {theirs}, cannot start {ours}: it has no weights of "
            f"the same shape for {_listed(problems)}. {advice}"
        )
    model.load_state_dict(started, strict=False)
    if not is_same_kind:
        unused = [name for name in weights if name not in started]
        warnings.warn(
            f"{ours} starts from a run of {theirs}, {folder}. It takes "
            f"{_listed([*started])}; its own initial weights stay in "
            f"{_listed(problems)}; of the run it leaves {_listed(unused)}",
            stacklevel=4,
        )


def _match_objectives(
    weights: dict[str, Tensor], theirs: Sequence[str], ours: Sequence[str]
) -> dict[str, Tensor]:
    """The weights of a run, with its objectives numbered as the model's of their kind.

    An objective that the model does not have keeps its weights under its kind, the name
    of no tensor of a model.

    Args:
        weights: The weights of the run, by name.
        theirs: The kinds of the run's objectives.
        ours: The kinds of the model's.
    """
    free = [*ours]
    places = {}
    for number, kind in enumerate(theirs):
        place = kind
        if kind in free:
            place = f"auxiliaries.{free.index(kind)}"
            free[free.index(kind)] = ""
        places[f"auxiliaries.{number}"] = place
    renamed = {}
    for name, weight in weights.items():
        head = ".".join(name.split(".")[:2])
        renamed[places.get(head, head) + name.removeprefix(head)] = weight
    return renamed


def _rebuilt(run: Run) -> Model:
    """The model of a run, without memory for its weights."""
    size = run.record["graph"]
    with torch.device("meta"):
        return create(run.experiment["model"], size["num_users"], size["num_items"])


def _loaded(model: Model, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a model, under the names of today where a version has renamed them."""
    model.load_state_dict(weights, strict=False, assign=True)
    return {n: each for n, each in model.state_dict().items() if not each.is_meta}


def _objectives(model: Model) -> list[str]:
    """The kinds of the auxiliary objectives of a model."""
    found = model.objectives if isinstance(model, SequenceModel) else []
    return [type(objective).__name__ for objective in found]


def _listed(names: Sequence[str]) -> str:
    """Names of tensors, the first few written out."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "nothing") + more


def fit_new_items(
    model: Model, graph: HeteroData, folder: Path, start: str | Path, seed: int
) -> None:
    """Fit the items that an earlier run did not know, in the best weights of a run.

    A file of fitted weights is marked, so that a resumed run does not fit them again.

    Args:
        model: The model; its weights become the fitted ones.
        graph: The graph that it was trained on.
        folder: Folder of the finished run.
        start: Folder of the earlier run.
        seed: Seed of the events that are sampled.
    """
    weights, header = read_tensors(folder / WEIGHTS)
    if header.get("fitted_items") is not None:
        return
    model.load_state_dict(weights)
    known = _common(load_run(start).graph(), graph, ITEM).new
    items = _unknown(graph, known)
    fit_items(model, graph, items, seed=seed)
    header = {**header, "fitted_items": len(items)}
    write_tensors(folder / WEIGHTS, model.state_dict(), header)


def _others(tensor: Tensor, axis: dict[int, str]) -> list[int]:
    """The sizes of the dimensions that do not grow with the users or items."""
    return [-1 if dim in axis else size for dim, size in enumerate(tensor.shape)]


def _common(earlier: HeteroData, graph: HeteroData, kind: str) -> Rows:
    """The nodes that both graphs have; none, if one of them has no raw ids."""
    sizes = int(earlier[kind].num_nodes), int(graph[kind].num_nodes)
    if "vocabulary" not in earlier[kind] or "vocabulary" not in graph[kind]:
        nothing = torch.empty(0, dtype=torch.int64)
        return Rows(nothing, nothing, sizes)
    old = earlier[kind].vocabulary.encode(graph[kind].vocabulary.ids, missing=-1)
    dense = torch.tensor(old)
    new = (dense >= 0).nonzero().squeeze(1)
    return Rows(dense[new], new, sizes)


def _copy_rows(
    table: Float[Tensor, "..."], source: Float[Tensor, "..."], rows: Rows
) -> None:
    """Copy the rows of common nodes, and those beyond all nodes, such as padding's."""
    table[rows.new] = source[rows.old].to(table.dtype)
    old, new = rows.sizes
    beyond = min(len(source) - old, len(table) - new)
    if beyond > 0:
        table[new : new + beyond] = source[old : old + beyond].to(table.dtype)


def _fill(
    table: Float[Tensor, "..."],
    graph: HeteroData,
    known: Int[Tensor, "n"],
    new_items: NewItems,
) -> None:
    """Set the rows of unknown items as requested."""
    if new_items == "attributes":
        new = _unknown(graph, known)
        similar = similar_by_attributes(graph, known, new)
        has_some = similar.weights.sum(dim=1) > 0
        table[new[has_some]] = similar.mean(table)[has_some]
    elif new_items != "fresh":
        _fill_from_neighbours(table, graph, known)


def _unknown(graph: HeteroData, known: Int[Tensor, "n"]) -> Int[Tensor, "m"]:
    """The items of a graph that are not known."""
    is_new = torch.ones(int(graph[ITEM].num_nodes), dtype=torch.bool)
    is_new[known] = False
    return is_new.nonzero().squeeze(1)


def _fill_from_neighbours(
    table: Float[Tensor, "..."], graph: HeteroData, known: Int[Tensor, "n"]
) -> None:
    """Set the rows of unknown items with known neighbours to their weighted mean."""
    relations = [r for r in (ITEM_CO_OCCURS, PRECEDES) if r in graph.edge_types]
    if not relations:
        return
    size = int(graph[ITEM].num_nodes)
    is_known = torch.zeros(size, dtype=torch.bool)
    is_known[known] = True
    row, column = graph[relations[0]].edge_index.cpu()
    weight = graph[relations[0]].edge_weight.cpu().double()
    target, source = torch.cat([row, column]), torch.cat([column, row])
    weight = weight.repeat(2)
    used = is_known[source] & ~is_known[target]
    target, source, weight = target[used], source[used], weight[used]
    values = table[:size].reshape(size, -1).double()
    sums = torch.zeros_like(values)
    sums.index_add_(0, target, weight[:, None] * values[source])
    totals = torch.zeros(size, dtype=torch.float64).index_add_(0, target, weight)
    filled = totals > 0
    means = (sums[filled] / totals[filled, None]).to(table.dtype)
    table[:size][filled] = means.view(-1, *table.shape[1:])
