"""``graphseq recommend``: lists for users, histories, or everyone; scores of pairs."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphseq.cli.app import check_file, parse_ids, parse_pairs
from graphseq.cli.build import ReadOptions
from graphseq.cli.build_steps import read_log
from graphseq.cli.evaluate import check_folders, graph_of
from graphseq.cli.id_files import (
    TITLES,
    lists_by_user,
    read_ids,
    read_pairs,
    read_titles,
)
from graphseq.cli.new_items import check_files, with_new_items
from graphseq.cli.progress import make_console
from graphseq.errors import ConfigError, quantity
from graphseq.runtime import is_quiet
from graphseq.schema import Size

if TYPE_CHECKING:
    import polars as pl

    from graphseq.recommend import Recommender

SOURCES = ("users", "users_file", "all", "history", "histories", "pairs")


def recommend(
    run: Path,
    /,
    *,
    users: list[str] | None = None,
    users_file: Path | None = None,
    all: bool = False,
    history: list[str] | None = None,
    histories: Path | None = None,
    reading: ReadOptions = ReadOptions(),  # noqa: B008
    pairs: Path | None = None,
    k: Size = 10,
    history_items: Literal["exclude", "keep"] = "exclude",
    only: Path | None = None,
    exclude: Path | None = None,
    unknown: Literal["error", "skip"] = "error",
    empty_history: Literal["error", "popularity"] = "error",
    titles: Path | None = None,
    title_columns: list[str] | None = None,
    new_vectors: Path | None = None,
    new_attributes: Path | None = None,
    output: Path | None = None,
    json: bool = False,
    graph: Path | None = None,
    data: Path | None = None,
) -> None:
    r"""Recommend items for users of the log, or for any histories of items.

    Ids are those of the log. Many users are read, ranked and written in parts: memory
    does not grow with their number.

    Examples:
      graphseq recommend runs/sasrec-beauty-0 --users 1 2 --k 10
      graphseq recommend runs/sasrec-beauty-0 --history 4512 77 1042

      # lists for everyone, of the items in stock, without those sold to them elsewhere
      graphseq recommend runs/shop --all --only stock.txt --exclude sold.csv \
          --unknown skip --output lists.parquet

      # users who came after the training, with their events
      graphseq recommend runs/shop --histories new-users.csv --output lists.jsonl

      # with items that came after the training and have no events yet
      graphseq recommend runs/shop --all --new-vectors new.parquet

      # scores of given pairs of user and item
      graphseq recommend runs/shop --pairs pairs.csv --json

    Args:
        run: Run folder.
        users: Users of the log.
        users_file: File of users of the log, one a line.
        all: All users of the log.
        history: A history to recommend for: its items, oldest first.
        histories: Log of other users, in any format that graphseq build reads.
        reading: How the log of --histories is read.
        pairs: Table with the columns user and item: score these pairs instead.
        k: Number of items to recommend for each user.
        history_items: Whether items of the history can be recommended.
        only: Items that can be recommended: a text file with one a line; or a table
            (CSV, TSV, Parquet, JSON lines) with the columns user and item. Users
            without a row in the table get no list.
        exclude: Items that cannot be recommended, in the same form.
        unknown: On ids that are not in the log: stop, or skip them with a warning.
        empty_history: For users without known items: stop, or recommend the items
            with the most training events, whose score is then that number.
        titles: Table with a title for each item, which is added to the lists.
        title_columns: Its columns, such as item=asin title=name.
        new_vectors: File with vectors of items that the run does not know: they are
            recommended too. Read as the vectors of the graph were.
        new_attributes: File with attributes of items that the run does not know.
        output: File to write: .parquet, .csv or .jsonl.
        json: Print JSON lines instead of a table.
        graph: Folder of the graph; default: the graph in the run folder.
        data: Folder of the data sets: build the graph again from the experiment.
    """
    given = dict(
        zip(SOURCES, (users, users_file, all, history, histories, pairs), strict=True)
    )
    chosen = [name for name, value in given.items() if value not in (None, False)]
    if len(chosen) != 1:
        known = ", ".join("--" + name.replace("_", "-") for name in SOURCES)
        found = " and ".join("--" + name.replace("_", "-") for name in chosen)
        raise ConfigError(f"recommend takes one of {known}; found {found or 'none'}")
    if reading != ReadOptions() and histories is None:
        given_for = [f"--{n.replace('_', '-')}" for n, v in vars(reading).items() if v]
        raise ConfigError(
            f"{', '.join(given_for)} say how the log of --histories is read, and there "
            "is none: leave them out"
        )
    if pairs is not None:
        of_lists = {
            "--k": k != 10,
            "--history-items": history_items != "exclude",
            "--empty-history": empty_history != "error",
            "--only": only is not None,
            "--exclude": exclude is not None,
        }
        if unused := [option for option, is_given in of_lists.items() if is_given]:
            raise ConfigError(
                f"--pairs are scored as they are: leave {', '.join(unused)} out"
            )
    check_folders(run, graph)
    check_files(new_vectors, new_attributes)
    if output is not None:
        from graphseq.recommend.lists import check_format

        check_file("--output", output)
        check_format(output)
    named = parse_pairs(
        "--title-columns", title_columns, "item=asin title=name", TITLES.__contains__
    )
    of_items = None if titles is None else read_titles(titles, **named)
    recommender = _recommender(run, graph, data, new_vectors, new_attributes)
    frames: Iterable[pl.DataFrame]
    if pairs is not None:
        table = read_pairs("--pairs", pairs, blank="error")
        frames = [recommender.score(table["item"], table["user"], unknown=unknown)]
    else:
        requested, names = _requested(recommender, given, chosen[0], reading)
        users_of_log = names
        if chosen != ["histories"] and recommender.users is not None:
            users_of_log = recommender.users.ids
        options: dict[str, Any] = {
            "k": k,
            "history_items": history_items,
            "unknown": unknown,
            "empty_history": empty_history,
            "only": lists_by_user("--only", only, names, users_of_log),
            "exclude": lists_by_user("--exclude", exclude, names, users_of_log),
        }
        rows = 1 if chosen == ["history"] else recommender.model.num_users
        total = rows if names is None else len(names)
        frames = _watched(recommender.batches(**requested, **options), total)
    if of_items is not None:
        frames = (_with_titles(frame, of_items) for frame in frames)
    _show(frames, output, json)


def _recommender(
    run: Path,
    graph: Path | None,
    data: Path | None,
    new_vectors: Path | None,
    new_attributes: Path | None,
) -> "Recommender":
    from graphseq.recommend import Recommender
    from graphseq.training import load_run

    loaded = load_run(run)
    built, _ = graph_of(run, graph, data)
    model = loaded.model(built)
    return Recommender(*with_new_items(model, built, new_vectors, new_attributes))


def _requested(
    recommender: "Recommender",
    given: dict[str, Any],
    kind: str,
    reading: ReadOptions,
) -> tuple[dict[str, Any], "pl.Series | None"]:
    """Arguments of the recommender, and the names of the rows, if they have any."""
    import polars as pl

    if kind == "history":
        items = parse_ids(recommender.items, given["history"])
        return {"histories": [items]}, None
    if kind == "histories":
        log = read_log(given["histories"], reading)
        return {"histories": log}, log.users.ids
    known = recommender.users
    if kind == "all":
        return {}, None if known is None else known.ids
    words = given["users"] or read_ids("--users-file", given["users_file"])
    users = words if known is None else parse_ids(known, words)
    return {"users": users}, pl.Series([str(user) for user in users])


def _with_titles(frame: "pl.DataFrame", titles: "pl.DataFrame") -> "pl.DataFrame":
    import polars as pl

    key = pl.col("item").cast(pl.String)
    joined = frame.with_columns(key.alias("key")).join(
        titles, on="key", how="left", maintain_order="left"
    )
    return joined.drop("key")


def _watched(frames: "Iterator[pl.DataFrame]", total: int) -> "Iterator[pl.DataFrame]":
    """The frames; a bar on a terminal shows how many users are done."""
    from graphseq.recommend.recommend import USERS_AT_ONCE

    if total <= USERS_AT_ONCE or is_quiet() or not sys.stderr.isatty():
        yield from frames
        return
    from rich.console import Console
    from rich.progress import track

    steps = -(-total // USERS_AT_ONCE)
    console = Console(stderr=True)
    yield from track(frames, "recommending", steps, console=console, transient=True)


def _show(frames: "Iterable[pl.DataFrame]", output: Path | None, json: bool) -> None:
    """Write the lists to a file, as JSON lines, or as a table."""
    from graphseq.recommend.lists import write_lists

    if output is not None:
        rows = write_lists(frames, output)
        print(
            f"{quantity(rows, 'row')} in {output}",
            file=sys.stderr if json else sys.stdout,
        )
        return
    if json:
        for frame in frames:
            print(frame.write_ndjson(), end="")
        return
    from rich.markup import escape
    from rich.table import Table

    console = make_console(emoji=False)
    for frame in frames:
        hidden = [name for name in frame.columns if name == "history"]
        frame = frame.drop(hidden)
        shown = Table(*frame.columns, header_style="bold")
        for row in frame.iter_rows(named=True):
            row["score"] = f"{row['score']:.4f}"
            shown.add_row(*(escape(str(value)) for value in row.values()))
        console.print(shown)
