"""Load the weights of other programs, by a table of tensor names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from graphseq.errors import ConfigError, suggest
from graphseq.models.base import Model
from graphseq.models.tensor_names import TensorPart, fill, matches, parse_part
from graphseq.schema import InvalidOption, checked, refuse


class Copy(NamedTuple):
    """A part of a stored tensor, and the part of the model that it becomes."""

    stored: TensorPart
    own: TensorPart


@checked
def load_weights(
    model: Model, file: str | Path, names: Mapping[str, str | None]
) -> None:
    """Load the weights of another program into a model.

    Every element of the model's ``state_dict`` has to be covered exactly once, and
    every tensor of the file used or ignored; otherwise the model stays as it is. Only
    safetensors files are read, since reading a pickle can execute code.

    A name is followed by an index where a part of the tensor is meant, and by ``.T``
    where that is transposed. In an index, V and U are the numbers of items and users, D
    is the width of the model, and W its ``max_length``:

    * ``item_embeddings.weight[1:V+1]``: the rows of the items,
    * ``item_embeddings.weight[0]``: the row of the padding,
    * ``blocks.0.qkv.weight[D:2*D]``: the second third of a map that is stored as three,
    * ``complex_weight[0, :, :D]``: rows of several axes.

    Fields match any text without a dot, the same on both sides: ``up.{i}.{k}`` maps
    ``up.0.weight``, ``up.0.bias``, ``up.1.weight`` and so on. Axes of length 1 need not
    be named, and the type of numbers is that of the model.

    Args:
        model: The model, created with the options of the weights.
        file: A safetensors file.
        names: For each name of the file, or pattern of names, the name in the model;
            ``None`` ignores the tensors, and ``*`` in the pattern is any text.

    Raises:
        ConfigError: The file cannot be read, or with everything that does not fit.
    """
    own = model.state_dict()
    try:
        with safe_open(file, framework="pt") as opened:
            shapes = {n: opened.get_slice(n).get_shape() for n in opened.keys()}  # noqa: SIM118
            table = _Table(shapes, own, sizes_of(model))
            copies = table.read(names)
            refuse(f"the weights in {file}", table.problems)
            with torch.no_grad():
                for stored, target in copies:
                    part = target.of(own[target.name])
                    tensor = stored.of(opened.get_tensor(stored.name))
                    part.copy_(tensor.reshape(part.shape))
    except FileNotFoundError as error:
        raise ConfigError(f"there are no weights {file}: {error}") from error
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"{file} is not a safetensors file ({error}). Pickles are not read, since "
            "they can execute code. Convert the file of a source that you trust: "
            "safetensors.torch.save_file(torch.load(FILE, weights_only=True), …)"
        ) from error


def sizes_of(model: Model) -> dict[str, int]:
    """The sizes that an index may name: V, U, D and W."""
    width = getattr(getattr(model, "backbone", None), "dim", model.options.get("dim"))
    sizes = {"V": model.num_items, "U": model.num_users, "W": model.max_length}
    return sizes if width is None else {**sizes, "D": width}


class _Table:
    """Reads a table of names, and collects what is wrong with it.

    Args:
        shapes: Of the stored tensors.
        own: The tensors of the model.
        sizes: That an index may name.
    """

    def __init__(
        self,
        shapes: Mapping[str, list[int]],
        own: Mapping[str, Tensor],
        sizes: Mapping[str, int],
    ) -> None:
        self.stored = {n: torch.empty(s, device="meta") for n, s in shapes.items()}
        self.own, self.sizes = own, sizes
        self.problems: list[InvalidOption] = []

    def read(self, names: Mapping[str, str | None]) -> list[Copy]:
        """The copies that the table requests; complete if there are no problems."""
        copies: list[Copy] = []
        used: set[str] = set()
        for pattern, target in names.items():
            try:
                for copy in self._copies(pattern, target, used):
                    copies += [copy] if self._fits(copy) else []
            except ValueError as error:
                self._problem(pattern, str(error))
        for name in self.stored.keys() - used:
            shape = tuple(self.stored[name].shape)
            message = f"stored with the shape {shape}, and not in the table; name its"
            self._problem(name, f"{message} tensor in the model, or None to ignore it")
        self._check_coverage(copies)
        self.problems.sort()
        return copies

    def _copies(
        self, pattern: str, target: str | None, used: set[str]
    ) -> Iterator[Copy]:
        """What an entry of the table requests; its stored names are added to ``used``.

        Raises:
            ValueError: The entry cannot be read, or no name fits it.
        """
        stored = parse_part(pattern, self.sizes)
        found = [*matches(stored.name, self.stored)]
        used |= {fields[""] for fields in found}
        if target is None:
            return
        if "*" in stored.name:
            raise ValueError("* only ignores tensors; name them, with fields like {i}")
        if not found:
            near = suggest(stored.name, self.stored)
            raise ValueError(f"the file has no such tensor; {near}")
        for fields in found:
            own = parse_part(fill(target, fields), self.sizes)
            yield Copy(TensorPart(fields[""], stored.index, stored.transposed), own)

    def _fits(self, copy: Copy) -> bool:
        """Whether both parts exist and have one shape, but for axes of length 1."""
        stored, own = copy
        if own.name not in self.own:
            near = suggest(own.name, self.own)
            self._problem(stored.name, f"the model has no {own.name}; {near}")
            return False
        try:
            found = stored.of(self.stored[stored.name]).shape
            expected = own.of(self.own[own.name]).shape
        except IndexError as error:
            self._problem(stored.name, f"no such part, or not of {own.name}: {error}")
            return False
        if [n for n in found if n != 1] == [n for n in expected if n != 1]:
            return True
        message = f"{tuple(expected)} is expected for {own.name}, found {tuple(found)}"
        self._problem(
            stored.name, f"{message}; check the index and the model's options"
        )
        return False

    def _check_coverage(self, copies: list[Copy]) -> None:
        """Every element of the model once."""
        for name, tensor in self.own.items():
            times = torch.zeros(tensor.shape, dtype=torch.int16)
            sources = [stored.name for stored, own in copies if own.name == name]
            for _, own in copies:
                if own.name == name:
                    own.of(times).add_(1)
            size, missing = times.numel(), int((times == 0).sum())
            if missing:
                message = (
                    f"{missing} of {size} elements, shape {tuple(tensor.shape)}, get"
                )
                self._problem(name, f"{message} no value; map a tensor to them")
            if bool((times > 1).any()):
                both = " and ".join(dict.fromkeys(sources))
                self._problem(name, f"covered twice, by {both}; map one of them")

    def _problem(self, name: str, message: str) -> None:
        self.problems.append(InvalidOption(name, message))
