"""The names of models and parts, as experiment files and run folders use them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from graphseq.errors import ConfigError
from graphseq.models.base import Model
from graphseq.models.bert4rec import BERT4Rec
from graphseq.models.bprmf import BPRMF
from graphseq.models.bsarec import BSARec
from graphseq.models.caser import Caser
from graphseq.models.cl4srec import CL4SRec, ViewContrast
from graphseq.models.comirec import ComiRec
from graphseq.models.coserec import CoSeRec
from graphseq.models.dssrec import DisentangledFuture, DSSRec
from graphseq.models.duorec import DuoRec, TargetContrast
from graphseq.models.ease import EASE
from graphseq.models.ec4srec import EC4SRec, ExplainedViews
from graphseq.models.ensemble import Ensemble
from graphseq.models.feature_contrast import FeatureContrast
from graphseq.models.fmlp import FMLPRec
from graphseq.models.gcsan import GCSAN
from graphseq.models.gfcf import GFCF
from graphseq.models.gru4rec import GRU4Rec
from graphseq.models.iclrec import ICLRec, IntentContrast
from graphseq.models.interest_contrast import InterestContrast
from graphseq.models.itemknn import ItemKNN
from graphseq.models.lightgcn import LightGCN
from graphseq.models.lma4rec import LearnableDropoutContrast, LMA4Rec
from graphseq.models.mclrec import LearnedViews, MCLRec
from graphseq.models.mclsr import MCLSR
from graphseq.models.next_item_first import NextItemFirst
from graphseq.models.pop import POP
from graphseq.models.repeat import Repeat
from graphseq.models.repeat_bias import RepeatBias
from graphseq.models.s3rec import MutualInformation, S3Rec
from graphseq.models.sasrec import SASRec
from graphseq.models.sequence_model import PARTS, SequenceModel
from graphseq.models.simgcl import SimGCL
from graphseq.models.srgnn import SRGNN
from graphseq.models.srma import SRMA, ModelAugmentation
from graphseq.models.tvrec import TVRec
from graphseq.models.wearec import WEARec
from graphseq.models.xsimgcl import XSimGCL
from graphseq.nn.propagation import GraphEncoder
from graphseq.runtime import available_memory, format_bytes
from graphseq.schema import refuse
from graphseq.sequences.augment import CropMaskReorder, InformedAugmentation
from graphseq.sequences.guided_augment import GuidedAugmentation
from graphseq.spec_reader import Reader
from graphseq.specs import Spec

__all__ = ["MODELS", "PARTS", "SUPPLIED", "build_model", "create", "model_table"]

_MODELS: tuple[type[Model], ...] = (
    POP,
    Repeat,
    ItemKNN,
    EASE,
    GFCF,
    BPRMF,
    LightGCN,
    SimGCL,
    XSimGCL,
    GRU4Rec,
    Caser,
    SASRec,
    BERT4Rec,
    FMLPRec,
    BSARec,
    WEARec,
    TVRec,
    S3Rec,
    DSSRec,
    ComiRec,
    SRGNN,
    GCSAN,
    MCLSR,
    CL4SRec,
    CoSeRec,
    LMA4Rec,
    SRMA,
    DuoRec,
    ICLRec,
    EC4SRec,
    MCLRec,
)
_PARTS: tuple[type, ...] = (
    CropMaskReorder,
    InformedAugmentation,
    GuidedAugmentation,
    ViewContrast,
    LearnableDropoutContrast,
    TargetContrast,
    IntentContrast,
    ExplainedViews,
    LearnedViews,
    ModelAugmentation,
    MutualInformation,
    DisentangledFuture,
    InterestContrast,
    FeatureContrast,
    NextItemFirst,
    GraphEncoder,
)
MODELS: dict[str, type[Model]] = {model.__name__: model for model in _MODELS}
"""The models of the papers, by name."""
PARTS.update({part.__name__: part for part in _PARTS})
SUPPLIED = frozenset({"num_users", "num_items"})
"""Options of models that the data supply."""


COMBINED: tuple[type[Model], ...] = (SequenceModel, Ensemble, RepeatBias)
"""Models that consist of what their options name."""


def model_table() -> dict[str, type[Model]]:
    """All names that a file may give to a model."""
    return {**MODELS, **{each.__name__: each for each in COMBINED}}


def part_table() -> dict[str, type]:
    """All names that the options of a model may give to parts, and to members."""
    return {**PARTS, **model_table()}


def create(spec: Mapping[str, Any], num_users: int, num_items: int) -> Model:
    """Build a model from a description such as :func:`graphseq.schema.describe` gives.

    Args:
        spec: ``{"SASRec": {"backbone": {"dim": 64}}}``; what is left out has its
            default. Sizes that the data supply are ignored in it.
        num_users: U.
        num_items: V.

    Raises:
        OptionError: With all that is wrong. The names of your own models and parts
            are known after ``MODELS[name] = …`` and ``PARTS[name] = …``.
        ConfigError: The weights exceed the free memory.
    """
    reader = Reader(part_table(), SUPPLIED, ignore_supplied=True)
    read = reader.pick(model_table(), spec, "model")
    refuse("model", reader.problems)
    assert read is not None
    return build_model(read, num_users, num_items)


def build_model(spec: Spec, num_users: int, num_items: int) -> Model:
    """Build a model whose options were read.

    Args:
        spec: The class and its options.
        num_users: U.
        num_items: V.

    Raises:
        ConfigError: The weights exceed the free memory. Nothing is allocated then.
    """
    sizes = {"num_users": num_users, "num_items": num_items}
    with suppress(RuntimeError):  # a model of your own may need a real device
        with torch.device("meta"):  # allocates nothing
            planned: Model = spec.build(**sizes)
        _check_memory(planned, f"{num_users:,} users and {num_items:,} items")
    model: Model = spec.build(**sizes)
    return model


def _check_memory(model: Model, content: str) -> None:
    weights = (*model.parameters(), *model.buffers())
    needed, free = sum(weight.nbytes for weight in weights), available_memory()
    if free is not None and needed > free:
        raise ConfigError(
            f"the weights of {type(model).__name__} for {content} take "
            f"{format_bytes(needed)}, and {format_bytes(free)} of memory are free. "
            "Choose smaller sizes (dim, max_length), or filter the log"
        )
