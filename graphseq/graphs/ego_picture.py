"""A plot of an ego network: the centre, its neighbours in rings, and their edges."""

from collections import Counter
from collections.abc import Mapping
from math import atan2, cos, degrees, pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.drawing import (
    DASHES,
    MARKERS,
    OTHER,
    PALETTE,
    panels,
    plain,
    shorten,
    style,
    write_figure,
)
from graphseq.graphs.ego import Ego

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Node = tuple[str, int]
KINDS = ("user", "item", "attribute")  # in the order of their colours and markers
WIDEST, EQUAL, THINNEST = 4.0, 1.2, 0.4  # widths of edges, in points
GAP = 0.7  # between two rings; the radius of the first one is 1


def draw(
    ego: Ego, path: str | Path, *, titles: Mapping[Any, str] | None = None
) -> Path:
    """Plot an ego network of :func:`to_networkx`.

    The centre is in the middle. Rings around it hold the nodes at each distance, each
    node next to the one over which it was reached. Edges of larger weight are wider,
    within each relation; edges that are not on the way to the centre are pale. A line
    states which neighbours are left out.

    Args:
        ego: The ego network.
        path: The file to write: ``.png``, ``.svg`` or ``.pdf``.
        titles: Texts in place of the raw ids of items.

    Returns:
        The path.
    """
    names = {str(key): str(title) for key, title in (titles or {}).items()}
    parents = _parents(ego)
    positions = _positions(ego, parents)
    with style():
        figure, [axes] = panels(width=6.6, height=7.2)
        axes.set_axis_off()
        axes.set_aspect("equal")
        _draw_nodes(axes, ego, positions)
        _draw_edges(axes, ego, parents, positions)
        for node, (x, y) in positions.items():
            if node != ego.graph["centre"]:
                _draw_label(axes, _text(ego, node, names), x, y, _is_outer(ego, node))
        figure.suptitle(f"{plain(_title(ego, names))}\n{cut(ego)}", fontsize="medium")
        figure.legend(loc="outside lower center", ncols=2, handlelength=3)
    return write_figure(path, figure)


def cut(ego: Ego) -> str:
    """A sentence about the neighbours that an ego network lacks."""
    words = []
    for hop, (shown, found) in enumerate(ego.graph["reached"], 1):
        what = "neighbours" if hop == 1 else f"nodes at distance {hop}"
        if shown < found:
            words.append(
                f"{shown:,} of {found:,} {what} shown, those of largest weight"
            )
            words += ["none further away"] * (hop < len(ego.graph["reached"]))
            break
        words.append(f"all {found:,} {what} shown")
    return "; ".join(words)


def _parents(ego: Ego) -> dict[Node, Node]:
    """For each node but the centre, the nearer neighbour on the heaviest edge."""
    found: dict[Node, tuple[float, Node]] = {}
    for start, end, edge in ego.edges(data=True):
        for node, other in ((start, end), (end, start)):
            if _distance(ego, other) == _distance(ego, node) - 1:
                best = found.get(node)
                if best is None or edge["weight"] > best[0]:
                    found[node] = edge["weight"], other
    return {node: found[node][1] for node in ego if node in found}


def _distance(ego: Ego, node: Node) -> int:
    return int(ego.nodes[node]["distance"])


def _positions(
    ego: Ego, parents: Mapping[Node, Node]
) -> dict[Node, tuple[float, float]]:
    """Rings around the centre, each from the top, clockwise, by kind and weight.

    A node takes an angle for each leaf behind it.
    """
    children: dict[Node, list[Node]] = {node: [] for node in ego}
    for node in sorted(parents, key=lambda node: node[0]):  # stable: by kind
        children[parents[node]].append(node)
    leaves: dict[Node, int] = {}
    for node in sorted(ego, key=lambda node: -_distance(ego, node)):
        leaves[node] = sum(leaves[child] for child in children[node]) or 1
    centre = ego.graph["centre"]
    positions = {centre: (0.0, 0.0)}
    begins = {centre: pi / 2}
    step = 2 * pi / leaves[centre]
    for node in sorted(ego, key=lambda node: _distance(ego, node)):
        angle = begins[node]
        for child in children[node]:
            middle = angle - step * leaves[child] / 2
            radius = 1 + GAP * (_distance(ego, child) - 1)
            positions[child] = radius * cos(middle), radius * sin(middle)
            begins[child] = angle
            angle -= step * leaves[child]
    return positions


