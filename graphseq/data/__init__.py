"""Logs, filters, splits and published data sets."""

from graphseq.data import synthetic
from graphseq.data.append import append
from graphseq.data.cold_items import ColdItems, hold_out_items
from graphseq.data.datasets import CountMismatch, load_dataset
from graphseq.data.fetch import Fetched, fetch_dataset
from graphseq.data.filters import (
    deduplicate,
    k_core,
    length_range,
    min_length,
    min_rating,
    time_window,
)
from graphseq.data.hetero import from_hetero
from graphseq.data.interactions import Interactions
from graphseq.data.item_vectors import VectorTable, read_vectors
from graphseq.data.readers import LAYOUTS, SkippedLines, read_log
from graphseq.data.recipes import Dataset, Download, catalog
from graphseq.data.split import HeldOut, Split, by_user, leave_one_out
from graphseq.data.time_split import by_time
from graphseq.data.vocabulary import Vocabulary

__all__ = [
    "LAYOUTS",
    "ColdItems",
    "CountMismatch",
    "Dataset",
    "Download",
    "Fetched",
    "HeldOut",
    "Interactions",
    "SkippedLines",
    "Split",
    "VectorTable",
    "Vocabulary",
    "append",
    "by_time",
    "by_user",
    "catalog",
    "deduplicate",
    "fetch_dataset",
    "from_hetero",
    "hold_out_items",
    "k_core",
    "leave_one_out",
    "length_range",
    "load_dataset",
    "min_length",
    "min_rating",
    "read_log",
    "read_vectors",
    "synthetic",
    "time_window",
]
