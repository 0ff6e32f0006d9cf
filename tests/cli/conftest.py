"""Ctrl-C is heard, even where the tests were started in the background."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def interruptible() -> Iterator[None]:
    """A shell lets its background jobs ignore SIGINT, and so do their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
