"""Recommendations: raw ids in, raw ids out."""

from graphseq.recommend.recommend import Recommender

__all__ = ["Recommender"]
