"""Formulas as MathML, which browsers render themselves: no script and no network.

The font STIX Two Math is copied from ziamath, since browsers place subscripts badly
without a mathematical font.
"""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

FONT = "STIXTwoMath-Regular.ttf"


def inline(translator: Any, node: Any) -> None:
    """Write a formula in a line of text."""
    translator.body.append(convert(plain(node.astext())))
    raise nodes.SkipNode


def display(translator: Any, node: Any) -> None:
    r"""Write a formula on lines of its own; ``\\`` separates lines, & aligns them."""
    text = plain(node.astext())
    if r"\\" in text:  # the space is for a text that begins with [, an option of split
        text = rf"\begin{{split}}\,{text}\end{{split}}"
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(convert(text, display="block") + "</div>\n")
    raise nodes.SkipNode


def plain(text: str) -> str:
    r"""A formula whose ``\text`` has no escapes, which the converter would show."""
    return re.sub(r"\\text\{[^}]*\}", lambda found: found[0].replace(r"\_", "_"), text)


def copy_font(app: Any, _: object) -> None:
    """Copy the font next to the style sheet that names it."""
    if app.builder.format == "html":
        font = files("ziamath.fonts").joinpath(FONT).read_bytes()
        (Path(app.outdir) / "_static" / FONT).write_bytes(font)


def setup(app: Any) -> dict[str, Any]:
    """Make this the writer of formulas in HTML."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    app.connect("build-finished", copy_font)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
