"""``graphseq show``: summary, plots and provenance of a graph."""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphseq.cli.app import check_picture, parse_ids, parse_pairs
from graphseq.cli.id_files import TITLES, read_titles
from graphseq.cli.progress import make_console
from graphseq.errors import ConfigError, GraphError, quantity, suggest
from graphseq.folders import graph_metadata, hashes
from graphseq.schema import Size

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from graphseq.graphs.ego import Ego

Picture = Literal["degrees", "weights", "similarity"]


def show(
    graph: Path,
    /,
    *,
    plot: Path | None = None,
    of: Picture | None = None,
    node: str | None = None,
    hops: Size | None = None,
    relation: list[str] | None = None,
    max_nodes: Size | None = None,
    titles: Path | None = None,
    title_columns: list[str] | None = None,
    provenance: bool = False,
    json: bool = False,
) -> None:
    r"""Summarise or plot a graph, or show its provenance.

    Prints nodes, edges, density, degrees, isolated nodes, components and reciprocity
    of every relation, the size of item vectors, and the fraction of the held-out
    targets that are in the history of their user. The extension of a plot gives its
    format: PNG, SVG or PDF.

    Examples:
      graphseq show graphs/beauty
      graphseq show graphs/beauty --plot degrees.png
      graphseq show graphs/beauty --plot similarity.svg --of similarity
      graphseq show graphs/beauty --node item:1042 --plot neighbours.png
      graphseq show graphs/beauty --node item:1042 --plot neighbours.svg \
          --relation co_occurs --max-nodes 30 --titles titles.csv
      graphseq show graphs/beauty --provenance
      graphseq show graphs/beauty --json

    Args:
        graph: Folder of a graph.
        plot: Plot to write: distributions of every relation, or with --node the
            neighbourhood of that node.
        of: Distribution to plot: degrees, edge weights, or the similarity of linked
            nodes compared with random pairs; default: degrees.
        node: A user or an item by its raw id, such as user:42 or item:B0001.
        hops: Radius of the neighbourhood in edges; default: 1.
        relation: Relations of the neighbourhood: names such as co_occurs, or
            "item co_occurs item"; default: all.
        max_nodes: Largest number of nodes in the neighbourhood; of more, those on the
            heaviest edges; default: 40.
        titles: Table with a title for each item, to label the plot.
        title_columns: Its columns, such as item=asin title=name.
        provenance: Print the commands that make the graph again, and its sources.
        json: Print all numbers as JSON.
    """
    if provenance and (plot is not None or node is not None):
        raise ConfigError(
            "--provenance takes neither --plot nor --node; leave them out"
        )
    if plot is not None:
        check_picture("--plot", plot)
    if of is not None and node is not None:
        raise ConfigError(
            f"--of {of} is a distribution of the whole graph, and --node shows the "
            "neighbourhood of one node; leave one of them out"
        )
    if of is not None and plot is None:
        raise ConfigError(f"--of {of} is drawn in a file; add --plot FILE")
    of_node = (hops, relation, max_nodes, titles, title_columns)
    if node is None and any(option is not None for option in of_node):
        raise ConfigError(
            "--hops, --relation, --max-nodes, --titles and --title-columns describe "
            "the neighbourhood of a node; add --node KIND:ID"
        )
    of, hops, max_nodes = of or "degrees", hops or 1, max_nodes or 40
    graph_metadata(graph)
    columns = parse_pairs(
        "--title-columns", title_columns, "item=asin title=name", TITLES.__contains__
    )
    names = {} if titles is None else dict(read_titles(titles, **columns).iter_rows())
    from graphseq import graphs
    from graphseq.graphs.repeats import repeated_targets

    loaded = graphs.load_graph(graph)
    if node is not None:
        ego = _ego(loaded, node, hops, relation, max_nodes)
        _show_node(ego, node, hops, json)
        if plot is not None:
            graphs.draw(ego, plot, titles=names)
            if not json:
                _print(f"drawn in {plot}")
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
        graphs.weight_distributions(loaded).plot(plot)
    else:
        graphs.similarity_distributions(loaded).plot(plot)
    if not json:
        _print(f"{of} drawn in {plot}")


