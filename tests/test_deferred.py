"""PyG leaves numba alone until it is used, and nobody else sees a difference."""

import subprocess
import sys

import pytest

LOADED = "'llvmlite' in sys.modules"
USES = {
    "first": "import numba\nassert numba.njit(lambda x: x + 1)(1) == 2",
    "name": "from numba import njit\nassert njit(lambda x: x + 1)(1) == 2",
    "part": "import numba.core.types as types\nassert str(types.int64) == 'int64'",
    "all": "from numba import *\nassert jit",
    "loops": "from graphseq.graphs import kernels\nassert kernels.shared",
    "PyG": "from torch_geometric.utils import ppr\nassert ppr.numba.njit",
}


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", f"import sys\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_pyg_does_not_load_numba() -> None:
    code = "import graphseq.models, torch_geometric\n"
    assert run(f"{code}print({LOADED}, 'numba' in sys.modules)") == "False False"


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_numba_is_there_for_who_uses_it(use: str) -> None:
    assert run(f"import graphseq, torch_geometric\n{use}\nprint({LOADED})") == "True"


def test_pyg_has_what_others_have() -> None:
    code = "import graphseq\nfrom torch_geometric.utils import ppr\nimport numba\n"
    assert run(f"{code}print(ppr.numba.njit is numba.njit)") == "True"


def test_pyg_is_loaded_as_ever() -> None:
    code = (
        "import graphseq, inspect, torch_geometric as pyg\n"
        "print(type(pyg.__loader__).__name__, type(pyg.__spec__.loader).__name__)\n"
        "print(len(inspect.getsource(pyg)) > 100, pyg.typing.WITH_PT20)"
    )
    assert run(code).split() == ["SourceFileLoader"] * 2 + ["True"] * 2


def test_what_is_loaded_already_stays() -> None:
    code = "import numba\nimport graphseq, torch_geometric\n"
    assert run(f"{code}print(sys.modules['numba'] is numba)") == "True"
