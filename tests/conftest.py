"""Settings and fixtures that several test folders share."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from torch import Tensor
    from torch_geometric.data import HeteroData

# Neither the load of the machine nor a first compilation may fail a property. Examples
# are drawn again in each run, but not in CI, where a change would fail for an example
# that it did not cause; --hypothesis-profile=thorough draws ten times as many.
for profile, examples in {"quick": 25, "thorough": 250}.items():
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("quick")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Number the bytes that tests get; their content is no name.

    Archives hold the time at which they were made: their names differed between the
    processes of pytest-xdist, which then refuse to run.
    """
    return argname if isinstance(val, bytes) else None


def pytest_collectstart() -> None:
    """Import the large dependencies before any module of graphseq does.

    While jaxtyping instruments a module, all that this module imports is searched for
    among jaxtyping's own compiled files, and compiled from source: 7 CPU seconds for
    each process. The controller of pytest-xdist collects nothing and imports nothing.
    """
    import beartype  # noqa: F401
    import cyclopts  # noqa: F401
    import lightning  # noqa: F401
    import polars  # noqa: F401
    import requests  # noqa: F401
    import torch_geometric  # noqa: F401


def pytest_collection_finish() -> None:
    """Leave what is imported out of the searches for garbage, also in forked copies."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data, specification metrics and published weights."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("GRAPHSEQ_SHARED", default))
    if not folder.is_dir():
        pytest.skip("the real data were not found; set GRAPHSEQ_SHARED to their folder")
    return folder


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """For long trainings, whose steps also run in short tests that check all shapes.

    The checks take about half of the time of small models.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def run_forked() -> Callable[[Callable[[], None]], int]:
    """Runs a function in a copy of this process; returns the status of its end.

    Faster than another Python, which would import torch again. The threads of polars
    and torch are not in the copy: the function may only work on files.
    """

    def run(function: Callable[[], None]) -> int:
        process = os.fork()
        if process == 0:
            try:
                function()
            finally:
                os._exit(0)
        return os.waitpid(process, 0)[1]

    return run


@pytest.fixture
def relations() -> "HeteroData":
    """The graph of the specification: users walk 0 1 2, 1 2 and 2 3; two attributes."""
    import torch
    from torch_geometric.data import HeteroData

    from graphseq import constants

    graph = HeteroData()
    for kind, number in {"user": 3, "item": 4, "attribute": 2}.items():
        graph[kind].num_nodes = number
    graph[constants.INTERACTS].edge_index = torch.tensor(
        [[0, 0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 2, 2, 3]]
    )
    graph[constants.HAS_ATTRIBUTE].edge_index = torch.tensor(
        [[0, 1, 1, 2, 3], [0, 0, 1, 1, 1]]
    )
    both = {
        constants.ITEM_CO_OCCURS: {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 2.0, (2, 3): 1.0},
        constants.USER_CO_OCCURS: {(0, 1): 2.0, (0, 2): 1.0, (1, 2): 1.0},
    }
    for relation, weights in both.items():
        mirrored = weights | {(j, i): weight for (i, j), weight in weights.items()}
        graph[relation].edge_index = torch.tensor(sorted(mirrored)).T
        graph[relation].edge_weight = torch.tensor(
            [mirrored[edge] for edge in sorted(mirrored)]
        )
    precedes = graph[constants.PRECEDES]
    precedes.edge_index = torch.tensor([[0, 1, 2], [1, 2, 3]])
    precedes.edge_weight = torch.tensor([1.0, 2.0, 1.0])
    return graph


@pytest.fixture
def tables() -> "tuple[Tensor, Tensor]":
    """The user and the item vectors of the specification, float64."""
    import torch

    users = torch.tensor([[1.0, 1], [0, 2], [-1, 0]], dtype=torch.float64)
    items = torch.tensor([[1.0, 0], [0, 1], [1, 1], [2, -1]], dtype=torch.float64)
    return users, items
