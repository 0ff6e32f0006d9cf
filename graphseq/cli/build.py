"""``graphseq build``: from a log to a folder of graphs."""

from pathlib import Path
from typing import Literal

from graphseq.cli.provenance import record
from graphseq.errors import ConfigError

Protocol = Literal["leave_one_out", "by_user", "by_time"]
PLACE = {"output", "overwrite", "memory", "dry_run"}  # nothing to what is made


def build(
    log: str,
    /,
    *,
    output: str,
    format: str | None = None,
    columns: list[str] | None = None,
    separator: str | None = None,
    times: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    k_core: int | None = None,
    min_length: int | None = None,
    deduplicate: Literal["first", "last"] | None = None,
    split: Protocol = "leave_one_out",
    seed: int = 0,
    user_user: str = "count:50",
    item_item: str = "count:50",
    transitions: str | None = None,
    attributes: str | None = None,
    attribute_columns: list[str] | None = None,
    hub_cap: int | None = None,
    engine: Literal["local", "spark"] = "local",
    master: str | None = None,
    spark_conf: list[str] | None = None,
    memory: float | None = None,
    no_log: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    r"""Make the graphs of a log and save them in a folder.

    The log says who chose what, and when: one line an event, or one line a user with
    all items in time order. Only training events become edges; what the split holds
    out is kept beside the graphs, for evaluation.

    Edges between users who share items, and between items that share users, are asked
    for as WEIGHT:K:SYMMETRIZE, of which the ends may be left out. WEIGHT is count,
    binary, cosine, jaccard, adamic_adar or iuf; K is how many of the heaviest edges
    each node keeps, or all; SYMMETRIZE keeps an edge that either end kept (max, which
    is meant if none is said), that both kept (min), or as it is (none).

    Examples:
      graphseq build log.csv --output graph

      # a CSV, with columns of other names, rare users and items left out
      graphseq build ratings.csv --columns user=userId item=movieId time=timestamp \
          --k-core 5 --output graphs/movies

      # one line a user; of each item the 100 most similar ones; no edges among users
      graphseq build Beauty.txt --format sequences --user-user none \
          --item-item cosine:100 --output graphs/beauty

      # which item follows which within 3 steps: half the weight a step, 50 an item
      graphseq build clicks.parquet --split by_time --transitions 3:50:0.5 \
          --output graphs/clicks

      # categories of the items, from a file of their own
      graphseq build reviews.json.gz --format amazon --attributes meta.csv \
          --attribute-columns item=asin attribute=category --output graphs/reviews

      # a large log, without what the most popular items and busiest users tell
      graphseq build books.parquet --hub-cap 5000 --output graphs/books

      # on a cluster, from a folder there; the graph is the same
      graphseq build hdfs:///logs/2024/ --format jsonl --engine spark \
          --master spark://host:7077 --spark-conf spark.executor.memory=8g \
          --output graphs/2024

      # what would it cost? nothing is built
      graphseq build ratings.csv --user-user cosine:all:min --output x --dry-run

    Args:
        log: File of the log, plain or gzip.
        output: Folder to write the graph to; it must not exist yet.
        format: Format of the log, such as sequences, csv, tsv, parquet, jsonl, amazon,
            movielens, gowalla, recbole; recognised if not given.
        columns: Columns that hold the user, the item and the time, such as user=who
            item=what time=when, or by position from 0, such as user=0 item=1 time=3.
        separator: Sign between the columns, where it is no comma.
        times: Of sequences, a file of the same shape with the time of every item.
        on_error: What to do about faulty lines: tell them and stop, or skip and count.
        k_core: Keep only users and items with so many events, repeatedly.
        min_length: Keep only users with so many events.
        deduplicate: Of a user's repeated events of an item keep one, the first or last.
        split: What is held out: each user's last two events, a tenth of the users
            each for validation and test, or the last fifth of the time.
        seed: Of the split by_user.
        user_user: Edges between users who share items, as WEIGHT:K:SYMMETRIZE; none
            leaves them out.
        item_item: Edges between items that share users, in the same form.
        transitions: Edges from an item to those that follow it, as WINDOW:K:DECAY:
            how many steps later at most, how many successors an item keeps (50 if not
            said, or all), and what each further step multiplies the weight with.
        attributes: File that says which items have which attributes: JSON, JSON lines,
            CSV, TSV or Parquet, plain or gzip.
        attribute_columns: Its columns, such as item=asin attribute=categories.
        hub_cap: Between users, pass over items of more than so many users; between
            items, over users of more than so many items. They say little, and cost
            the most.
        engine: Who builds: this process, or Spark, from any path that Spark reads.
        master: Where Spark runs, such as spark://host:7077; this machine's cores, if
            nothing else says so.
        spark_conf: Settings of Spark, such as spark.executor.memory=8g.
        memory: Gigabytes that may be used; what is free, if not given.
        no_log: Leave the log out of the folder; later events can then not be added
            (graphseq update).
        overwrite: Replace the graph that stands there, once the new one is complete.
        dry_run: Show the plan and its costs, and build nothing.
    """
    given = dict(locals())
    from contextlib import nullcontext

    from graphseq.atomic import locked_folder
    from graphseq.cli import making
    from graphseq.cli.engines import engine_of
    from graphseq.cli.plan import check_memory, check_room, check_size, plan_table
    from graphseq.cli.relations import steps_of
    from graphseq.cli.stages import Stages
    from graphseq.graphs.cost import estimate

    check_memory(memory)
    steps = steps_of(
        user_user, item_item, transitions, attributes, attribute_columns, hub_cap
    )
    if engine == "local":
        check_size(log, memory, format)
    claim = nullcontext() if dry_run else locked_folder(Path(output))
    with claim, Stages() as stages:
        if not dry_run:
            check_output(Path(output), overwrite)
        with engine_of(given) as work:
            found = work.read(stages, given)
            cut = work.cut(stages, found, given)
            costs = estimate(cut.train, steps)
            if dry_run:
                making.show(found, cut, plan_table(cut.train, costs, memory))
            check_room(cut.train, costs, output, memory)
            if not dry_run:
                made = record(build, given, PLACE)
                whole = None if no_log else work.whole(found)
                making.make(stages, cut, work.spread(steps), made, output, log=whole)
                making.show(found, cut, stages.table())
                making.close(output)


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse a folder that is in the way, before any work is done."""
    from graphseq.atomic import refuse_foreign
    from graphseq.graphs.storage import is_graph

    refuse_foreign(output, is_graph, "a saved graph")
    if is_graph(output) and not overwrite:
        raise ConfigError(
            f"there is a graph in {output} already. Choose another --output, or say "
            f"--overwrite to replace it once the new one is complete"
        )
