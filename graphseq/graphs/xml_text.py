"""Text as XML wants it."""

import polars as pl

from graphseq.errors import GraphError

ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
ESCAPES |= {sign: f"&#{ord(sign)};" for sign in "\t\n\r"}
FORBIDDEN = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"


def escaped(text: str) -> str:
    """A text with its signs of markup and its breaks spelt out."""
    return "".join(ESCAPES.get(sign, sign) for sign in text)


def escaped_column(name: str) -> pl.Expr:
    """A column as text, escaped."""
    text = pl.col(name).cast(pl.String)
    return text.str.replace_many([*ESCAPES], [*ESCAPES.values()])


def refuse_signs(ids: pl.Series) -> None:
    """Refuse ids that hold a sign which XML cannot hold in any spelling.

    Raises:
        GraphError: As said.
    """
    faulty = ids.filter(ids.str.contains(FORBIDDEN))
    if len(faulty):
        raise GraphError(
            f"XML does not know a sign of the raw id {faulty[0]!r}. Export as parquet"
        )
