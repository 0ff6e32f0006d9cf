"""PyG without numba, until somebody needs it.

PyG imports numba wherever it is installed, for two functions, and numba brings LLVM
along: 100 MB in every process. While PyG is imported, a stand-in takes numba's place;
afterwards it is gone, and what PyG holds of it loads numba when it is first used.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

READER, DEFERRED = "torch_geometric", "numba"


def prepare() -> None:
    """Be there when PyG is imported, if neither it nor numba has been."""
    if READER not in sys.modules and DEFERRED not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds PyG, once, as others would, but for how it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != READER:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None and find_spec(DEFERRED):
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads a module with the stand-in in numba's place."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        stand_in = _Later(DEFERRED)
        sys.modules.setdefault(DEFERRED, stand_in)
        try:
            self.loader.exec_module(module)
        finally:
            stand_in.step_aside()


class _Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def step_aside(self) -> None:
        """Leave the place to the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked of every module by those who look around
            raise AttributeError(f"{self.__name__} is not loaded yet: no {name}")
        self.step_aside()
        return getattr(import_module(self.__name__), name)
