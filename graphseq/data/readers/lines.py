"""Lines of words between blanks."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from graphseq.data.columns import Int64s
from graphseq.data.readers.blocks import Block

PARTS = 4  # into which a block is cut: an event is but a word of it


@dataclass(frozen=True)
class Lines:
    """The lines of a block that are not blank.

    Attributes:
        words: Of every line; a line of one word has an empty second one, (L,).
        numbers: Of the lines in the file, (L,).
    """

    words: pl.Series
    numbers: Int64s

    @property
    def users(self) -> pl.Series:
        """The first word of every line, (L,)."""
        return self.words.list.first()


def split_lines(block: Block) -> Lines:
    """The words of a block, between blanks or tabs."""
    text = block.data.decode("utf-8", errors="replace").replace("\t", " ")
    lines = pl.Series([text]).str.split("\n").explode().str.strip_chars()
    if "  " in text:
        lines = lines.str.replace_all(" +", " ")
    sound = (lines != "").to_numpy()
    lines = lines.filter(sound)
    alone = ~lines.str.contains(" ", literal=True)
    lines = (lines + " ").zip_with(alone, lines) if alone.any() else lines
    return Lines(lines.str.split(" "), np.flatnonzero(sound) + block.first)
