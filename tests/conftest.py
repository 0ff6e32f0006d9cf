"""Fixtures that several test folders share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data, specification figures and published weights."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("GRAPHSEQ_SHARED", default))
    if not folder.is_dir():
        pytest.skip("the real data are not here; set GRAPHSEQ_SHARED to their folder")
    return folder
