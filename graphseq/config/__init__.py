"""Experiments: complete YAML files, checked before anything runs."""

from graphseq.config.experiment import Experiment, check
from graphseq.config.variants import experiment_names, experiments_of, load, load_all
from graphseq.config.yaml import read_yaml

__all__ = [
    "Experiment",
    "check",
    "experiment_names",
    "experiments_of",
    "load",
    "load_all",
    "read_yaml",
]
