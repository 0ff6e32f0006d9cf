"""Numpy kernels that run in the worker processes of Spark, without torch."""

import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from graphseq.spark.batches import Columns

if TYPE_CHECKING:
    import pyarrow as pa

Integers = NDArray[np.integer[Any]]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]

LISTS = "neighbour int, term bigint, blocks array<int>, nodes array<int>"
EDGES = "source int, target int, weight float"
LOGARITHMS = (4, 5)  # kinds of weights that sum them: adamic_adar, iuf


@dataclass(frozen=True)
class Plan:
    """How co-occurrence is divided into tasks.

    Node n is in block ``n % blocks``, so that nodes with many edges, which often have
    small ids, are in different blocks.

    Attributes:
        node: Which nodes are linked: user or item.
        weight: Edge weight, by its number in ``graphseq.graphs.kernels``.
        top_k: Edges that a node keeps.
        hub_cap: Neighbours of more nodes than this are skipped.
        blocks: Blocks of rows.
        chunk: Longest list of nodes that is sent in one piece.
    """

    node: Literal["user", "item"]
    weight: int
    top_k: int
    hub_cap: int | None
    blocks: int
    chunk: int

    @property
    def neighbour(self) -> str:
        """The type of node that linked nodes share."""
        return "item" if self.node == "user" else "user"

    @property
    def sums_logarithms(self) -> bool:
        """Whether each neighbour contributes a term of its own."""
        return self.weight in LOGARITHMS


