"""Tensors on disk: what is read back, and who may read it."""

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from graphseq.tensors import write_safetensors


def test_tensors_of_one_memory_come_back_as_they_were(tmp_path: Path) -> None:
    table = torch.arange(12.0).reshape(3, 4).requires_grad_()
    tensors = {
        "table": table,
        "same": table,
        "turned": table.t(),
        "slice": table[1:, :2],
        "empty": torch.empty(0, 4),
        "numbers": torch.tensor(3),
    }
    write_safetensors(tmp_path / "t.safetensors", tensors, {"a": "b"})
    read = load_file(tmp_path / "t.safetensors")
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor), name


@pytest.mark.skipif(os.name == "nt", reason="modes are those of POSIX")
@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_the_umask_decides_who_may_read(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(b"what stood there")
    path.chmod(0o600)
    before = os.umask(umask)
    try:
        write_safetensors(path, {"a": torch.ones(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    assert load_file(path)["a"].tolist() == [1.0, 1.0]
