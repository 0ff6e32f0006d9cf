"""``graphseq train``: one or many experiments and seeds."""

import csv
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cyclopts import Parameter

from graphseq import runtime
from graphseq.cli.app import check_file, check_folder, to_words
from graphseq.cli.evaluate import print_reports
from graphseq.cli.jobs import LOG, Job, Outcome, list_jobs, work
from graphseq.cli.progress import RunLines
from graphseq.errors import ConfigError, RunError
from graphseq.schema import Count, Parallel

INTERRUPTED = 130  # exit code of a program that Ctrl-C has ended


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every run.

    Attributes:
        data: Folder of the data sets.
        start: Run folder whose weights are the initial ones: users and items of the
            new graph are matched by their ids.
        graph: Folder of a saved graph, instead of the data, filters, split and graph
            of the file; what the file says of them must fit.
        set: Options to override, such as train.max_epochs=5 or
            graph[0].CoOccurrence.top_k=20.
        resume: Continue runs that were interrupted; complete runs are only evaluated.
        overwrite: Delete earlier runs in the same folders.
        record: CSV file to which each finished run adds a row.
    """

    data: Path | None = None
    graph: Path | None = None
    start: Path | None = None
    set: list[str] | None = None
    resume: bool = False
    overwrite: bool = False
    record: Path | None = None


def train(
    experiments: list[str],
    /,
    *,
    options: RunOptions = RunOptions(),
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
          --set model.SASRec.dim=32 --folder runs/first

      # continue an interrupted run
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --resume

      # on a graph that graphseq build or update has written
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --graph graphs/beauty

      # go on from an earlier run, after graphseq update
      graphseq train experiments/beauty/sasrec.yaml:ce-targets --graph graphs/shop \
          --start runs/last-week --set train.max_epochs=5

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
    settings = _settings(options)
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
    todo = [j for j in todo if j.epochs or total == 1]
    if total == 1 and todo and not dry_run:
        _train_here(todo[0], options)
        return 0
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


def recorded(results: Path) -> set[tuple[str, int]]:
    """Fingerprint and seed of every row of a table of results."""
    if not results.is_file():
        return set()
    with results.open(encoding="utf-8", newline="") as file:
        return {
            (row["fingerprint"], int(float(row["seed"])))
            for row in csv.DictReader(file)
            if row.get("fingerprint")
        }


def _train_here(job: Job, options: RunOptions) -> None:
    """Train, evaluate and record one run in this process."""
    from graphseq.config import load
    from graphseq.report import append, row
    from graphseq.training.options import FitOptions

    settings = _settings(options)
    settings += [] if job.own_seed else [f"train.seed={job.seed}"]
    experiment = load(job.experiment, settings)
    if options.graph is not None:
        experiment = experiment.on_graph(options.graph, options.data)
    options_of_fit = experiment.resolved()["train"]
    options_of_fit["batch_size"] = options_of_fit["batch_size"] or 1  # by the sampler
    FitOptions(**options_of_fit).check_machine()
    if options.record is not None:
        _report_uncommitted(options.record)
    if options.overwrite:
        _delete_run(job.folder)
    graph = experiment.graph(options.data)
    model = experiment.model(graph)
    place = shlex.quote(str(job.folder))
    try:
        run = experiment.fit(model, graph, folder=job.folder, resume=options.resume)
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(
            f"interrupted; the trained epochs are in {job.folder}. To continue, repeat "
            f"the command with --folder {place} --resume"
        ) from error
    report = experiment.evaluate(model, graph, part="test", folder=job.folder)
    record = options.record
    if options.resume and record and (job.fingerprint, job.seed) in recorded(record):
        record = None  # the run was complete, and has its row
    if record is not None:  # before anything is printed, which can fail
        about = {"data": experiment.data_name, "experiment": job.experiment}
        about |= {"settings": " ".join(settings), "fingerprint": job.fingerprint}
        append(record, row(run, report, **about))
    print_reports({type(model).__name__: report})
    print(repr(run))
    if not runtime.is_quiet():
        print(f"next: graphseq recommend {place} --history ITEM ITEM …")
    if record is not None:
        print(f"one row added to {record}")


def _settings(options: RunOptions) -> list[str]:
    """The options to override, that of --start included."""
    start = [] if options.start is None else [f"train.start={options.start}"]
    return [*(options.set or ()), *start]


def _report_uncommitted(record: Path) -> None:
    import graphseq
    from graphseq.report import UNCOMMITTED
    from graphseq.training.provenance import commit

    found = commit(Path(graphseq.__file__).parent)
    if found is not None and found["changed"]:
        print(
            "warning: the code of graphseq has uncommitted changes; the row in "
            f"{record} will be marked {UNCOMMITTED}",
            file=sys.stderr,
        )


def _delete_run(folder: Path) -> None:
    """Delete a run, except the log, to which this process may be writing.

    Raises:
        RunError: The folder holds something else.
    """
    from graphseq.training.run_folder import LOCK, locked

    if not folder.exists() or not any(p.name != LOG for p in folder.iterdir()):
        return
    if not (folder / "run.json").is_file():
        raise RunError(
            f"{folder} is not a run folder and is not deleted; choose another --folder"
        )
    with locked(folder):  # not under a run in progress
        for path in folder.iterdir():
            if path.name not in (LOG, LOCK):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


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
