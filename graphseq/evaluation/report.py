"""Evaluation reports: means, per-user values, and the protocol."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl

from graphseq.atomic import atomic_file, system_errors
from graphseq.constants import Part
from graphseq.errors import RunError, quantity
from graphseq.evaluation.segments import segments
from graphseq.folders import keeps_users

FORMAT = 2  # format 1 has dense ids in the column user
DAMAGE = (ValueError, KeyError, TypeError, AttributeError)
PARSING = (pl.exceptions.PolarsError, pl.exceptions.PanicException, RecursionError)
FACTS = (
    "part",
    "ks",
    "users",
    "targets",
    "items",
    "cold_targets",
    "known_targets",
    "graph_hash",
    "training_hash",
    "held_out_hash",
)
PROTOCOL = """\
{part} part: {number_of_users}, {number_of_targets}; mean over users
candidates: all {items:,} items (no sampling); padding is not among them
{protocols}{noise}
ties: of equal scores, the smaller dense item id ranks first
HR@k: a target among the first k; Recall@k: targets among the first k / all targets
NDCG@k: gain 1 / log2(rank + 1) over the best possible of min(k, targets)
MRR@k: 1 / rank of the best target if it is among the first k; MRR: whatever its rank
coverage@k: fraction of the catalogue that is among the first k of any user;
popularity@k: mean training events of the first k
targets never seen in training: {cold_targets:.2%}
graph {graph_hash:.12}, held-out data {held_out_hash:.12}"""
NOISE = """
noise: {noise:g} random items for each event of a history are inserted into what the
  model reads (seed {noise_seed}); the candidates stay the same"""
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
        per_user: One row a user and protocol: ``user`` (raw id, if the graph has a
            vocabulary), ``user_index`` (dense id), ``protocol``, ``targets``,
            ``history_length`` (events), ``target_events`` (training events of the
            rarest target), ``best_rank`` (of the best target, from 1; null for a miss),
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
        return "\n".join([f"Report({part}, {quantity(users, 'user')})", *shown])

    def protocol_text(self) -> str:
        """The evaluation protocol as text, to print with the results."""
        words = [PROTOCOLS[name].format(**self.facts) for name in self.means]
        return PROTOCOL.format(
            protocols="\n".join(words),
            noise=NOISE.format(**self.facts) if "noise" in self.facts else "",
            number_of_users=quantity(self.facts["users"], "user"),
            number_of_targets=quantity(self.facts["targets"], "target"),
            **{name: self.facts[name] for name in FACTS},
        )

    def frame(self) -> pl.DataFrame:
        """The means as a table: one row a protocol, one column a metric."""
        return pl.DataFrame(
            [{"protocol": name, **means} for name, means in self.means.items()]
        )

    def by(
        self,
        column: str,
        bins: Sequence[int | float] | None = None,
        *,
        frame: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Mean metrics of segments of users, such as those with short histories.

        Args:
            column: ``history_length``, ``target_events``, or a column of ``frame``.
            bins: Ascending bounds that divide numbers into segments, such as
                ``[5, 10]``: below 5, from 5 to below 10, and 10 or more; ``None``: each
                value is a segment.
            frame: A table with the columns ``user`` (raw ids) and ``column``. Users
                that it lacks are a segment of their own, null.

        Returns:
            One row for each protocol and segment: its users, and the mean of each
            metric over them. The means of all users are the means of the segments,
            weighted by their users.

        Raises:
            ConfigError: The column is missing or has the name of another, bins do not
                fit it, or the frame has several rows for a user, or no ids.
        """
        return segments(self.per_user, column, bins, frame)

    def select(self, protocols: Sequence[str], ks: Sequence[int]) -> "Report":
        """A report of fewer protocols and list lengths."""
        dropped = {f"@{k}" for k in self.facts["ks"] if k not in ks}

        def kept(name: str) -> bool:
            return not any(name.endswith(end) for end in dropped)

        means = {
            protocol: {k: v for k, v in values.items() if kept(k)}
            for protocol, values in self.means.items()
            if protocol in protocols
        }
        rows = self.per_user.filter(pl.col("protocol").is_in(protocols))
        columns = [name for name in rows.columns if kept(name)]
        return Report(means, rows.select(columns), self.facts | {"ks": [*ks]})

    def save(self, folder: str | Path) -> Path:
        """Write ``report-<part>.json`` and ``per-user-<part>.parquet``.

        In the folder of a run with ``keep_histories=False``, the table of the users
        has their numbers in the graph, and not their raw ids.

        A report with noise is ``report-<part>-noise-<noise>-<seed>.json``, and does not
        replace the one without.

        Returns:
            The JSON file.

        Raises:
            GraphError: The disk is full, for example; earlier files stay.
        """
        path, table = _paths(
            Path(folder),
            self.facts["part"],
            self.facts.get("noise", 0.0),
            self.facts.get("noise_seed", 0),
        )
        content = {
            "format": FORMAT,
            "means": self.means,
            "facts": self.facts,
            "protocol": self.protocol_text(),
        }
        text = json.dumps(content, indent=2, default=str) + "\n"
        table_of_users = self.per_user
        if not keeps_users(Path(folder)):
            table_of_users = table_of_users.drop("user", strict=False)
        with system_errors(f"write a report to {folder}"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            with atomic_file(table) as rows, atomic_file(path) as means:
                table_of_users.write_parquet(rows)
                means.write_text(text, encoding="utf-8")
        return path

    @classmethod
    def load(
        cls,
        folder: str | Path,
        part: Part = "test",
        noise: float = 0.0,
        noise_seed: int = 0,
    ) -> "Report":
        """Read what :meth:`save` wrote.

        Args:
            folder: Folder of the report.
            part: Held-out users of the evaluation.
            noise: As in the evaluation.
            noise_seed: As in the evaluation.

        Raises:
            RunError: The folder or the report is missing, or the report is damaged.
        """
        if not Path(folder).is_dir():
            raise RunError(f"{folder}: the folder does not exist")
        path, table = _paths(Path(folder), part, noise, noise_seed)
        if not path.is_file() or not table.is_file():
            raise RunError(
                f"{folder} contains no report of the {part} part ({path.name} and "
                f"{table.name}). Evaluate the run first: graphseq evaluate {folder}"
            )
        try:
            content = json.loads(path.read_text("utf-8"))
            rows = pl.read_parquet(table, glob=False)
            if content["format"] == 1:
                rows = rows.rename({"user": "user_index"})
            _check(content, rows)
            return cls(content["means"], rows, content["facts"])
        except (*DAMAGE, *PARSING) as error:
            raise RunError(
                f"the report in {folder} is damaged ({type(error).__name__}: {error}). "
                "Evaluate the run again"
            ) from error

    @classmethod
    def find(
        cls, folder: str | Path, part: Part, noise: float, noise_seed: int
    ) -> "Report | None":
        """As :meth:`load`; ``None`` if it is missing or damaged."""
        try:
            return cls.load(folder, part, noise, noise_seed)
        except RunError:
            return None


def _check(content: dict[str, Any], rows: pl.DataFrame) -> None:
    """Refuse a report without what its readers need.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: Something is missing, or of
            another type.
    """
    facts = content["facts"]
    {name: facts[name] for name in FACTS}
    if not all(type(facts[name]) is int for name in ("users", "targets", "items")):
        raise ValueError("users, targets and items are not whole numbers")
    if not all(type(k) is int for k in facts["ks"]):
        raise ValueError(f"ks is {facts['ks']!r}")
    for protocol, values in content["means"].items():
        if protocol not in PROTOCOLS:
            raise ValueError(f"unknown protocol {protocol!r}")
        if not all(
            isinstance(value, float | int) and isfinite(value)
            for value in values.values()
        ):
            raise ValueError(f"the means of {protocol} are not all numbers")
        of_protocol = rows.filter(pl.col("protocol") == protocol)["user_index"]
        if of_protocol.n_unique() != len(of_protocol) or len(of_protocol) < 1:
            raise ValueError(f"the users of {protocol} are not listed once each")


def _paths(folder: Path, part: str, noise: float, seed: int) -> tuple[Path, Path]:
    name = f"{part}-noise-{float(noise)!r}-{int(seed)}" if noise else part
    return folder / f"report-{name}.json", folder / f"per-user-{name}.parquet"


def _main(values: dict[str, float]) -> list[tuple[str, float]]:
    """HR and NDCG, which fit on one line."""
    return [(name, mean) for name, mean in values.items() if name[:2] in ("HR", "ND")]
