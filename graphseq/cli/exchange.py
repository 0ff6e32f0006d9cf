"""``graphseq diff``, ``export`` and ``import``: compare and exchange graphs."""

from json import dumps
from pathlib import Path
from typing import Literal

from graphseq.cli.build import check_output
from graphseq.cli.progress import make_console
from graphseq.errors import GraphError
from graphseq.folders import graph_metadata, hashes

Form = Literal["parquet", "graphml", "gexf"]


def diff(a: Path, b: Path, /, *, json: bool = False) -> int:
    """Compare two graphs.

    Nodes and edges are compared by raw ids: how many are in both, in one only, and in
    both with another weight. The exit code is 0 if the graphs are equal, else 1.

    Examples:
      graphseq diff graphs/beauty graphs/beauty-2
      graphseq diff graphs/beauty graphs/beauty-2 --json

    Args:
        a: Folder of the first graph.
        b: Folder of the second graph.
        json: Print all numbers as JSON.
    """
    for each in (a, b):
        graph_metadata(each)
    from graphseq import graphs

    found = graphs.difference(graphs.load_graph(a), graphs.load_graph(b))
    if json:
        facts = {
            "same": found.same,
            "same_training": found.same_training,
            "same_held_out": found.same_held_out,
            "vectors": found.vectors,
            "rows": found.rows,
            "options": found.options,
        }
        print(dumps(facts, indent=1, ensure_ascii=False))
        return 0 if found.same else 1
    console = make_console()
    console.print(found)
    for name, (first, second) in found.options.items():
        console.print(f"{name} of A: {first}\n{name} of B: {second}", highlight=False)
    for kind in found.vectors:
        console.print(f"the {kind}s have other vectors, or raw ids in one graph only")
    if found.same:
        console.print("the same graph")
    elif found.only_order:
        console.print(
            "the same edges; their order, times, numbering or single weights differ"
        )
    if not found.same_held_out:
        console.print("the held-out users, histories or targets differ")
    return 0 if found.same else 1


def export(graph: Path, /, *, output: Path, format: Form | None = None) -> None:
    """Write a graph for other tools: Parquet edge lists, GraphML or GEXF.

    parquet is a folder of tables with raw ids: nodes, edges, held-out users; importing
    it restores the whole graph. graphml and gexf are one file, for Gephi, Cytoscape,
    networkx or igraph, without the held-out events.

    Examples:
      graphseq export graphs/beauty --output beauty-tables
      graphseq export graphs/beauty --output beauty.graphml
      graphseq export graphs/beauty --output beauty.gexf

    Args:
        graph: Folder of a graph.
        output: Folder or file to write; an earlier export there is replaced.
        format: Output format; default: by the extension of the output.
    """
    graph_metadata(graph)
    from graphseq import graphs

    graphs.export_graph(graphs.load_graph(graph), output, format)
    print(f"exported to {output}; to restore it: graphseq import {output} --output …")


def import_(
    source: Path,
    /,
    *,
    output: Path,
    format: Form | None = None,
    overwrite: bool = False,
) -> None:
    """Import an exported graph.

    The hash of the graph is unchanged, unless nodes, edges or weights were edited. In
    GraphML and GEXF of other tools, nodes need an attribute kind (user or item) and
    edges an attribute relation (interacts, co_occurs, precedes).

    Examples:
      graphseq import beauty-tables --output graphs/beauty
      graphseq import beauty.graphml --output graphs/beauty

    Args:
        source: Folder of Parquet tables, or a GraphML or GEXF file.
        output: Output folder; it must not exist unless --overwrite is given.
        format: Input format; default: by the extension of the source.
        overwrite: Replace an existing graph, and its log, once the new one is complete.
    """
    if not source.exists():
        raise GraphError(f"{source} does not exist. Check the path")
    from graphseq.atomic import real_path
    from graphseq.locks import locked_folder

    output = real_path(output)
    with locked_folder(output):
        check_output(output, overwrite)
        from graphseq import graphs

        graphs.save_graph(graphs.import_graph(source, format), output)
    print(f"saved in {output}; hash {hashes(output)['graph_hash'][:12]}")


import_.__name__ = "import"  # a keyword of Python, but the name of the command
