"""Experiments: complete YAML files, checked whole before anything runs."""

from graphseq.config.experiment import Experiment
from graphseq.config.files import read_yaml
from graphseq.config.load import check, load

__all__ = ["Experiment", "check", "load", "read_yaml"]
