"""Recommendations: raw ids in, raw ids out."""

from graphseq.recommend.lists import write_lists
from graphseq.recommend.recommend import Recommender

__all__ = ["Recommender", "write_lists"]
