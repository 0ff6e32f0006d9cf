"""``graphseq build``: from a log to a folder of graphs."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter

from graphseq.cli.app import Address
from graphseq.errors import ConfigError
from graphseq.schema import Count, Positive, Size

Splitter = Literal["leave_one_out", "by_user", "by_time"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a log is read.

    Attributes:
        format: Format of the log: sequences, pairs, csv, tsv, parquet, jsonl, amazon,
            movielens, gowalla, recbole; recognised if not given.
        columns: Columns that hold the user, the item and the time: by name, such as
            user=userId item=movieId time=timestamp, or by position from 0, such as
            user=0 item=1 time=3.
        separator: Field separator, one character, or `tab` (default: `,`).
        times: For a log of sequences, a parallel file with the time of every item.
        weight: Column of a weight of each event, such as a rating or a number of
            plays, by name, or by position in a file without a header.
        on_error: On malformed lines: stop with a report (raise, the default), or skip
            and count them (skip).
    """

    format: str | None = None
    columns: list[str] | None = None
    separator: str | None = None
    times: Path | None = None
    weight: str | None = None
    on_error: Literal["raise", "skip"] | None = None


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Filters, split, relations and engine of a build.

    Attributes:
        min_rating: Keep only events with a --weight of at least N.
        k_core: Keep only users and items with at least N events, repeatedly.
        min_length: Keep only users with at least N events.
        deduplicate: Of repeated events of a user and an item, keep the first or last.
        split: Held-out events: each user's last two events, a tenth of the users each
            for validation and test, or the last fifth of the events.
        seed: Random seed of the split by_user.
        user_user: Edges between users with common items, as WEIGHT:K:SYMMETRIZE, or
            none.
        item_item: Edges between items with common users, in the same form.
        transitions: Edges from an item to its successors, as WINDOW:K:DECAY: the
            number of steps, the successors that an item keeps (default 50, or all),
            and the factor by which the weight decays with each further step.
        attributes: File with the attributes of items: JSON, JSON lines, CSV, TSV,
            Parquet, MovieLens movies.dat or RecBole .item, plain or gzip.
        attribute_columns: Columns of that file, such as item=asin attribute=categories.
        attribute_separator: Separator of several attributes in one field, such as "|".
        vectors: File with a vector of each item, such as an embedding of its text:
            Parquet, .npy or .safetensors.
        vector_columns: Columns of that file, such as item=asin vector=embedding.
        missing_vectors: Items without a vector: stop, or use the mean vector or zeros.
        hub_cap: Ignore common items with more than N users, and common users with more
            than N items: they carry little information and cost most.
        engine: Where the graph is built: in this process, or on Spark.
        master: Address of the Spark cluster, such as spark://host:7077; default: the
            cores of this machine.
        spark_conf: Spark settings, such as spark.executor.memory=8g.
        no_log: Do not store the log in the folder; later events can then not be added
            by graphseq update.
    """

    min_rating: float | None = None
    k_core: Size | None = None
    min_length: Size | None = None
    deduplicate: Literal["first", "last"] | None = None
    split: Splitter = "leave_one_out"
    seed: Count = 0
    user_user: str = "count:50"
    item_item: str = "count:50"
    transitions: str | None = None
    attributes: Path | None = None
    attribute_columns: list[str] | None = None
    attribute_separator: str | None = None
    vectors: Path | None = None
    vector_columns: list[str] | None = None
    missing_vectors: Literal["error", "mean", "zero"] = "error"
    hub_cap: Size | None = None
    engine: Literal["local", "spark"] = "local"
    master: str | None = None
    spark_conf: list[str] | None = None
    no_log: bool = False


def build(
    log: Address,
    /,
    *,
    output: Path,
    reading: ReadOptions = ReadOptions(),
    options: BuildOptions = BuildOptions(),
    memory: Positive | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    r"""Build the graphs of a log and save them in a folder.

    A log has one line per event (user, item, time), or one line per user with all
    items in time order. Only training events become edges; held-out events are saved
    with the graphs, for evaluation.

    Edges between users with common items, and between items with common users, are
    described as WEIGHT:K:SYMMETRIZE; the ends can be omitted. WEIGHT is count, binary,
    cosine, jaccard, adamic_adar or iuf. K is the number of heaviest edges that each
    node keeps, or all. SYMMETRIZE keeps an edge that either end keeps (max, the
    default), that both ends keep (min), or the directed edges (none).

    Examples:
      graphseq build log.csv --output graph

      # a CSV with other column names; without rare users and items
      graphseq build ratings.csv --columns user=userId item=movieId time=timestamp \
          --k-core 5 --output graphs/movies

      # one line per user; the 100 most similar items of each item
      graphseq build Beauty.txt --format sequences --user-user none \
          --item-item cosine:100 --output graphs/beauty

      # successors within 3 steps, 50 for each item, half the weight per step
      graphseq build clicks.parquet --split by_time --transitions 3:50:0.5 \
          --output graphs/clicks

      # categories of the items, from a second file
      graphseq build reviews.json.gz --format amazon --attributes meta.csv \
          --attribute-columns item=asin attribute=category --output graphs/reviews

      # a large log, without its most popular items and most active users
      graphseq build books.parquet --hub-cap 5000 --output graphs/books

      # on a cluster; the graph is the same
      graphseq build hdfs:///logs/2024/ --format jsonl --engine spark \
          --master spark://host:7077 --spark-conf spark.executor.memory=8g \
          --output graphs/2024

      # show the expected cost, build nothing
      graphseq build ratings.csv --user-user cosine:all:min --output x --dry-run

    Args:
        log: Log file, plain or gzip; - for the standard input; or a folder, or a quoted
            pattern, of Parquet files.
        output: Output folder; it must not exist unless --overwrite is given.
        reading: How the log is read.
        options: Filters, split, relations and engine.
        memory: Memory limit in gigabytes; default: the free memory.
        overwrite: Replace an existing graph once the new one is complete.
        dry_run: Show the plan and its expected cost; build nothing.
    """
    from graphseq.atomic import real_path
    from graphseq.cli import build_steps, cost, relations
    from graphseq.cli.progress import Stages
    from graphseq.cli.provenance import record
    from graphseq.locks import locked_folder

    output = real_path(output)
    wanted = relations.parse_relations(options)
    if options.engine == "local":
        cost.check_size(log, memory, reading.format)
    claim = nullcontext() if dry_run else locked_folder(output)
    with claim, Stages() as stages:
        if not dry_run:
            check_output(output, overwrite)
        with build_steps.open_engine(reading, options) as engine:
            events: Any = engine.read(stages, log, reading)
            split = engine.split(stages, events, options)
            from graphseq.graphs.cost import estimate  # after all that may be refused

            steps = [relation.make() for relation in wanted]
            costs = estimate(split.train, steps)
            if dry_run:
                table = cost.cost_table(split.train, costs, memory)
                build_steps.show(events, split, table)
            cost.check_cost(split.train, costs, output, memory)
            if not dry_run:
                made = record("build", {"log": log}, reading, options)
                whole = None if options.no_log else engine.collect(events)
                build_steps.save(
                    stages, split, engine.distribute(steps), made, output, log=whole
                )
                build_steps.show(events, split, stages.table())
                build_steps.show_next(output)


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse an output folder that must not be replaced, before any work is done."""
    from graphseq.atomic import refuse_foreign
    from graphseq.folders import is_graph, refuse_other_files

    refuse_foreign(output, is_graph, "a saved graph")
    refuse_other_files(output)
    if is_graph(output) and not overwrite:
        raise ConfigError(
            f"there is a graph in {output} already. Choose another --output, or "
            f"replace it with --overwrite once the new one is complete"
        )
