"""Checkpoints: the same structure comes back, nothing is pickled, damage is refused."""

import math
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from graphseq.errors import RunError
from graphseq.training.checkpoint import (
    load_state,
    read_tensors,
    save_state,
    write_tensors,
)

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
)
KEYS = st.text(max_size=5) | st.integers() | st.none() | st.tuples(st.integers())
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tensor", "dict", "tuple"]), inner)
    ),
    max_leaves=12,
)


def there_and_back(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    save_state(state, folder / "state.safetensors")
    return load_state(folder / "state.safetensors")


def kinds(value: Any) -> Any:
    """The types all the way down, which ``==`` of 1, 1.0 and True does not see."""
    if isinstance(value, dict):
        return [(type(key), kinds(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [kinds(item) for item in value]
    return type(value)


@given(nested=NESTED)
def test_any_nested_state_comes_back(
    nested: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    back = there_and_back({"state": nested}, tmp_path_factory.getbasetemp())
    assert back == {"state": nested}
    assert kinds(back) == kinds({"state": nested})


def test_keys_that_read_like_a_path_do_not_collide(tmp_path: Path) -> None:
    state = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}
    back = there_and_back(state, tmp_path)
    assert back["a.b"] == 0
    assert back["a"]["b"] == 1


def test_numbers_that_json_lacks_come_back(tmp_path: Path) -> None:
    back = there_and_back({"high": math.inf, "nan": math.nan, "low": -0.0}, tmp_path)
    assert back["high"] == math.inf
    assert math.isnan(back["nan"])
    assert math.copysign(1, back["low"]) == -1


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, 4),
        torch.tensor(3.5, dtype=torch.float64),
        torch.randn(4, 4).to(torch.bfloat16),
        torch.arange(6).reshape(2, 3).T,
        torch.tensor([True, False]),
        torch.empty(0, 5),
    ],
    ids=["matrix", "scalar", "bfloat16", "transposed", "bool", "empty"],
)
def test_tensors_keep_type_shape_and_values(
    tmp_path: Path, tensor: torch.Tensor
) -> None:
    back = there_and_back({"x": [tensor]}, tmp_path)["x"][0]
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


def test_tensors_may_share_their_memory(tmp_path: Path) -> None:
    tied = torch.randn(4)
    back = there_and_back({"a": tied, "b": tied, "part": tied[1:]}, tmp_path)
    assert torch.equal(back["a"], tied)
    assert torch.equal(back["b"], tied)
    assert torch.equal(back["part"], tied[1:])


def test_an_optimizer_goes_on_from_it_as_if_it_had_never_stopped(
    tmp_path: Path,
) -> None:
    def steps(layer: nn.Linear, optimizer: torch.optim.Optimizer) -> None:
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.ones(2)).square().sum().backward()
            optimizer.step()

    whole, halved = nn.Linear(2, 2), nn.Linear(2, 2)
    halved.load_state_dict(whole.state_dict())
    adam = torch.optim.Adam(whole.parameters(), lr=0.1)
    steps(whole, adam)
    steps(whole, adam)
    first = torch.optim.Adam(halved.parameters(), lr=0.1)
    steps(halved, first)
    second = torch.optim.Adam(halved.parameters(), lr=0.1)
    second.load_state_dict(there_and_back(first.state_dict(), tmp_path))
    steps(halved, second)
    assert torch.equal(whole.weight, halved.weight)


def test_dicts_of_other_classes_come_back_as_dicts(tmp_path: Path) -> None:
    state = {"a": OrderedDict(x=1), "b": defaultdict(list, y=[2])}
    assert there_and_back(state, tmp_path) == {"a": {"x": 1}, "b": {"y": [2]}}


@pytest.mark.parametrize("value", [object(), Path("x"), {1, 2}, torch.float32])
def test_what_only_a_pickle_could_hold_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match=r"state\.callbacks\.0 is a "):
        save_state({"callbacks": [value]}, tmp_path / "state.safetensors")
    assert not [*tmp_path.iterdir()]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.safetensors"
    save_state({"epoch": 1}, path)

    def half(tensors: Any, path: Path, words: Any) -> None:
        path.write_bytes(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", half)
    with pytest.raises(OSError, match="disk full"):
        save_state({"epoch": 2}, path)
    assert load_state(path) == {"epoch": 1}


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "state.safetensors"
    save_state({"x": torch.ones(50)}, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match="damaged or of another program"):
        load_state(path)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the file does not exist"):
        load_state(tmp_path / "absent")
    torch.save({"epoch": 1}, tmp_path / "pickle")
    with pytest.raises(RunError, match="damaged or of another program"):
        load_state(tmp_path / "pickle")
    write_tensors(tmp_path / "weights", {"x": torch.ones(1)}, {"model": {}})
    with pytest.raises(RunError, match="not a checkpoint"):
        load_state(tmp_path / "weights")


def test_a_checkpoint_that_names_an_absent_tensor_is_refused(tmp_path: Path) -> None:
    words = {"format": 1, "state": {"dict": [["x", {"tensor": "gone"}]]}}
    write_tensors(tmp_path / "state", {}, words)
    with pytest.raises(RunError, match="is inconsistent"):
        load_state(tmp_path / "state")


def test_words_ride_in_the_header(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", {"x": torch.ones(2)}, {"epoch": 3})
    tensors, words = read_tensors(tmp_path / "file")
    assert words == {"epoch": 3}
    assert torch.equal(tensors["x"], torch.ones(2))


def test_equal_content_makes_equal_files(tmp_path: Path) -> None:
    files = []
    for number in range(8):  # several texts in the header would change places
        file = tmp_path / str(number)
        write_tensors(file, {"x": torch.ones(2), "y": torch.zeros(1)}, {"epoch": 3})
        files.append(file.read_bytes())
    assert len(set(files)) == 1


@pytest.mark.parametrize("text", ["[]", "{}", '{"sha256": "0", "header": 1}', "{"])
def test_a_header_of_another_program_is_refused(tmp_path: Path, text: str) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "file", {"graphseq": text})
    with pytest.raises(RunError, match=r"(version|program|checksum)"):
        read_tensors(tmp_path / "file")
