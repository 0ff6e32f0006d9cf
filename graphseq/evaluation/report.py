"""Evaluation reports: means, per-user values, and the protocol."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from graphseq.atomic import atomic_file, write_text
from graphseq.constants import Part
from graphseq.errors import RunError

FORMAT = 1
PROTOCOL = """\
{part} part: {users:,} users, {targets:,} targets; mean over users
candidates: all {items:,} items (no sampling); padding is not among them
{protocols}
ties: of equal scores, the smaller dense item id ranks first
HR@k: a target among the first k; Recall@k: targets among the first k / all targets
NDCG@k: gain 1 / log2(rank + 1) over the best possible of min(k, targets); MRR: 1 / rank
of the best target, over the whole ranking; coverage@k: fraction of the catalogue that
is among the first k of any user; popularity@k: mean training events of the first k
targets never seen in training: {cold_targets:.2%}
graph {graph_hash:.12}, held-out data {held_out_hash:.12}"""
PROTOCOLS = {
    "kept": "history kept: items of the user's history compete and can be recommended",
    "excluded": "history excluded: items of the user's history cannot be recommended;\n"
    "  {known_targets:.2%} of the targets are in the user's history and are misses",
}


@dataclass(frozen=True, repr=False, eq=False)
class Report:
    """Metrics by protocol: ``report["excluded"]["NDCG@10"]``.

    Attributes:
        means: Protocol (``kept``, ``excluded``) to metric to mean over users.
        per_user: One row a user and protocol: ``user`` (dense id), ``protocol``,
            ``targets``, ``best_rank`` (of the best target, from 1; null for a miss),
            and a column for each per-user metric.
        facts: Part, sizes, hashes and model of the evaluation; JSON data.
    """

    means: dict[str, dict[str, float]]
    per_user: pl.DataFrame
    facts: dict[str, Any]

    def __getitem__(self, protocol: str) -> dict[str, float]:
        if protocol not in self.means:
            raise KeyError(f"{protocol!r}: this report has {[*self.means]}")
        return self.means[protocol]

    def __contains__(self, protocol: object) -> bool:
        return protocol in self.means

    def __repr__(self) -> str:
        shown = [
            f"  {protocol:<9}"
            + "  ".join(f"{name} {value:.4f}" for name, value in _main(values))
            for protocol, values in self.means.items()
        ]
        users, part = self.facts["users"], self.facts["part"]
        return "\n".join([f"Report({part}, {users:,} users)", *shown])

    def protocol_text(self) -> str:
        """The evaluation protocol as text, to print with the results."""
        words = [PROTOCOLS[name].format(**self.facts) for name in self.means]
        return PROTOCOL.format(protocols="\n".join(words), **self.facts)

    def frame(self) -> pl.DataFrame:
        """The means as a table: one row a protocol, one column a metric."""
        return pl.DataFrame(
            [{"protocol": name, **means} for name, means in self.means.items()]
        )

    def save(self, folder: str | Path) -> Path:
        """Write ``report-<part>.json`` and ``per-user-<part>.parquet``.

        Returns:
            The JSON file; it is written last, so where it exists both are complete.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path, table = _paths(folder, self.facts["part"])
        with atomic_file(table, shared=True) as draft:
            self.per_user.write_parquet(draft)
        content = {
            "format": FORMAT,
            "means": self.means,
            "facts": self.facts,
            "protocol": self.protocol_text(),
        }
        text = json.dumps(content, indent=2, default=str) + "\n"
        write_text(path, text, shared=True)
        return path

    @classmethod
    def load(cls, folder: str | Path, part: Part = "test") -> "Report":
        """Read what :meth:`save` wrote.

        Raises:
            RunError: The folder or the report is missing, or the report is damaged.
        """
        if not Path(folder).is_dir():
            raise RunError(f"{folder}: there is no such folder")
        path, table = _paths(Path(folder), part)
        if not path.is_file() or not table.is_file():
            raise RunError(
                f"{folder} contains no report of the {part} part ({path.name} and "
                f"{table.name}). Evaluate the run first: graphseq evaluate {folder}"
            )
        try:
            content = json.loads(path.read_text("utf-8"))
            return cls(content["means"], pl.read_parquet(table), content["facts"])
        except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise RunError(
                f"the report in {folder} is damaged ({type(error).__name__}: {error}). "
                "Evaluate the run again"
            ) from error


def _paths(folder: Path, part: str) -> tuple[Path, Path]:
    return folder / f"report-{part}.json", folder / f"per-user-{part}.parquet"


def _main(values: dict[str, float]) -> list[tuple[str, float]]:
    """HR and NDCG, which fit on one line."""
    return [(name, mean) for name, mean in values.items() if name[:2] in ("HR", "ND")]
