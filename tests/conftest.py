"""Settings and fixtures that several test folders share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

# Neither the load of the machine nor a first compilation may fail a property. Examples
# are drawn again in each run; --hypothesis-profile=thorough draws ten times as many.
for profile, examples in {"quick": 25, "thorough": 250}.items():
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("quick")


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
