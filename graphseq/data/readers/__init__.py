"""Readers of the file formats in which logs are published."""

from graphseq.data.readers.errors import SkippedLines
from graphseq.data.readers.formats import LAYOUTS
from graphseq.data.readers.log import read_log

__all__ = ["LAYOUTS", "SkippedLines", "read_log"]
