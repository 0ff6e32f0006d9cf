"""Who reads, filters and multiplies for ``graphseq build``: this process, or Spark."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from graphseq.cli import making
from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from torch_geometric.transforms import BaseTransform

    from graphseq.cli.stages import Stages
    from graphseq.data import Interactions, Split
    from graphseq.spark.engine import Engine
    from graphseq.spark.events import Events, Training


class Local:
    """This process."""

    def read(self, stages: "Stages", given: Mapping[str, Any]) -> "Interactions":
        """The log; what it is printed as, and what :meth:`whole` takes."""
        return making.read(stages, given)

    def cut(self, stages: "Stages", log: Any, given: Mapping[str, Any]) -> "Split":
        """The split of what the filters leave."""
        return making.cut(stages, log, given)

    def spread(self, steps: "Sequence[BaseTransform]") -> "Sequence[BaseTransform]":
        """The steps as they are to be applied."""
        return steps

    def whole(self, log: Any) -> "Interactions":
        """The log, as it goes into the folder."""
        whole: Interactions = log
        return whole


class Spark:
    """A session of Spark, and this process as its driver."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._training: Training | None = None

    def read(self, stages: "Stages", given: Mapping[str, Any]) -> "Events":
        """The log, on the cluster."""
        stages.begin("read")
        reading = ("format", "separator", "on_error")
        found = self._engine.read(
            given["log"],
            columns=making.columns_of(given["columns"]),
            **{name: given[name] for name in reading},
        )
        stages.end(f"{len(found):,} events")
        return found

    def cut(self, stages: "Stages", log: Any, given: Mapping[str, Any]) -> "Split":
        """The split of what the filters leave; the cluster has its events too."""
        stages.begin("filter and split")
        filters = ("deduplicate", "k_core", "min_length")
        left = self._engine.filter(log, **{name: given[name] for name in filters})
        self._training = self._engine.split(left, given["split"], given["seed"])
        split = self._training.split
        stages.end(making.said(split))
        return split

    def spread(self, steps: "Sequence[BaseTransform]") -> "Sequence[BaseTransform]":
        """The steps, such that the cluster does their work."""
        assert self._training is not None
        return self._engine.distribute(steps, self._training)

    def whole(self, log: Any) -> "Interactions":
        """The log, fetched from the cluster."""
        whole: Interactions = log.collect()[0]
        return whole


@contextmanager
def engine_of(given: Mapping[str, Any]) -> "Iterator[Local | Spark]":
    """What the options of ``build`` ask for.

    Raises:
        ConfigError: Options of Spark are given without it, or Spark is not there.
    """
    if given["engine"] == "local":
        for name in ("master", "spark_conf"):
            if given[name] is not None:
                option = "--" + name.replace("_", "-")
                raise ConfigError(f"{option} is an option of Spark: --engine spark")
        yield Local()
        return
    if given["times"] is not None:
        raise ConfigError(
            "--times, a second file beside the first, is read by --engine local only. "
            "Write the log as one table, such as Parquet, for Spark"
        )
    from graphseq.spark.engine import engine

    with engine(given["master"], _settings(given["spark_conf"])) as made:
        yield Spark(made)


def _settings(pairs: list[str] | None) -> dict[str, str]:
    """``spark.driver.memory=4g`` as a mapping."""
    found = {}
    for pair in pairs or []:
        name, sign, value = pair.partition("=")
        if not (sign and value and name.startswith("spark.")):
            raise ConfigError(
                f"--spark-conf takes pairs such as spark.executor.memory=8g; got "
                f"{pair!r}"
            )
        found[name] = value
    return found
