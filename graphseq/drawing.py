"""The one style of all plots: colours, line styles, panels, and files."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphseq.atomic import atomic_file, created_parents, system_errors
from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that colour-blind readers can distinguish (Okabe and Ito)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One for each colour, so that nothing is shown by colour alone."""
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (9, 2)),
    (0, (2, 3)),
)
"""Line styles, one for each colour."""
OTHER = "#999999"  # what is not in the foreground
FORMATS = ("png", "svg", "pdf")
WIDTH = 7.0  # inches; the text of a page with two columns
STYLE: Any = {
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.5,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # TrueType, which publishers require
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "graphseq",  # equal plots are equal files
}
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None},
    "png": {},
}


def plain(text: str) -> str:
    """Text without formulas: matplotlib reads what stands between two $ as one."""
    return text.replace("$", r"\$")


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of this package; the settings of matplotlib are restored."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def panels(
    number: int = 1,
    *,
    columns: int = 3,
    width: float = WIDTH,
    height: float = 2.3,
    **options: Any,
) -> "tuple[Figure, list[Axes]]":
    """A figure with panels of equal size; call it within :func:`style`.

    Args:
        number: Panels.
        columns: Largest number of panels in a row.
        width: Width of the figure in inches.
        height: Height of a row in inches.
        options: Arguments of ``Figure.subplots``, such as ``sharey=True``.
    """
    from matplotlib.figure import Figure

    columns = max(1, min(columns, number))
    rows = max(1, -(-number // columns))
    figure = Figure(figsize=(width, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for axes in grid[number:]:
        axes.remove()
    for axes in grid[max(0, number - columns) : number]:  # also above an empty place
        axes.tick_params(labelbottom=True)
    return figure, grid[:number]


def write_figure(path: str | Path, figure: "Figure") -> Path:
    """Replace a picture atomically; the suffix of its path is its format.

    Returns:
        The path.

    Raises:
        ConfigError: The suffix is not a format.
        GraphError: The system refused to write.
    """
    path = Path(path)
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        raise ConfigError(
            "a plot is written as .png, .svg or .pdf; found "
            f"{path.suffix or 'no suffix'} in {path}. Choose one of these suffixes"
        )
    with (
        style(),
        system_errors(f"write {path}"),
        created_parents(path),
        atomic_file(path) as draft,
    ):
        figure.savefig(draft, format=kind, metadata=METADATA[kind])
    return path


def svg(figure: "Figure") -> str:
    """A figure as an SVG element, for a page; equal figures give equal text."""
    text = io.StringIO()
    with style():
        figure.savefig(text, format="svg", metadata=METADATA["svg"])
    written = text.getvalue()
    return written[written.index("<svg") :]


def legend_above(figure: "Figure", columns: int = 4, **options: Any) -> None:
    """A legend of all labels of a figure above its panels, each label once."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found |= {k: h for k, h in zip(labels, handles, strict=True) if k not in found}
    if found:
        figure.legend(
            found.values(),
            found,
            loc="outside upper center",
            ncols=min(columns, len(found)),
            **options,
        )


def shorten(text: str, length: int) -> str:
    """A text that has at most ``length`` characters; an ellipsis ends a longer one."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def draw_labels(
    figure: "Figure", points: Sequence[tuple[float, float]], texts: Sequence[str]
) -> list[int]:
    """Circle and label points of the first axes; texts that would overlap are left out.

    Args:
        figure: A figure whose limits are final.
        points: x and y of each label, in data coordinates, the most important first.
        texts: The labels.

    Returns:
        The numbers of the labels that were drawn.
    """
    axes = figure.axes[0]
    figure.draw_without_rendering()
    kept: list[Any] = []
    drawn = []
    for number, (point, text) in enumerate(zip(points, texts, strict=True)):
        label = axes.annotate(
            plain(text),
            point,
            (4, 4),
            textcoords="offset points",
            fontsize=7,
            zorder=5,
            bbox={"pad": 0.5, "fc": "white", "ec": "none", "alpha": 0.7},
        )
        box = label.get_window_extent()
        if any(box.overlaps(other) for other in kept) or not _inside(axes, box):
            label.remove()
            continue
        kept.append(box)
        drawn.append(number)
        axes.plot(*point, "o", color="black", mfc="none", markersize=5, mew=0.8)
    return drawn


def _inside(axes: "Axes", box: Any) -> bool:
    frame = axes.get_window_extent()
    return bool(
        frame.x0 <= box.x0
        and box.x1 <= frame.x1
        and frame.y0 <= box.y0
        and box.y1 <= frame.y1
    )
