"""The commit that a run was made with."""

import subprocess
from pathlib import Path

from graphseq.training.provenance import commit


def test_the_commit_is_that_of_a_checkout_that_tracks_the_package(
    tmp_path: Path,
) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *words],
            check=True,
            capture_output=True,
        )

    assert commit(tmp_path) is None
    git("init")
    (tmp_path / "__init__.py").write_text("")
    assert commit(tmp_path) is None  # a checkout, but the package is not in it
    git("add", ".")
    git("commit", "-m", "first")
    found = commit(tmp_path)
    assert found is not None
    assert len(found["id"]) == 40
    assert not found["changed"]
    (tmp_path / "__init__.py").write_text("x = 1")
    found = commit(tmp_path)
    assert found is not None
    assert found["changed"]
