"""Train a model on a graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import Protocol
from graphseq.models import Model
from graphseq.models.base import check_given
from graphseq.models.check import check_fits
from graphseq.training import run_folder as folders
from graphseq.training.history import TrainingHistory
from graphseq.training.options import (
    Precision,
    check_compiler,
    check_examples,
    check_machine,
    check_options,
    check_stages,
)
from graphseq.training.run import CHECKPOINT, Run

BATCH_SIZE = {"targets": 384, "user": 256, "prefix": 256, "pairs": 2048}
NOT_OPTIONS = ("model", "graph", "folder", "resume", "experiment")


def fit(
    model: Model,
    graph: HeteroData,
    *,
    folder: str | Path | None = None,
    max_epochs: int = 100,
    batch_size: int | None = None,
    lr: float = 1e-3,
    lr_warmup: int = 0,
    lr_decay: float = 1.0,
    lr_decay_every: int = 1,
    weight_decay: float = 0.0,
    seed: int = 0,
    monitor: str | None = "NDCG@10",
    history: Protocol = "kept",
    patience: int | None = 5,
    evaluate_every: int = 1,
    gradient_clip: float | None = None,
    precision: Precision = "32-true",
    accelerator: str = "auto",
    devices: int | str = 1,
    strategy: str = "auto",
    compile: bool = False,
    loggers: Sequence[Any] = (),
    progress: bool = True,
    workers: int = 0,
    threads: int | None = None,
    resume: bool = False,
    experiment: Mapping[str, Any] | None = None,
) -> Run:
    """Train a model, and leave it with the weights that were best in validation.

    With a ``folder``, everything is kept there: the resolved options, versions, commit
    and hashes, the history, the best weights, and a checkpoint after every epoch. A
    run that was killed at any moment goes on with ``resume=True``; on a CPU, with as
    many threads, it ends with the very weights of a run that was never stopped.

    Args:
        model: The model; trained in place, left on the CPU in evaluation mode.
        graph: The graph, with validation users; left alone.
        folder: Where to keep the run; ``None`` keeps nothing but what is returned.
        max_epochs: Epochs after which to stop at the latest.
        batch_size: Targets or rows a batch, as the model's sampler counts. ``None``:
            384 targets for ``targets``, 256 rows for ``user`` and ``prefix``, 2048
            pairs for ``pairs``. With several processes, of each of them.
        lr: Adam's learning rate.
        lr_warmup: Steps over which the learning rate rises evenly to ``lr``.
        lr_decay: By what the learning rate is multiplied as time goes on.
        lr_decay_every: Epochs between two of these multiplications.
        weight_decay: Adam's L2 penalty.
        seed: Of batches, negatives and dropout. The initial weights are the model's.
        monitor: Validation metric that decides which epoch is best and when to stop;
            ``None`` evaluates nothing, and the last epoch is the best.
        history: Protocol of validation: whether items of a user's history compete.
        patience: Evaluations without a better one after which to stop; ``None``: all
            epochs are trained.
        evaluate_every: Epochs between evaluations; the last epoch is always evaluated.
        gradient_clip: Largest norm of the gradient.
        precision: ``32-true``; ``bf16-softmax``, which multiplies states and all items
            in bfloat16 and is float32 otherwise: on processors with bfloat16, an epoch
            of a ``ce`` loss in some two thirds of the time; ``bf16-mixed`` (CPU and
            GPU), ``16-mixed`` (GPU), ``64-true``.
        accelerator: ``auto`` (a CUDA device if there is one, else the CPU), ``cpu``,
            ``gpu`` (CUDA; views are drawn in float64, which Apple's mps lacks).
        devices: How many, or Lightning's notation.
        strategy: Lightning's; with several devices ``auto`` is DDP, which needs
            ``ddp_find_unused_parameters_true`` for a model that leaves weights unused.
        compile: Compile the model's losses with ``torch.compile``.
        loggers: Besides ``history.csv``: ``tensorboard``, ``wandb``, ``mlflow``, or
            Lightning logger objects.
        progress: Show a bar, and a line for each epoch.
        workers: Processes that make batches; they change no batch.
        threads: Threads of a tensor operation in each process; ``None``: as many as
            cores are free (:mod:`graphseq.runtime`), or as the resumed run had. Results
            repeat to the last bit only with as many threads.
        resume: Go on with the run in ``folder``; start it if there is none yet.
        experiment: Sections of an experiment file (data, split, …) to keep with the
            model's and the training's own in the folder, so that it repeats the run.

    Returns:
        The run. A model without parameters is only evaluated.

    Raises:
        ConfigError: Options mean nothing, or need something that is not installed.
        GraphError: The graph does not fit the model.
        RunError: The folder holds a run already, or with ``resume`` another one; the
            loss became infinite.
    """
    options = {k: v for k, v in locals().items() if k not in NOT_OPTIONS}
    check_given("fit", model, graph)
    if batch_size is None:
        options["batch_size"] = BATCH_SIZE[model.sampler]
    check_options(options)
    check_fits(model, graph)
    check_examples(model, graph, validated=monitor is not None)
    check_stages(model, max_epochs)
    if compile:
        check_compiler()
    if max_epochs:
        check_machine(options)
    runtime.keep_freed_memory()
    with folders.place(folder, options) as where:
        before = folders.look(where, model, graph, options, resume=resume)
        if before is not None and threads is None:
            threads = before.record["environment"]["threads"]
        if threads is None and isinstance(devices, int) and devices > 1:
            threads = max(1, runtime.default_threads() // devices)
        with runtime.limit_threads(threads) as used:
            if before is None or not folders.is_done(before, options):
                record = folders.begin(
                    where, before, model, graph, options, used, experiment or {}
                )
                before_last = sum(stage.epochs or 0 for stage in model.stages())
                warmup = max(model.warmup, before_last)
                journal = TrainingHistory(
                    where, record, monitor=monitor, patience=patience, warmup=warmup
                )
                train = _train if is_trained(model, options) else _only_evaluate
                try:
                    meet = train(model, graph, journal, options)
                except Exception:
                    folders.forget(where, options)
                    raise
                run = folders.end(journal.folder, model, options)
                meet()  # or one process removes what another still reads
            else:
                run = folders.end(where, model, options)
    return run if folder is not None else replace(run, folder=None)


def is_trained(model: Model, options: dict[str, Any]) -> bool:
    """Whether there is anything to train, and any epoch to do it in."""
    return options["max_epochs"] > 0 and any(
        w.requires_grad for w in model.parameters()
    )


def _train(
    model: Model, graph: HeteroData, journal: TrainingHistory, options: dict[str, Any]
) -> Callable[[], Any]:
    """Train with Lightning, from the checkpoint if there is one.

    Returns:
        What to call where all processes that train together are to wait for each other.
    """
    from lightning.pytorch.utilities.seed import isolate_rng

    from graphseq.training.module import Training
    from graphseq.training.trainer import Recorder, make_trainer, quiet

    with quiet(), isolate_rng():
        training = Training(model.train(), graph, options)
        clips = training.automatic_optimization  # or the training does so itself
        given = options if clips else options | {"gradient_clip": None}
        trainer = make_trainer(journal.folder, Recorder(journal), given)
        checkpoint = journal.folder / CHECKPOINT
        resumed = str(checkpoint) if checkpoint.is_file() else None
        try:
            trainer.fit(training, ckpt_path=resumed)
        except SystemExit as error:  # Lightning's answer to Ctrl-C, which ends Python
            raise KeyboardInterrupt from error
        trainer.strategy.barrier()  # others read what the first process wrote
        return trainer.strategy.barrier


def _only_evaluate(
    model: Model, graph: HeteroData, journal: TrainingHistory, options: dict[str, Any]
) -> Callable[[], Any]:
    """The history of a model that learns nothing: one row, epoch 0."""
    from graphseq.training.module import validate

    metrics = validate(model, graph, options) if options["monitor"] else {}
    journal.add({"epoch": 0, **metrics})
    journal.write(model, improved=True)
    return lambda: None
