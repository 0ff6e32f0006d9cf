"""Writes tensors to safetensors files: nothing pickled, and readable as other files."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, contiguous_format


def write_safetensors(
    path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None
) -> None:
    """Write tensors as a file of the mode that the umask gives any new file.

    ``safetensors`` itself leaves files that only their owner can read.

    Args:
        path: The file; what stood there is lost.
        tensors: By name, on any device; several may share their memory.
        header: Texts for the file's header.
    """
    path.unlink(missing_ok=True)
    path.touch()
    mode = path.stat().st_mode
    save_file(_apart(tensors), path, header)
    path.chmod(mode)


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same on the CPU, contiguous, no two of them in the same memory."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        kept = tensor.detach().cpu()
        memory = kept.untyped_storage()
        alone = memory.nbytes() == kept.nbytes and memory.data_ptr() not in seen
        apart[name] = (
            kept.contiguous() if alone else kept.clone(memory_format=contiguous_format)
        )
        seen.add(memory.data_ptr())
    return apart
