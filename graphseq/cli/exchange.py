"""``graphseq diff``, ``export`` and ``import``: graphs compared, and for others."""

from json import dumps
from typing import Literal

Form = Literal["parquet", "graphml", "gexf"]


def diff(a: str, b: str, /, *, json: bool = False) -> int:
    """Tell what changed between two graphs.

    Nodes and edges are compared by raw ids, whatever their numbering: how many are in
    both, in one only, and in both with another weight. The exit code is 0 if the
    graphs are the same, 1 if not.

    Examples:
      graphseq diff graphs/beauty graphs/beauty-2
      graphseq diff graphs/beauty graphs/beauty-2 --json

    Args:
        a: Folder of the one graph.
        b: Folder of the other.
        json: Print all figures as JSON.
    """
    from graphseq import graphs

    found = graphs.difference(graphs.load_graph(a), graphs.load_graph(b))
    if json:
        facts = {"same": found.same, "same_training": found.same_training}
        facts |= {"same_held_out": found.same_held_out}
        rows = {"rows": found.rows, "options": found.options}
        print(dumps(facts | rows, indent=1, ensure_ascii=False))
        return 0 if found.same else 1
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.print(found)
    for name, (first, second) in found.options.items():
        console.print(f"{name} of A: {first}\n{name} of B: {second}", highlight=False)
    if found.same:
        console.print("the same graph")
    elif found.only_order:
        console.print("the same edges; their order, their times or numbering differ")
    if not found.same_held_out:
        console.print("other users, histories or targets are held out")
    return 0 if found.same else 1


def export(graph: str, /, *, output: str, format: Form | None = None) -> None:
    """Write a graph for other tools: Parquet edge lists, GraphML or GEXF.

    parquet is a folder of tables with raw ids: nodes, edges, held-out users; all of the
    graph comes back from it. graphml and gexf are one file, for Gephi, Cytoscape,
    networkx, igraph; what is held out is not in them.

    Examples:
      graphseq export graphs/beauty --output beauty-tables
      graphseq export graphs/beauty --output beauty.graphml
      graphseq export graphs/beauty --output beauty.gexf

    Args:
        graph: Folder that graphseq build wrote.
        output: Folder or file to write.
        format: What to write; taken from the ending of the output if not given.
    """
    from graphseq import graphs

    graphs.export_graph(graphs.load_graph(graph), output, format)
    print(f"exported to {output}; back again: graphseq import {output} --output …")


def import_(source: str, /, *, output: str, format: Form | None = None) -> None:
    """Make a graph folder of what was exported.

    The graph has the hash that it had, unless nodes, edges or weights were changed. In
    GraphML and GEXF of other tools, nodes need an attribute kind (user or item) and
    edges a relation (interacts, co_occurs, precedes).

    Examples:
      graphseq import beauty-tables --output graphs/beauty
      graphseq import beauty.graphml --output graphs/beauty

    Args:
        source: Folder of Parquet tables, or file.
        output: Folder to write the graph to.
        format: What it is; taken from the ending of the source if not given.
    """
    from graphseq import graphs
    from graphseq.graphs.storage import hashes

    graphs.save_graph(graphs.import_graph(source, format), output)
    print(f"saved in {output}; hash {hashes(output)['graph_hash'][:12]}")


import_.__name__ = "import"  # the command's name, which no function can bear
