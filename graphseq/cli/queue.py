"""``graphseq queue``: a list of experiments, worked through."""

import sys
from collections import Counter
from pathlib import Path

from graphseq.cli.jobs import Job, Plan, plan, recorded
from graphseq.cli.outputs import check_file, check_folder
from graphseq.cli.progress import watching
from graphseq.cli.workers import LOG, Interrupted, Outcome, work
from graphseq.errors import ConfigError

INTERRUPTED = 130  # what shells say of a program that Ctrl-C has ended


def queue(
    experiments: list[str],
    /,
    *,
    data: str | None = None,
    record: str = "experiments/results.csv",
    runs: str = "runs",
    seeds: list[int] | None = None,
    jobs: int = 1,
    threads: int | None = None,
    set: list[str] = [],  # noqa: B006
    dry_run: bool = False,
) -> int:
    """Work through a list of experiments, and skip those that are recorded already.

    An experiment whose row stands in the table already (the same options and the same
    seed) is left out; one that was interrupted goes on. Each runs in a process of its
    own, so that one that fails harms no other. Several may share the cores, or a GPU.

    Examples:
      graphseq queue experiments --data ../data --dry-run
      graphseq queue experiments/*/beauty.yaml --data ../data --jobs 4
      graphseq queue experiments/sasrec --seeds 0 1 2 --record results.csv

    Args:
        experiments: Experiment files, folders of them, or patterns such as
            "experiments/*/beauty.yaml".
        data: Folder in which the data sets lie.
        record: CSV file that has a row of every result.
        runs: Folder for the run folders; each holds what its run said in log.txt.
        seeds: Do every experiment with each of these seeds; if not given, with its own.
        jobs: Runs at the same time.
        threads: Threads of each run, if its file does not say; if not given, the free
            cores are shared out.
        set: Options to override in all files, such as train.max_epochs=5.
        dry_run: Only say what there is to do.
    """
    from graphseq.report import check_table

    if jobs < 1 or (threads is not None and threads < 1):
        raise ConfigError("--jobs and --threads take a whole number from 1 on")
    check_file("--record", record)
    check_table(record)
    check_folder("--runs", runs)
    made = plan(experiments, settings=set, seeds=seeds, runs=runs, results=Path(record))
    _tell(made, dry_run)
    if dry_run:
        return 1 if made.refused else 0
    options = [*(["--data", data] if data else []), "--record", record]
    options += [word for setting in set for word in ("--set", setting)]
    try:
        outcomes = _work(made.jobs, options, Path(record), jobs, threads)
    except Interrupted as stopped:
        _report(made, stopped.outcomes)
        print("interrupted; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    _report(made, outcomes)
    failed = any(outcome.state == "failed" for outcome in outcomes)
    return 1 if failed or made.refused else 0


def _work(
    jobs: list[Job], options: list[str], results: Path, at_once: int, each: int | None
) -> list[Outcome]:
    from graphseq import runtime

    def command(job: Job) -> list[str]:
        train = [sys.executable, "-m", "graphseq", "train", job.experiment, *options]
        own = [] if job.own_seed else ["--seed", str(job.seed)]
        return [*train, *own, "--folder", str(job.folder), "--resume"]

    share = each or max(1, runtime.allowed_cores() // at_once)
    with watching(len(jobs)) as watch:
        return work(
            jobs,
            command=command,
            at_once=at_once,
            environment=runtime.thread_environment(share),
            is_made=lambda job: (job.fingerprint, job.seed) in recorded(results),
            watch=watch,
        )


def _tell(made: Plan, dry_run: bool) -> None:
    """What there is to do, and what is left out."""
    for name, reason in made.refused:
        print(f"cannot run {name}:\n{reason}", file=sys.stderr)
    for name in made.untrained:
        print(f"left out, it trains nothing (max_epochs: 0): {name}")
    print(f"{len(made.recorded)} recorded already, {len(made.jobs)} to do", flush=True)
    if dry_run:
        for job in made.jobs:
            state = "goes on" if (job.folder / "run.json").is_file() else "new"
            print(f"  {job.name}  ({state}, {job.folder})")


def _report(made: Plan, outcomes: list[Outcome]) -> None:
    """How it all ended; of those that failed, the last that they said."""
    for outcome in outcomes:
        if outcome.state == "failed":
            print(f"\nfailed: {outcome.job.name}, {outcome.job.folder / LOG}\n")
            print(outcome.said)
    counts: Counter[str] = Counter(outcome.state for outcome in outcomes)
    counts["refused"] = len(made.refused)
    counts["not started"] = len(made.jobs) - len(outcomes)
    words = [f"{number} {state}" for state, number in counts.items() if number]
    print(", ".join(words) or "nothing to do")