def _numbers(loaded: "HeteroData", path: Path) -> dict[str, Any]:
    """All numbers of a graph, as JSON data."""
    from graphseq import graphs
    from graphseq.graphs.repeats import repeated_targets

    return {
        **hashes(path),
        "nodes": {kind: loaded[kind].num_nodes for kind in loaded.node_types},
        "relations": graphs.summary(loaded).frame().to_dicts(),
        "weights": graphs.weight_distributions(loaded).frame().to_dicts(),
        "similarity": graphs.similarity_distributions(loaded).frame().to_dicts(),
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
        try:
            lines = [
                *made.rebuild_commands(record, path),
                *(
                    f"{name}: {source['path']}, {source['bytes']:,} bytes, sha256 "
                    f"{source['sha256']}; {made.source_status(source)}"
                    for name, source in made.sources(record)
                ),
                f"made with {', '.join(map(' '.join, record['versions'].items()))}",
            ]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise GraphError(
                f"the record of the build in {path} cannot be read "
                f"({type(error).__name__}: {error}). Build the graph again"
            ) from error
        for line in lines:
            _print(line)
    for name, value in hashes(path).items():
        _print(f"{name.removeprefix('graph_').replace('_', ' ')}: {value}")


def _ego(
    loaded: "HeteroData",
    node: str,
    hops: int,
    relation: list[str] | None,
    max_nodes: int,
) -> "Ego":
    """The neighbourhood of a node.

    Raises:
        ConfigError: The graph has no such kind of node, or no such relation.
    """
    from graphseq import graphs

    kind, sign, raw = node.partition(":")
    if not sign or kind not in loaded.node_types:
        kinds = ", ".join(loaded.node_types)
        raise ConfigError(
            f"--node takes a kind and a raw id, as in user:42 or item:B01, and this "
            f"graph has the kinds {kinds}; got {node!r}"
        )
    chosen = None
    if relation is not None:
        known = {" ".join(edge): edge for edge in loaded.edge_types}
        chosen = [e for e in known.values() if {e[1], " ".join(e)} & {*relation}]
        names = {word for edge in known.values() for word in (edge[1], " ".join(edge))}
        if lacking := [word for word in relation if word not in names]:
            raise ConfigError(
                f"--relation {lacking[0]}: the graph has no such relation; "
                f"{suggest(lacking[0], known)}"
            )
    if "vocabulary" in loaded[kind]:
        [parsed] = parse_ids(loaded[kind].vocabulary, [raw])
    elif raw.isdecimal() and int(raw) < loaded[kind].num_nodes:
        parsed = int(raw)
    else:
        raise ConfigError(
            f"this graph has no raw ids, so --node takes a number below "
            f"{loaded[kind].num_nodes:,}, as in {kind}:0; got {node!r}"
        )
    options: dict[str, Any] = {"hops": hops, "max_nodes": max_nodes}
    return graphs.to_networkx(loaded, parsed, kind=kind, relations=chosen, **options)


def _show_node(ego: "Ego", node: str, hops: int, as_json: bool) -> None:
    from graphseq.graphs.ego_picture import cut

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
        return
    kind, _, raw = node.partition(":")
    names = [f"{of} {label}" for (of, _), label in ego.nodes(data="label")][1:]
    size = f"{quantity(len(names), 'node')} within {quantity(hops, 'step')}"
    _print(f"{kind} {raw}: {size}: {', '.join(names)}")
    if any(shown < found for shown, found in ego.graph["reached"]):
        _print(f"{cut(ego)}; --max-nodes shows more")


def _dump(value: Any) -> None:
    print(dumps(value, indent=1, ensure_ascii=False))


def _print(value: object) -> None:
    words = isinstance(value, str)  # may contain ids, which are not markup
    make_console(emoji=False).print(value, highlight=not words, markup=not words)
