"""``graphseq train``: one or many experiments and seeds."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from graphseq import runtime
from graphseq.cli.app import check_file, check_folder, to_words
from graphseq.cli.jobs import LOG, Job, Outcome, list_jobs, work
from graphseq.cli.progress import RunLines
from graphseq.cli.train_run import RunOptions, recorded, settings_of, train_here
from graphseq.errors import ConfigError
from graphseq.schema import Count, Parallel

DEFAULTS = RunOptions()
UNTRAINED = (
    "train.max_epochs is 0, so its weights would be random. Train it alone, or with "
    "--start RUN or --set train.max_epochs=EPOCHS"
)
INTERRUPTED = 130  # exit code of a program that Ctrl-C has ended


def train(
    experiments: list[str],
    /,
    *,
    options: RunOptions = DEFAULTS,
    seeds: list[Count] | None = None,
    folder: Path | None = None,
    runs: Path = Path("runs"),
    jobs: Parallel = 1,
    threads: Parallel | None = None,
    skip_recorded: bool = False,
    dry_run: bool = False,
) -> int:
    r"""Train models as experiment files describe, and evaluate them on the test part.

    Every file is checked before anything runs. A run folder contains the resolved
    experiment, weights, history, versions and the report. The test part is ranked once,
    at the end.

    Several experiments or seeds run in child processes: a run that fails does not stop
    the others, Ctrl-C stops all of them, and --resume continues where they stopped.

    Examples:
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --data ../data

      # another seed and another option, in a folder of your choice
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --seeds 1 \
          --set model.SASRec.backbone.dim=32 --folder runs/first

      # continue an interrupted run
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --resume

      # on a graph that graphseq build or update has written
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --graph graphs/beauty

      # go on from an earlier run, after graphseq update
      graphseq train shop.yaml --graph graphs/shop --start runs/last-week \
          --set train.max_epochs=5

      # all experiments of a folder with three seeds, two runs at a time
      graphseq train experiments/beauty --seeds 0 1 2 --jobs 2 \
          --record results.csv --skip-recorded --resume

    Args:
        experiments: Experiment files, FILE.yaml:VARIANT, folders, or patterns such as
            "experiments/beauty/sasrec.yaml:ce-*".
        options: Options of every run.
        seeds: Seeds of the weights and the batches; default: the one of each file.
        folder: Run folder of a single run; default: NAME-FINGERPRINT-SEED in --runs.
        runs: Folder of the run folders; child processes write to log.txt in theirs.
        jobs: Number of runs at a time.
        threads: Threads of each of several runs; default: an equal part of the
            available cores. train.threads in a file takes precedence.
        skip_recorded: Skip runs with a row in the --record file: the same options and
            the same seed.
        dry_run: Only list the runs.
    """
    record = options.record
    if options.resume and options.overwrite:
        raise ConfigError("--resume and --overwrite exclude each other; choose one")
    if skip_recorded and record is None:
        raise ConfigError("--skip-recorded reads the rows of a file: add --record FILE")
    _check_outputs(runs, folder, record)
    settings = settings_of(options)
    listed, refused = list_jobs(
        experiments,
        settings=settings,
        seeds=seeds,
        runs=runs,
        graph=options.graph,
        data=options.data,
    )
    total = len(listed) + len(refused)
    if folder is not None and total > 1:
        raise ConfigError(
            f"--folder is for a single run, and there are {total}. Use --runs, or name "
            "one experiment and one seed"
        )
    if total == 1 and refused:
        raise ConfigError(*refused.values())
    if folder is not None:
        listed = [replace(job, folder=folder) for job in listed]
    done = recorded(record) if skip_recorded and record else set()
    todo = [j for j in listed if (j.fingerprint, j.seed) not in done]
    if total == 1 and todo and not dry_run:
        train_here(todo[0], options)
        return 0
    for job in todo:
        if job.untrained and total > 1:
            print(f"skipped {job.name}: {UNTRAINED}", file=sys.stderr)
    todo = [j for j in todo if total == 1 or not j.untrained]
    _print_plan(listed, todo, refused, dry_run)
    if dry_run:
        return 1 if refused else 0
    outcomes: list[Outcome] = []
    try:
        _train_many(todo, outcomes, options, jobs, threads, skip_recorded)
    except KeyboardInterrupt:
        print("interrupted; continue with --resume", file=sys.stderr)
        return INTERRUPTED
    finally:
        _print_outcomes(outcomes, len(todo), len(refused))
    failed = any(outcome.state == "failed" for outcome in outcomes)
    return 1 if failed or refused else 0


def _check_outputs(runs: Path, folder: Path | None, record: Path | None) -> None:
    from graphseq.report import check_table

    check_folder("--runs", runs)
    if folder is not None:
        check_folder("--folder", folder)
    if record is not None:
        check_file("--record", record)
        check_table(record)


def _train_many(
    jobs: Sequence[Job],
    outcomes: list[Outcome],
    options: RunOptions,
    at_once: int,
    threads_each: int | None,
    skip_recorded: bool,
) -> None:
    """Run ``graphseq train`` for each job in a child process."""

    def command(job: Job) -> list[str]:
        words = [sys.executable, "-m", "graphseq", "train", job.experiment]
        own = ["--seeds", str(job.seed), "--folder", str(job.folder)]
        return [*words, *own, *to_words(options)]

    def is_recorded(job: Job) -> bool:
        if not (skip_recorded and options.record):
            return False
        return (job.fingerprint, job.seed) in recorded(options.record)

    number = threads_each or max(1, runtime.allowed_cores() // at_once)
    work(
        jobs,
        outcomes,
        command=command,
        at_once=at_once,
        environment=runtime.thread_environment(number),
        is_recorded=is_recorded,
        watch=RunLines(len(jobs)),
    )


def _print_plan(
    listed: Sequence[Job],
    todo: Sequence[Job],
    refused: Mapping[str, str],
    dry_run: bool,
) -> None:
    for name, reason in refused.items():
        print(f"cannot run {name}:\n{reason}", file=sys.stderr)
    print(f"{len(todo)} to do, {len(listed) - len(todo)} skipped", flush=True)
    for job in todo if dry_run else ():
        state = "started" if (job.folder / "run.json").is_file() else "new"
        print(f"  {job.name}  ({state}, {job.folder})")


def _print_outcomes(outcomes: Sequence[Outcome], total: int, refused: int) -> None:
    """Number of runs by outcome; for each that failed, the end of its log."""
    for outcome in outcomes:
        if outcome.state == "failed":
            print(f"\nfailed: {outcome.job.name}, {outcome.job.folder / LOG}\n")
            print(outcome.tail)
    counts: Counter[str] = Counter(outcome.state for outcome in outcomes)
    counts |= Counter({"refused": refused, "not started": total - len(outcomes)})
    words = [f"{number} {state}" for state, number in counts.items() if number]
    print(", ".join(words) or "nothing to do")
