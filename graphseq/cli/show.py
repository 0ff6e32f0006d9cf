"""``graphseq show``: a graph summed up, drawn, and traced to its source."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphseq.cli.ids import typed
from graphseq.cli.outputs import check_picture
from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

Picture = Literal["degrees", "weights", "similarity"]


def show(
    graph: str,
    /,
    *,
    plot: str | None = None,
    of: Picture = "degrees",
    node: str | None = None,
    hops: int = 1,
    provenance: bool = False,
    json: bool = False,
) -> None:
    """Sum up a graph, draw it, or tell where it comes from.

    Prints nodes, edges, density, degrees, isolated nodes, components and reciprocity
    of every relation. Pictures are PNG, SVG or PDF, as their name ends.

    Examples:
      graphseq show graphs/beauty
      graphseq show graphs/beauty --plot degrees.png
      graphseq show graphs/beauty --plot similarity.svg --of similarity
      graphseq show graphs/beauty --node item:1042 --plot neighbours.png
      graphseq show graphs/beauty --provenance
      graphseq show graphs/beauty --json

    Args:
        graph: Folder that graphseq build wrote.
        plot: Picture to write: distributions of every relation, or with --node the
            neighbourhood of that node.
        of: What is drawn: how many neighbours nodes have, what edges weigh, or how
            alike linked nodes are, next to any two.
        node: A user or an item by its raw id, such as user:42 or item:B0001.
        hops: Steps from the node that the neighbourhood reaches.
        provenance: Print the commands that make the graph again, and its sources.
        json: Print all figures as JSON.
    """
    from graphseq import graphs
    from graphseq.graphs.summary import similarity_distributions, weight_distributions

    if provenance and (plot is not None or node is not None):
        raise ConfigError("--provenance stands alone; leave out --plot and --node")
    if plot is not None:
        check_picture("--plot", plot)
    loaded = graphs.load_graph(graph)
    if node is not None:
        _show_node(loaded, node, hops, plot, json)
        return
    if provenance:
        _show_provenance(loaded, graph, json)
        return
    found = graphs.summary(loaded)
    if json:
        _dump(_figures(loaded, graph))
    else:
        _print(found)
    if plot is None:
        return
    if of == "degrees":
        found.plot(plot)
    elif of == "weights":
        weight_distributions(loaded).plot(plot)
    else:
        similarity_distributions(loaded).plot(plot)
    if not json:
        _print(f"{of} drawn in {plot}")


def _figures(loaded: "HeteroData", path: str) -> dict[str, Any]:
    """What there is to know of a graph, as JSON data."""
    from graphseq import graphs
    from graphseq.graphs.storage import hashes
    from graphseq.graphs.summary import similarity_distributions, weight_distributions

    return {
        **hashes(path),
        "nodes": {kind: loaded[kind].num_nodes for kind in loaded.node_types},
        "relations": graphs.summary(loaded).frame().to_dicts(),
        "weights": weight_distributions(loaded).frame().to_dicts(),
        "similarity": similarity_distributions(loaded).frame().to_dicts(),
        "provenance": getattr(loaded, "provenance", None),
    }


def _show_provenance(loaded: "HeteroData", path: str, as_json: bool) -> None:
    from graphseq.cli import provenance as made
    from graphseq.graphs.storage import hashes

    known: dict[str, Any] = getattr(loaded, "provenance", None) or {}
    if as_json:
        _dump({**hashes(path), "provenance": known})
        return
    if made.BUILD not in known:
        steps = {name: known.get(name) for name in ("split", "transforms")}
        _print(f"not made by graphseq build, but from Python: {steps}")
    else:
        record = known[made.BUILD]
        for command in made.rebuilding(record, path):
            _print(command)
        for name, source in made.sources_of(record):
            _print(
                f"{name}: {source['path']}, {source['bytes']:,} bytes, sha256 "
                f"{source['sha256']}; {made.standing(source)}"
            )
        versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
        _print(f"made with {versions}")
    for name, value in hashes(path).items():
        _print(f"{name.removeprefix('graph_').replace('_', ' ')}: {value}")


def _show_node(
    loaded: "HeteroData", node: str, hops: int, plot: str | None, as_json: bool
) -> None:
    from graphseq import graphs

    kind, sign, raw = node.partition(":")
    if not sign or kind not in loaded.node_types:
        raise ConfigError(
            f"--node takes a kind and a raw id, as in user:42 or item:B01; got {node!r}"
        )
    [known] = typed(loaded[kind].vocabulary, [raw])
    ego = graphs.to_networkx(loaded, known, kind=kind, hops=hops)
    if as_json:
        _dump(
            {
                "nodes": [
                    {"id": name[1], **facts} for name, facts in ego.nodes.items()
                ],
                "edges": [
                    {"from": list(start), "to": list(end), **facts}
                    for start, end, facts in ego.edges(data=True)
                ],
            }
        )
    else:
        steps = "1 step" if hops == 1 else f"{hops} steps"
        names = [f"{of} {label}" for (of, _), label in ego.nodes(data="label")][1:]
        _print(f"{kind} {raw}: {len(names)} nodes within {steps}: {', '.join(names)}")
    if plot is not None:
        graphs.draw(ego, plot)
        if not as_json:
            _print(f"drawn in {Path(plot)}")


def _dump(value: Any) -> None:
    print(dumps(value, indent=1, ensure_ascii=False))


def _print(value: object) -> None:
    from rich.console import Console

    words = isinstance(value, str)  # perhaps with ids, which are no markup
    Console(soft_wrap=True, emoji=False).print(
        value, highlight=not words, markup=not words
    )
