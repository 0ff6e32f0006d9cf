"""Every formula of the package and of the pages becomes MathML, without a network."""

import re
from importlib import import_module as extension
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes

ROOT = Path(__file__).resolve().parents[2]
INLINE = re.compile(r":math:`([^`]+)`")
DISPLAY = re.compile(r"^( *)\.\. math::(.*)\n((?:\1 +.*\n|\n)+)", re.MULTILINE)


def written(formula: str, write: str) -> str:
    """What the extension writes for a formula."""
    translator = SimpleNamespace(
        body=[], starttag=lambda node, tag, **attributes: f"<{tag}>"
    )
    with pytest.raises(nodes.SkipNode):
        getattr(extension("mathml"), write)(translator, nodes.math(text=formula))
    return "".join(translator.body)


def formulas() -> list[tuple[str, str]]:
    texts = [path.read_text("utf-8") for path in (ROOT / "graphseq").rglob("*.py")]
    found = [(each, "inline") for text in texts for each in INLINE.findall(text)]
    return found + [
        (f"{first} {rest}".strip(), "display")
        for text in texts
        for _, first, rest in DISPLAY.findall(text)
    ]


def test_no_formula_leaves_a_command_or_a_separator_unread() -> None:
    found = formulas()
    assert len(found) > 150
    for formula, write in found:
        html = written(formula, write)
        assert "<math" in html
        assert not re.search(r"\\|&#x00026;|&amp;", html), formula
        assert "merror" not in html, formula


def test_lines_of_a_formula_are_rows_that_are_aligned() -> None:
    html = written(r"a &= b + c \\ d &= e", "display")
    assert html.count("<mtr>") == 2
    assert 'display="block"' in html
    assert 'display="inline"' in written("a", "inline")


def test_no_page_loads_anything_from_another_host() -> None:
    conf = (ROOT / "docs" / "conf.py").read_text("utf-8")
    static = [path.read_text("utf-8") for path in (ROOT / "docs/_static").iterdir()]
    assert 'html_math_renderer = "mathml"' in conf
    assert "sphinx.ext.mathjax" not in conf
    assert [text for text in [conf, *static] if "https://" in text] == []