def _draw_edges(
    axes: "Axes",
    ego: Ego,
    parents: Mapping[Node, Node],
    positions: Mapping[Node, tuple[float, float]],
) -> None:
    """Edges by relation: a colour, a line style, and widths by weight."""
    relations: dict[tuple[str, str, str], dict[tuple[Node, Node], float]] = {}
    for start, end, edge in ego.edges(data=True):
        if start != end:
            name = start[0], edge["relation"], end[0]
            relations.setdefault(name, {})[start, end] = edge["weight"]
    drawn: Counter[tuple[str, str]] = Counter()
    for number, (name, edges) in enumerate(sorted(relations.items())):
        look: dict[str, Any] = {
            "color": PALETTE[(number + len(KINDS)) % len(PALETTE)],
            "linestyle": DASHES[number % len(DASHES)],
        }
        ends = name[0], name[2]
        bend = 0.1 * drawn[ends]  # parallel edges stay apart
        drawn[ends] += 1
        low, high = min(edges.values()), max(edges.values())
        arrows = False
        for (start, end), weight in edges.items():
            one_way = name[0] == name[2] and (end, start) not in edges
            if name[0] == name[2] and not one_way and start > end:
                continue  # drawn for the other direction
            arrows |= one_way
            near = start == parents.get(end) or end == parents.get(start)
            width = EQUAL if low == high else WIDEST * weight / high
            _draw_edge(axes, positions[start], positions[end], one_way, near, bend)
            axes.patches[-1].set(
                linewidth=max(THINNEST, width if near else width / 2), **look
            )
        label = f"{' '.join(name)}, weight {low:.3g}"
        label += f" to {high:.3g}" * (high > low) + ", one way" * arrows
        axes.plot([], [], label=label, linewidth=2, **look)


def _draw_edge(
    axes: "Axes",
    start: tuple[float, float],
    end: tuple[float, float],
    arrow: bool,
    near: bool,
    bend: float,
) -> None:
    """An edge, from one circle to another; the centre has a larger circle."""
    from matplotlib.patches import FancyArrowPatch

    around = [8 if point == (0.0, 0.0) else 4.5 for point in (start, end)]
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>" if arrow else "-",
            connectionstyle=f"arc3,rad={bend}",
            mutation_scale=7,
            shrinkA=around[0],
            shrinkB=around[1],
            alpha=0.85 if near else 0.3,
            zorder=1 + near,
        )
    )


def _draw_nodes(
    axes: "Axes", ego: Ego, positions: Mapping[Node, tuple[float, float]]
) -> None:
    for kind in sorted({node[0] for node in ego}, key=lambda k: (k not in KINDS, k)):
        number = KINDS.index(kind) if kind in KINDS else len(KINDS)
        nodes = [node for node in ego if node[0] == kind]
        x, y = zip(*(positions[node] for node in nodes), strict=True)
        look: dict[str, Any] = {
            "color": PALETTE[number] if kind in KINDS else OTHER,
            "marker": MARKERS[number],
            "edgecolors": "white",
            "linewidths": 0.7,
        }
        sizes = [150 if node == ego.graph["centre"] else 38 for node in nodes]
        axes.scatter(x, y, sizes, zorder=4, **look)
        axes.scatter([], [], 38, label=f"{kind} ({len(nodes):,})", **look)


def _draw_label(axes: "Axes", text: str, x: float, y: float, outer: bool) -> None:
    """A label that points away from the centre, and is never upside down."""
    angle = degrees(atan2(y, x))
    left = abs(angle) > 90
    axes.annotate(
        plain(shorten(text, 28 if outer else 12)),
        (x, y),
        (6 * cos(atan2(y, x)), 6 * sin(atan2(y, x))),
        textcoords="offset points",
        rotation=angle + 180 * left,
        rotation_mode="anchor",
        ha="right" if left else "left",
        va="center",
        fontsize=7,
        zorder=5,
        bbox=None
        if outer
        else {"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
    )


def _is_outer(ego: Ego, node: Node) -> bool:
    return _distance(ego, node) == max(_distance(ego, other) for other in ego)


def _text(ego: Ego, node: Node, names: Mapping[str, str]) -> str:
    label = str(ego.nodes[node]["label"])
    return names.get(label, label) if node[0] == "item" else label


def _title(ego: Ego, names: Mapping[str, str]) -> str:
    node = ego.graph["centre"]
    label, text = ego.nodes[node]["label"], _text(ego, node, names)
    name = f"{node[0]} {label}"
    return name if text == label else f"{shorten(text, 60)} ({name})"
