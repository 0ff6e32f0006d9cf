"""Build graphs on a cluster: PySpark reads, filters, counts and multiplies.

PySpark is imported where it is used: this package can be imported without it, and
quickly in the worker processes of Spark.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphseq.spark.engine import build

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    if name == "build":
        from graphseq.spark.engine import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
