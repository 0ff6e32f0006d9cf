"""One paper, one file; ``MODELS`` is the table of them all."""

from collections.abc import Callable, Mapping
from typing import Any

from graphseq.errors import ConfigError, suggest
from graphseq.models.backbone import Backbone
from graphseq.models.base import Model
from graphseq.models.bert4rec import BERT4Rec
from graphseq.models.bprmf import BPRMF
from graphseq.models.caser import Caser
from graphseq.models.cl4srec import CL4SRec
from graphseq.models.comirec import ComiRec
from graphseq.models.coserec import CoSeRec
from graphseq.models.dssrec import DSSRec
from graphseq.models.duorec import DuoRec
from graphseq.models.ec4srec import EC4SRec
from graphseq.models.gcsan import GCSAN
from graphseq.models.gru4rec import GRU4Rec
from graphseq.models.iclrec import ICLRec
from graphseq.models.lightgcn import LightGCN
from graphseq.models.lma4rec import LMA4Rec
from graphseq.models.mclrec import MCLRec
from graphseq.models.mclsr import MCLSR
from graphseq.models.pop import POP
from graphseq.models.s3rec import S3Rec
from graphseq.models.sasrec import SASRec
from graphseq.models.srgnn import SRGNN
from graphseq.models.srma import SRMA
from graphseq.models.stages import Stage, Step
from graphseq.nn.convolution import Convolution
from graphseq.nn.features import Embedding, Features, Propagated
from graphseq.nn.recurrent import GRU
from graphseq.nn.transformer import Transformer

MODELS: dict[str, type[Model]] = {
    "POP": POP,
    "BPRMF": BPRMF,
    "LightGCN": LightGCN,
    "GRU4Rec": GRU4Rec,
    "Caser": Caser,
    "SASRec": SASRec,
    "BERT4Rec": BERT4Rec,
    "S3Rec": S3Rec,
    "DSSRec": DSSRec,
    "ComiRec": ComiRec,
    "SRGNN": SRGNN,
    "GCSAN": GCSAN,
    "MCLSR": MCLSR,
    "CL4SRec": CL4SRec,
    "CoSeRec": CoSeRec,
    "LMA4Rec": LMA4Rec,
    "SRMA": SRMA,
    "DuoRec": DuoRec,
    "ICLRec": ICLRec,
    "EC4SRec": EC4SRec,
    "MCLRec": MCLRec,
}

PARTS: dict[str, type] = {
    "Embedding": Embedding,
    "Propagated": Propagated,
    "Transformer": Transformer,
    "GRU": GRU,
    "Convolution": Convolution,
}


def create(spec: Mapping[str, Any], num_users: int, num_items: int) -> Model:
    """Build a model from what :func:`graphseq.schema.describe` says of it.

    Args:
        spec: ``{"SASRec": {"dim": 64, "features": {"Propagated": {"layers": 1}}}}``;
            what is not named has its default.
        num_users: U.
        num_items: V.

    Raises:
        ConfigError: No such model, or no such part of one.
    """
    ((name, options),) = spec.items()
    _find("model", name, MODELS)
    given = {key: _part(value, num_items) for key, value in (options or {}).items()}
    given.pop("num_users", None), given.pop("num_items", None)
    make: Callable[..., Model] = MODELS[name]
    return make(num_users, num_items, **given)


def _part(value: Any, num_items: int) -> Any:
    """An option's value, built if it names a part."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, options),) = value.items()
        _find("part", name, PARTS)
        given = {k: v for k, v in (options or {}).items() if k != "num_items"}
        if issubclass(PARTS[name], Features):
            given["num_items"] = num_items
        return PARTS[name](**given)
    return value


def _find(what: str, name: str, known: Mapping[str, Any]) -> None:
    """Refuse a name that is none, with the way to make it one.

    Raises:
        ConfigError: It is none.
    """
    if name not in known:
        table = "MODELS" if what == "model" else "PARTS"
        raise ConfigError(
            f"there is no {what} {name!r}; {suggest(name, known)} (One of your own is "
            f"known after graphseq.models.{table}[{name!r}] = {name})"
        )


__all__ = [
    "BPRMF",
    "GCSAN",
    "MCLSR",
    "MODELS",
    "PARTS",
    "POP",
    "SRGNN",
    "SRMA",
    "BERT4Rec",
    "Backbone",
    "CL4SRec",
    "Caser",
    "CoSeRec",
    "ComiRec",
    "DSSRec",
    "DuoRec",
    "EC4SRec",
    "GRU4Rec",
    "ICLRec",
    "LMA4Rec",
    "LightGCN",
    "MCLRec",
    "Model",
    "S3Rec",
    "SASRec",
    "Stage",
    "Step",
    "create",
]
