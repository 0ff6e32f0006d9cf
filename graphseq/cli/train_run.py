"""One run of ``graphseq train``: trained, evaluated and recorded in this process."""

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from graphseq import runtime
from graphseq.cli.evaluate import print_reports
from graphseq.cli.jobs import LOG, Job
from graphseq.errors import RunError
from graphseq.folders import check_run

if TYPE_CHECKING:
    from graphseq.training import Run


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


def train_here(job: Job, options: RunOptions) -> None:
    """Train, evaluate and record one run in this process."""
    from graphseq.config import load
    from graphseq.report import append, row
    from graphseq.training.options import FitOptions

    settings = settings_of(options)
    settings += [] if job.own_seed else [f"train.seed={job.seed}"]
    experiment = load(job.experiment, settings)
    if options.graph is not None:
        experiment = experiment.on_graph(options.graph, options.data)
    options_of_fit = experiment.resolved()["train"]
    options_of_fit["batch_size"] = options_of_fit["batch_size"] or 1  # by the sampler
    FitOptions(**options_of_fit).check_machine()
    experiment.check_stages()
    if options.record is not None:
        _report_uncommitted(options.record)
    if options.overwrite:
        _is_run(job.folder)  # refuses any other folder before data are read
    start = options_of_fit.get("start")
    if start is not None:
        check_run(start)
        if options.overwrite and Path(start).resolve() == job.folder.resolve():
            raise RunError(
                f"{job.folder} is to be overwritten, and its weights are to be the "
                "start. Choose another --folder"
            )
    graph = experiment.graph(options.data)
    model = experiment.model(graph)
    if options.overwrite:  # nothing else stands in the way of the new run
        _delete_run(job.folder)
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
    if options.resume and record and _has_row(record, job, run):
        record = None  # the run was complete
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


def settings_of(options: RunOptions) -> list[str]:
    """The options to override, that of --start included."""
    start = [] if options.start is None else [f"train.start={options.start}"]
    return [*(options.set or ()), *start]


def recorded(results: Path) -> set[tuple[str, int]]:
    """Fingerprint and seed of every row of a table of results."""
    from graphseq.report import read_table

    return {
        (row["fingerprint"], int(float(row["seed"])))
        for row in read_table(results)
        if row["fingerprint"]
    }


def _has_row(results: Path, job: Job, run: "Run") -> bool:
    """Whether a table of results has a run, on the graph that it was trained on."""
    from graphseq.report import read_table

    graph = run.record["graph"]["hash"][:12]
    return any(
        row["fingerprint"] == job.fingerprint
        and int(float(row["seed"])) == job.seed
        and row.get("graph", graph) == graph
        for row in read_table(results)
    )


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


def _is_run(folder: Path) -> bool:
    """Whether there is a run to delete.

    Raises:
        RunError: The folder holds something else.
    """
    if not folder.exists() or not any(p.name != LOG for p in folder.iterdir()):
        return False
    if not (folder / "run.json").is_file():
        raise RunError(
            f"{folder} is not a run folder and is not deleted; choose another --folder"
        )
    return True


def _delete_run(folder: Path) -> None:
    """Delete a run, except the log, to which this process may be writing.

    Raises:
        RunError: The folder holds something else.
    """
    from graphseq.training.run_folder import LOCK, locked

    if not _is_run(folder):
        return
    with locked(folder):  # not under a run in progress
        paths = [p for p in folder.iterdir() if p.name not in (LOG, LOCK)]
        for path in sorted(paths, key=lambda p: p.name == "run.json"):  # it comes last
            is_folder = path.is_dir() and not path.is_symlink()
            shutil.rmtree(path) if is_folder else path.unlink()
