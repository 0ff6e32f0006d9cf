"""Claims of experiments, checked against a table of results.

A claim gives conditions by metric and protocol, and where they are from::

    claim:
      HR@10 kept: ">= 0.0853"
      NDCG@10 excluded: "within 5 % of 0.0540"
      source: MCLRec (SIGIR 2023), Table 2
"""

import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphseq.config.fingerprint import fingerprint
from graphseq.errors import ConfigError

if TYPE_CHECKING:
    from graphseq.config.experiment import Experiment

COLUMN = re.compile(
    r"((HR|Recall|NDCG|NDCG-ComiRec|MRR|coverage)@\d+|MRR) (kept|excluded)"
)
NUMBER = r"(\d+(?:\.\d+)?)"
CONDITION = re.compile(rf"(>=|<=) *{NUMBER}|within {NUMBER} *% of {NUMBER}")


@dataclass(frozen=True)
class Verdict:
    """A claim compared to the results.

    Attributes:
        experiment: Name of the experiment.
        column: The metric and the protocol, such as ``HR@10 kept``.
        condition: What is claimed.
        value: The mean over the seeds; ``None`` without a run.
        missing: By how much the claim is missed; 0 if it is reached.
        seeds: The seeds of the runs.
    """

    experiment: str
    column: str
    condition: str
    value: float | None = None
    missing: float = 0.0
    seeds: tuple[int, ...] = ()

    def __str__(self) -> str:
        """One line."""
        claim = f"{self.experiment}  {self.column} {self.condition}"
        if self.value is None:
            return f"{claim}: never run"
        runs = f"{self.value:.4f}, seeds {', '.join(map(str, self.seeds))}"
        if not self.missing:
            return f"{claim}: reached ({runs})"
        return f"{claim}: missed by {self.missing:.4f} ({runs})"


def check_claim(claim: Any, source: str) -> dict[str, str]:
    """The conditions of a claim by column, and its ``source``.

    Raises:
        ConfigError: A column or a condition cannot be read.
    """
    if not isinstance(claim, Mapping | None):
        raise ConfigError(f"{source}: claim: expected conditions by metric; {claim!r}")
    for column, condition in (claim or {}).items():
        if column == "source":
            continue
        if not COLUMN.fullmatch(str(column)):
            raise ConfigError(
                f"{source}: claim: expected a metric and a protocol, such as 'HR@10 "
                f"kept', or source; found {column!r}"
            )
        if not CONDITION.fullmatch(str(condition)):
            raise ConfigError(
                f"{source}: claim: {column}: expected '>= 0.05', '<= 0.05' or 'within "
                f"5 % of 0.05'; found {condition!r}"
            )
    return {str(column): str(condition) for column, condition in (claim or {}).items()}


def missing_amount(condition: str, value: float) -> float:
    """By how much a value misses a condition; 0 if it holds."""
    found = CONDITION.fullmatch(condition)
    assert found is not None
    sign, bound, percent, center = found.groups()
    if sign == ">=":
        return max(0.0, float(bound) - value)
    if sign == "<=":
        return max(0.0, value - float(bound))
    return max(0.0, abs(value - float(center)) - float(percent) / 100 * float(center))


def check_claims(
    experiments: "Iterable[Experiment]", rows: Sequence[Mapping[str, str]]
) -> Iterator[Verdict]:
    """Compare every claim to the runs of its experiment.

    Args:
        experiments: With their claims.
        rows: A table of results. A run counts if its fingerprint is the experiment's;
            of several runs with a seed, the newest counts.
    """
    for experiment in experiments:
        identity = fingerprint(experiment.options)
        newest = {
            int(float(row["seed"])): row
            for row in rows
            if row["fingerprint"] == identity
        }
        for column, condition in experiment.claim.items():
            if column == "source":
                continue
            runs = {s: row for s, row in sorted(newest.items()) if row.get(column)}
            if not runs:
                yield Verdict(experiment.name, column, condition)
                continue
            value = statistics.mean(float(row[column]) for row in runs.values())
            missing = missing_amount(condition, value)
            yield Verdict(
                experiment.name, column, condition, value, missing, tuple(runs)
            )
