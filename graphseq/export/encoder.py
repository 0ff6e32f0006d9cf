"""The part of a model that reads histories, as an ONNX file."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.nn import Features
from graphseq.sequences.batch import Batch

INPUT, OUTPUT = "items", "vectors"
TOLERANCE = 1e-4  # of single vectors, against torch; see check_onnx


class Frozen(nn.Module):
    """Item vectors as a constant.

    Args:
        vectors: (V, D).
    """

    def __init__(self, vectors: Float[Tensor, "V D"]) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)

    def forward(self, graph: HeteroData) -> Tensor:
        """The vectors; the graph is not read."""
        return self.vectors  # type: ignore[return-value]


class HistoryEncoder(nn.Module):
    """A model's vector of a history, with the item features frozen.

    Features are computed once, on the graph, so that no graph is read later.

    Args:
        model: A model that reads histories; it is copied.
        graph: The graph that it was trained on.
    """

    def __init__(self, model: Model, graph: HeteroData) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).cpu().eval()
        self.num_items = model.num_items
        self._graph = copy.copy(graph).cpu()
        with torch.no_grad():
            _freeze(self.model, self._graph)

    def forward(
        self, items: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B D"] | Float[Tensor, "B K D"]:
        """The vector of each row, or its K vectors.

        Args:
            items: Rows of items, oldest first; V pads on the right. L is at most the
                model's ``max_length``.
        """
        lengths = (items < self.num_items).sum(dim=1)
        users = torch.full_like(lengths, -1)  # unseen
        batch = Batch(users, items, lengths, self.num_items)
        return self.model.represent(batch, self._graph)


def to_onnx(encoder: HistoryEncoder, path: Path) -> None:
    """Write an encoder as one ONNX file, for any number and length of histories.

    Input ``items``, int64 (B, L); output ``vectors``, float32 (B, D) or (B, K, D). The
    file is run with onnxruntime at other sizes than it was traced at, and compared with
    torch.

    Args:
        encoder: The encoder.
        path: The file.

    Raises:
        ConfigError: The packages of the extra ``onnx`` are not installed; or the model
            cannot be exported.
    """
    check_installed()
    name, size = type(encoder.model).__name__, encoder.num_items
    example = torch.full((3, min(5, encoder.model.max_length)), size)
    example[0] = 0
    example[1, 0] = 0
    try:
        with _quiet():
            program = torch.onnx.export(
                encoder,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: "B", 1: "L"},),
                dynamo=True,
                verbose=False,
            )
            assert program is not None
            program.save(path, external_data=False)
    except torch.onnx.OnnxExporterError as error:
        raise ConfigError(
            f"{name} cannot be exported to ONNX: {_reason(error)}. Serve it with "
            "Recommender, or train a model whose operations do not depend on the "
            "values of a history, such as SASRec"
        ) from error
    check_onnx(encoder, path)


def check_onnx(encoder: HistoryEncoder, path: Path) -> None:
    """Refuse a file with fixed sizes, or with other results than torch.

    Raises:
        ConfigError: It has.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = type(encoder.model).__name__
    for axes in (session.get_inputs()[0].shape, session.get_outputs()[0].shape[:1]):
        if fixed := [axis for axis in axes if not isinstance(axis, str)]:
            raise ConfigError(
                f"the ONNX file of {name} has axes of fixed size {fixed} in {axes}, so "
                "it reads no other batches. Its operations depend on sizes as numbers"
            )
    for rows, length in ((1, 1), (18, encoder.model.max_length), (2, 3)):
        items = _example(rows, min(length, encoder.model.max_length), encoder.num_items)
        with torch.no_grad():
            wanted = encoder(items).numpy()
        [found] = session.run(None, {INPUT: items.numpy()})
        worst = float(np.abs(found - wanted).max(initial=0))
        scale = float(np.abs(wanted).max(initial=1))
        if found.shape != wanted.shape or not worst <= TOLERANCE * scale:
            raise ConfigError(
                f"the ONNX file of {name} gives vectors {found.shape} that differ by "
                f"{worst:.1g} from torch's, {wanted.shape}. Update torch, onnxscript "
                "and onnxruntime, or report this model"
            )


def check_installed() -> None:
    """Refuse if a package of the extra ``onnx`` is missing.

    Raises:
        ConfigError: One is.
    """
    from importlib.util import find_spec

    lacking = [n for n in ("onnx", "onnxscript", "onnxruntime") if not find_spec(n)]
    if lacking:
        raise ConfigError(
            f"the export needs {', '.join(lacking)}, not installed here: "
            "pip install 'graphseq[onnx]'"
        )


def _example(rows: int, length: int, size: int) -> Int[Tensor, "B L"]:
    """Histories of 0 … L items, padded with V."""
    items = torch.arange(rows * length).view(rows, length) % size
    lengths = torch.arange(rows, 0, -1)[:, None] * length // rows
    return items.where(torch.arange(length) < lengths, size)


def _freeze(module: nn.Module, graph: HeteroData) -> None:
    """Replace the item features in a module by their values."""
    for name, part in module.named_children():
        if isinstance(part, Features):
            module.register_module(name, Frozen(part(graph).detach().clone()))
        else:
            _freeze(part, graph)


def _reason(error: BaseException) -> str:
    """The cause of an exporter's error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"


@contextmanager
def _quiet() -> Iterator[Any]:
    """Without the exporter's notes on its own code."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
