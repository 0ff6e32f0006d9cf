"""``graphseq show``: summary, plots and provenance of a graph."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphseq.cli.app import check_picture, parse_ids
from graphseq.cli.progress import make_console
from graphseq.errors import ConfigError, quantity
from graphseq.folders import graph_metadata, hashes
from graphseq.schema import Size

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

Picture = Literal["degrees", "weights", "similarity"]


def show(
    graph: Path,
    /,
    *,
    plot: Path | None = None,
    of: Picture = "degrees",
    node: str | None = None,
    hops: Size = 1,
    provenance: bool = False,
    json: bool = False,
) -> None:
    """Summarise or plot a graph, or show its provenance.

    Prints nodes, edges, density, degrees, isolated nodes, components and reciprocity
    of every relation, the size of item vectors, and the fraction of the held-out
    targets that are in the history of their user. The extension of a plot gives its
    format: PNG, SVG or PDF.

    Examples:
      graphseq show graphs/beauty
      graphseq show graphs/beauty --plot degrees.png
      graphseq show graphs/beauty --plot similarity.svg --of similarity
      graphseq show graphs/beauty --node item:1042 --plot neighbours.png
      graphseq show graphs/beauty --provenance
      graphseq show graphs/beauty --json

    Args:
        graph: Folder of a graph.
        plot: Plot to write: distributions of every relation, or with --node the
            neighbourhood of that node.
        of: Distribution to plot: degrees, edge weights, or the similarity of linked
            nodes compared with random pairs.
        node: A user or an item by its raw id, such as user:42 or item:B0001.
        hops: Radius of the neighbourhood in edges.
        provenance: Print the commands that make the graph again, and its sources.
        json: Print all numbers as JSON.
    """
    if provenance and (plot is not None or node is not None):
        raise ConfigError(
            "--provenance takes neither --plot nor --node; leave them out"
        )
    if plot is not None:
        check_picture("--plot", plot)
    graph_metadata(graph)
    from graphseq import graphs
    from graphseq.graphs.repeats import repeated_targets
    from graphseq.graphs.summary import similarity_distributions, weight_distributions

    loaded = graphs.load_graph(graph)
    if node is not None:
        _show_node(loaded, node, hops, plot, json)
        return
    if provenance:
        _show_provenance(loaded, graph, json)
        return
    found = graphs.summary(loaded)
    if json:
        _dump(_numbers(loaded, graph))
    else:
        _print(found)
        if "x" in loaded["item"]:
            number, width = loaded["item"].x.shape
            _print(f"vectors of {quantity(number, 'item')}, {width:,} numbers each")
        for part, fraction in repeated_targets(loaded).items():
            _print(f"{part} targets in the history of their user: {fraction:.2%}")
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


def _numbers(loaded: "HeteroData", path: Path) -> dict[str, Any]:
    """All numbers of a graph, as JSON data."""
    from graphseq import graphs
    from graphseq.graphs.repeats import repeated_targets
    from graphseq.graphs.summary import similarity_distributions, weight_distributions

    return {
        **hashes(path),
        "nodes": {kind: loaded[kind].num_nodes for kind in loaded.node_types},
        "relations": graphs.summary(loaded).frame().to_dicts(),
        "weights": weight_distributions(loaded).frame().to_dicts(),
        "similarity": similarity_distributions(loaded).frame().to_dicts(),
        "repeated_targets": repeated_targets(loaded),
        "provenance": getattr(loaded, "provenance", None),
    }


def _show_provenance(loaded: "HeteroData", path: Path, as_json: bool) -> None:
    from graphseq.cli import provenance as made

    known: dict[str, Any] = getattr(loaded, "provenance", None) or {}
    if as_json:
        _dump({**hashes(path), "provenance": known})
        return
    if made.BUILD not in known:
        steps = {name: known.get(name) for name in ("split", "transforms")}
        _print(f"not made by graphseq build; from Python: {steps}")
    else:
        record = known[made.BUILD]
        for command in made.rebuild_commands(record, path):
            _print(command)
        for name, source in made.sources(record):
            _print(
                f"{name}: {source['path']}, {source['bytes']:,} bytes, sha256 "
                f"{source['sha256']}; {made.source_status(source)}"
            )
        versions = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
        _print(f"made with {versions}")
    for name, value in hashes(path).items():
        _print(f"{name.removeprefix('graph_').replace('_', ' ')}: {value}")


def _show_node(
    loaded: "HeteroData", node: str, hops: int, plot: Path | None, as_json: bool
) -> None:
    from graphseq import graphs

    kind, sign, raw = node.partition(":")
    if not sign or kind not in loaded.node_types:
        raise ConfigError(
            f"--node takes a kind and a raw id, as in user:42 or item:B01; got {node!r}"
        )
    [known] = parse_ids(loaded[kind].vocabulary, [raw])
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
        names = [f"{of} {label}" for (of, _), label in ego.nodes(data="label")][1:]
        size = f"{quantity(len(names), 'node')} within {quantity(hops, 'step')}"
        _print(f"{kind} {raw}: {size}: {', '.join(names)}")
    if plot is not None:
        graphs.draw(ego, plot)
        if not as_json:
            _print(f"drawn in {plot}")


def _dump(value: Any) -> None:
    print(dumps(value, indent=1, ensure_ascii=False))


def _print(value: object) -> None:
    words = isinstance(value, str)  # may contain ids, which are not markup
    make_console(emoji=False).print(value, highlight=not words, markup=not words)