def node_lists(plan: Plan, terms: Integers | None, batch: Columns) -> dict[str, Any]:
    """The nodes of each neighbour, and the blocks that need them.

    Args:
        plan: How the work is divided.
        terms: Contribution of each neighbour; ``None``: 1.
        batch: All training events of the given neighbours.

    Returns:
        One row per list of nodes, or per chunk of a longer one.
    """
    import pyarrow as pa

    key = batch[plan.neighbour].astype(np.int64) << 32 | batch[plan.node]
    key = np.unique(key)
    neighbour, node = key >> 32, (key & 0xFFFFFFFF).astype(np.int32)
    starts = np.flatnonzero(np.diff(neighbour, prepend=-1))
    sizes = np.diff(starts, append=len(key))
    used = sizes > 1  # a single node links no pair
    if plan.hub_cap is not None:
        used &= sizes <= plan.hub_cap
    kept = np.repeat(used, sizes)
    neighbour, node, sizes = neighbour[kept], node[kept], sizes[used]
    own = np.repeat(np.arange(len(sizes)), sizes)
    touched = np.unique(own * plan.blocks + node % plan.blocks)
    parts = -(-sizes // plan.chunk)
    owner = np.repeat(np.arange(len(sizes)), parts)
    first = np.cumsum(sizes) - sizes
    part = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
    bounds = np.append(first[owner] + part * plan.chunk, len(node))
    neighbour = neighbour[first[owner]]
    blocks = pa.ListArray.from_arrays(
        _pointers(touched // plan.blocks, len(sizes)),
        (touched % plan.blocks).astype(np.int32),
    )
    return {
        "neighbour": neighbour,
        "term": np.ones(len(owner), np.int64) if terms is None else terms[neighbour],
        "blocks": blocks.take(pa.array(owner)),
        "nodes": pa.ListArray.from_arrays(bounds.astype(np.int32), node),
    }


def products(plan: Plan, degrees: Integers, table: "pa.Table") -> dict[str, Any]:
    """The edges that the nodes of one block keep.

    Args:
        plan: How the work is divided.
        degrees: Number of neighbours of each node, (N,).
        table: The lists that were sent to this block.
    """
    block = table.column("block")[0].as_py()
    names, index = np.unique(table.column("neighbour").to_numpy(), return_inverse=True)
    parts = table.column("nodes").combine_chunks().take(np.argsort(index))
    nodes, sizes = parts.values.to_numpy(), np.diff(parts.offsets.to_numpy())
    terms = np.ones(len(names), np.int32)
    if plan.sums_logarithms:
        terms = terms.astype(np.int64)
        terms[index] = table.column("term").to_numpy()
    owner = np.repeat(np.sort(index), sizes).astype(np.int32)
    own = np.flatnonzero(nodes % plan.blocks == block)
    own = own[np.argsort(nodes[own], kind="stable")]
    ids, degree = np.unique(nodes[own], return_counts=True)
    across = _pointers(owner, len(names))
    made = np.add.reduceat(np.diff(across)[owner[own]], np.cumsum(degree) - degree)
    most = np.minimum(made, min(plan.top_k, len(degrees)))
    target, weight, lengths = local_kernels().shared(
        np.append(0, np.cumsum(degree)).astype(np.int32),
        owner[own],
        ids.astype(np.int64),
        across,
        nodes.view(np.uint32),
        terms,
        degrees,
        plan.weight,
        plan.top_k,
        int(most.sum()),
    )
    return {"source": np.repeat(ids, lengths), "target": target, "weight": weight}


def _pointers(owner: Integers, owners: int) -> Integers:
    """Offsets of each owner's rows in a sorted column, int32, (owners + 1,)."""
    sizes = np.bincount(owner, minlength=owners)
    return np.append(0, np.cumsum(sizes)).astype(np.int32)


def local_kernels() -> ModuleType:
    """The inner loops of the local engine, loaded without their package and torch."""
    name = "graphseq.graphs.kernels"
    if name in sys.modules:
        return sys.modules[name]
    file = Path(__file__).parents[1] / "graphs" / "kernels.py"
    spec = spec_from_file_location(name, file)
    if not file.is_file() or spec is None or spec.loader is None:  # sent as an archive
        from graphseq.graphs import kernels as found

        return found
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def renumber(users: Int32s, items: Int32s, batch: Columns) -> dict[str, Any]:
    """Give events new dense ids; remove those whose new user or item is -1."""
    user, item = users[batch["user"]], items[batch["item"]]
    kept = (user >= 0) & (item >= 0)
    made = {"user": user, "item": item, "time": batch["time"], "row": batch["row"]}
    return {name: column[kept] for name, column in made.items()}


def count_events(
    users: NDArray[np.bool_], items: NDArray[np.bool_], batch: Columns
) -> dict[str, Any]:
    """Events of each user and item, with the selected users and items."""
    kept = users[batch["user"]] & items[batch["item"]]
    ids, amounts = [], []
    for name in ("user", "item"):
        found, amount = np.unique(batch[name][kept], return_counts=True)
        ids.append(found)
        amounts.append(amount)
    kinds = np.repeat(np.arange(2), [len(found) for found in ids])
    return {"kind": kinds, "id": np.concatenate(ids), "n": np.concatenate(amounts)}


def before(time: Int64s, row: Int64s, batch: Columns) -> dict[str, Any]:
    """Keep the events before a cut in each user's sequence.

    Args:
        time: Time of the cut, (U,).
        row: First row after the cut, among the events at that time, (U,).
        batch: Events.
    """
    user = batch["user"]
    same = (batch["time"] == time[user]) & (batch["row"] < row[user])
    kept = (batch["time"] < time[user]) | same
    return {name: column[kept] for name, column in batch.items()}


def count_transitions(window: int, self_loops: bool, batch: Columns) -> dict[str, Any]:
    """Number of transitions between items at each distance, of whole users."""
    order = np.lexsort((batch["row"], batch["time"], batch["user"]))
    user, item = batch["user"][order], batch["item"][order].astype(np.int64)
    parts = []
    for distance in range(1, window + 1):
        earlier, later = item[:-distance], item[distance:]
        kept = user[:-distance] == user[distance:]
        if not self_loops:
            kept &= earlier != later
        pairs, amount = np.unique(earlier[kept] << 32 | later[kept], return_counts=True)
        parts.append((pairs, np.full(len(pairs), distance), amount))
    pair, distance_of, amount = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    return {
        "source": pair >> 32,
        "target": pair & 0xFFFFFFFF,
        "distance": distance_of,
        "n": amount,
    }


def weigh_transitions(decay: float, table: Columns) -> dict[str, Any]:
    """Weights of all transitions out of the given items.

    The order of additions is that of the local engine, so that the sums are the same
    floats: the weight of a distance once per transition, then over distances, the
    shortest first.
    """
    pair = table["source"].astype(np.int64) << 32 | table["target"]
    pairs, index = np.unique(pair, return_inverse=True)
    total = np.zeros(len(pairs))
    for distance in np.unique(table["distance"]).tolist():
        at = table["distance"] == distance
        amount = np.zeros(len(pairs), dtype=np.int64)
        np.add.at(amount, index[at], table["n"][at])
        one = np.full(int(amount.max(initial=0)) + 1, decay ** (distance - 1))
        one[0] = 0
        total = total + np.cumsum(one)[amount]
    kept = total != 0
    return {
        "source": pairs[kept] >> 32,
        "target": pairs[kept] & 0xFFFFFFFF,
        "weight": total[kept].astype(np.float32),
    }
