"""Train a model on a graph."""

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import Protocol
from graphseq.errors import ConfigError
from graphseq.models import Model
from graphseq.schema import Count, Parallel, Positive, Size, Weight, Workers, checked
from graphseq.training import run_folder
from graphseq.training.fit_items import check_fitted
from graphseq.training.history import TrainingHistory
from graphseq.training.monitor import Measure, Metric, name_of
from graphseq.training.options import FitOptions, Precision
from graphseq.training.requirements import (
    check_epochs,
    check_examples,
    epochs_before_last_stage,
)
from graphseq.training.run import CHECKPOINT, Run
from graphseq.training.schedules import Schedule
from graphseq.training.warm_start import NewItems, fit_new_items, start_from

ONE_AT_A_TIME = threading.RLock()  # random numbers are those of the process
BATCH_SIZE = {"targets": 384, "user": 256, "prefix": 256, "pairs": 2048}


@checked
def fit(
    model: Model,
    graph: HeteroData,
    *,
    folder: str | Path | None = None,
    max_epochs: Count = 100,
    batch_size: Size | None = None,
    lr: Positive = 1e-3,
    lr_warmup: Count = 0,
    lr_schedule: Schedule | None = None,
    weight_decay: Weight = 0.0,
    seed: Count = 0,
    monitor: Metric | Measure | None = "NDCG@10",
    history: Protocol = "kept",
    patience: Size | None = 5,
    evaluate_every: Size = 1,
    gradient_clip: Positive | None = None,
    precision: Precision = "32-true",
    accelerator: str = "auto",
    devices: int | str = 1,
    strategy: str = "auto",
    compile: bool = False,
    loggers: Sequence[Any] = (),
    callbacks: Sequence[Any] = (),
    progress: bool = True,
    workers: Workers = 0,
    threads: Parallel | None = None,
    resume: bool = False,
    keep_histories: bool = True,
    start: str | Path | None = None,
    new_items: NewItems = "neighbours",
    experiment: Mapping[str, Any] | None = None,
) -> Run:
    """Train a model, and restore the weights of its best validation epoch.

    With a ``folder``, the run is saved there: the resolved options, versions, commit
    and hashes, the history, the best weights, a checkpoint after every epoch, and the
    part of the graph that using the model needs (:meth:`Run.graph`). A run that was
    killed at any moment continues with ``resume=True``; on a CPU, with the same number
    of threads, it ends with exactly the weights of an uninterrupted run. In threads of
    one process, calls run one after the other.

    Args:
        model: The model; trained in place, left on the CPU in evaluation mode.
        graph: The graph, with validation users; not modified.
        folder: Folder to save the run in; ``None`` saves nothing.
        max_epochs: Maximum number of epochs.
        batch_size: Batch size in the unit of the model's sampler, for each process.
            ``None``: 384 targets for ``targets``, 256 rows for ``user`` and
            ``prefix``, 2048 pairs for ``pairs``.
        lr: Learning rate of Adam.
        lr_warmup: Steps of linear warmup of the learning rate.
        lr_schedule: How the learning rate changes after the warmup:
            :class:`.StepDecay`, :class:`.LinearDecay`, :class:`.CosineDecay` or a class
            of your own; ``None``: constant. The last two end with ``max_epochs``: use
            them with ``patience=None``.
        weight_decay: L2 penalty of Adam.
        seed: Seed of batches, negatives and dropout; not of the initial weights.
        monitor: Validation metric that selects the best epoch and stops early; or a
            function of the report of the validation users (lists of 10 items), which
            returns a finite number that grows with quality and is recorded under the
            function's name; ``None`` skips validation, and the last epoch is the best.
        history: History protocol of validation.
        patience: Evaluations without improvement before training stops; ``None``
            disables early stopping.
        evaluate_every: Epochs between evaluations; the last epoch is always evaluated.
        gradient_clip: Maximum norm of the gradient.
        precision: ``32-true``; ``bf16-softmax``, which multiplies states and items in
            bfloat16 and computes the rest in float32 (on processors with bfloat16, an
            epoch with a ``ce`` loss takes about two thirds of the time; on others, the
            run falls back to ``32-true``, and its record says so);
            ``bf16-mixed`` (CPU and GPU), ``16-mixed`` (GPU), ``64-true``.
        accelerator: ``auto`` (CUDA if available, else the CPU), ``cpu``, ``gpu``
            (CUDA; views are drawn in float64, which Apple's mps does not support).
        devices: Number of devices, or Lightning's notation.
        strategy: Lightning's strategy; with several devices ``auto`` is DDP, which
            needs ``ddp_find_unused_parameters_true`` for a model with unused weights.
        compile: Compile the model's losses with ``torch.compile``.
        loggers: In addition to ``history.csv``: ``tensorboard``, ``wandb``, ``mlflow``,
            or Lightning logger objects.
        callbacks: Functions that are called after each epoch with its row of the
            history (a mapping of ``epoch``, the losses and the validation metrics);
            training stops early after one that returns True.
        progress: Show a progress bar, and print a line for each epoch.
        workers: Data loading processes; the batches do not depend on them.
        threads: Intra-op threads of each process; ``None``: the allowed cores
            (:mod:`graphseq.runtime`), or those of the resumed run. Results are
            bit-equal only with the same number of threads.
        resume: Continue the run in ``folder``, or start it if there is none.
        keep_histories: Save the users in the run folder: their raw ids, events and
            held-out events. Without them (for privacy), the folder serves users of the
            log only together with the graph, and histories of items at any time.
        start: Folder of a run whose weights are the initial ones: of the same model on
            an earlier graph, or of another model, of which the tensors with the same
            names and shapes are taken. Rows of users and items are matched by raw id.
            Adam starts fresh.
        new_items: Initial rows of items that the run of ``start`` did not know: the
            weighted mean of their known ``neighbours`` by co-occurrence, or else by
            transitions (those without any stay as they are), the mean of the ten known
            items with the most similar ``attributes``, or ``fresh``. ``fitted``: as
            ``neighbours``, and in the end :func:`.fit_items` completes the best weights
            for these items; the history has the metrics before that.
        experiment: Other sections of the experiment file (data, split, …), saved in the
            folder so that its file repeats the run.

    Returns:
        The run. A model without parameters or stages is evaluated without training.

    Raises:
        ConfigError: Options are invalid, or need something that is not installed.
        GraphError: The graph does not fit the model.
        RunError: The folder contains a run already, or with ``resume`` another one; the
            loss or the number of ``monitor`` is not finite.
    """
    if model.sampler not in BATCH_SIZE:
        raise ConfigError(
            f"{type(model).__name__}.sampler must be one of {', '.join(BATCH_SIZE)}; "
            f"found {model.sampler!r}"
        )
    options = FitOptions(
        max_epochs=max_epochs,
        batch_size=batch_size or BATCH_SIZE[model.sampler],
        lr=lr,
        lr_warmup=lr_warmup,
        lr_schedule=lr_schedule,
        weight_decay=weight_decay,
        seed=seed,
        monitor=name_of(monitor),
        history=history,
        patience=patience,
        evaluate_every=evaluate_every,
        gradient_clip=gradient_clip,
        precision=precision,
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        compile=compile,
        loggers=loggers,
        progress=progress,
        workers=workers,
        threads=threads,
        keep_histories=keep_histories,
        start=None if start is None else str(start),
        new_items=new_items,
        measure=monitor if callable(monitor) else None,
    )
    for callback in callbacks:
        if not callable(callback):
            raise ConfigError(
                "callbacks are functions of the row of an epoch (a mapping); found "
                f"{type(callback).__name__}. Callbacks of Lightning are not supported"
            )
    is_trained = bool(model.stages()) and any(
        weight.requires_grad for weight in model.parameters()
    )
    check_examples(model, graph, trained=is_trained, validated=monitor is not None)
    check_epochs(model, max_epochs)
    if start is not None and new_items == "fitted":
        check_fitted(model)
    if folder is not None:
        run_folder.check_stored(model, options)
    options.check_machine()
    runtime.keep_freed_memory()
    words = f"train {type(model).__name__} with seed {seed}, folder {folder}"
    with (
        ONE_AT_A_TIME,
        runtime.timed(__name__, words),
        run_folder.locate(folder, options) as path,
    ):
        former = run_folder.find(path, model, graph, options, resume=resume)
        if threads is None:
            threads = _default_threads(former, devices)
        with runtime.limit_threads(threads) as used, run_folder.refused_writes(path):
            if former is not None and run_folder.is_done(former, options):
                _fit_new_items(model, graph, path, options)
                run = run_folder.end(path, model, options)
            else:
                try:
                    record = run_folder.begin(
                        path, former, model, graph, options, used, experiment or {}
                    )
                    used_precision = record["environment"].get("precision", precision)
                    _report_precision(precision, used_precision)
                    training_history = TrainingHistory(
                        path,
                        record,
                        monitor=options.monitor,
                        patience=patience,
                        callbacks=callbacks,
                        warmup=max(model.warmup, epochs_before_last_stage(model)),
                    )
                    if folder is not None:
                        run_folder.store_graph(path, model, graph, options)
                    if options.start is not None and not (path / CHECKPOINT).is_file():
                        start_from(model, graph, options.start, options.new_items)
                    train = _train if max_epochs and is_trained else _only_evaluate
                    barrier = train(
                        model,
                        graph,
                        training_history,
                        replace(options, precision=used_precision),
                    )
                    _fit_new_items(model, graph, training_history.folder, options)
                    barrier()
                except Exception:
                    run_folder.discard(path, options)
                    raise
                run = run_folder.end(training_history.folder, model, options)
                barrier()  # no process removes files that another still reads
    return run if folder is not None else replace(run, folder=None)


def _fit_new_items(
    model: Model, graph: HeteroData, folder: Path, options: FitOptions
) -> None:
    """Complete the best weights for items that the run of ``start`` did not know."""
    is_wanted = options.start is not None and options.new_items == "fitted"
    if is_wanted and options.is_first_process:
        assert options.start is not None
        fit_new_items(model, graph, folder, options.start, options.seed)


def _report_precision(requested: str, used: str) -> None:
    if requested != used:
        warnings.warn(
            f"precision {requested} falls back to {used}: this processor has no "
            "bfloat16 instructions, and emulated ones are slower than float32",
            stacklevel=4,
        )


def _default_threads(former: Run | None, devices: int | str) -> int | None:
    """Threads of the run to resume; several processes divide the default."""
    if former is not None:
        threads: int = former.record["environment"]["threads"]
        return threads
    if isinstance(devices, int) and devices > 1:
        return max(1, runtime.default_threads() // devices)
    return None


def _train(
    model: Model, graph: HeteroData, history: TrainingHistory, options: FitOptions
) -> Callable[[], Any]:
    """Train with Lightning, from the checkpoint if there is one.

    Returns:
        The barrier of the processes that train together.
    """
    from lightning.pytorch.utilities.seed import isolate_rng

    from graphseq.training.module import Training
    from graphseq.training.trainer import Recorder, make_trainer, quiet

    with quiet(), isolate_rng():
        training = Training(model.train(), graph, options)
        trainer = make_trainer(history.folder, Recorder(history), training)
        checkpoint = history.folder / CHECKPOINT
        resumed = str(checkpoint) if checkpoint.is_file() else None
        try:
            trainer.fit(training, ckpt_path=resumed)
        except SystemExit as error:  # Lightning exits Python on Ctrl-C
            raise KeyboardInterrupt from error
        trainer.strategy.barrier()  # other processes read what the first one wrote
        return trainer.strategy.barrier


def _only_evaluate(
    model: Model, graph: HeteroData, history: TrainingHistory, options: FitOptions
) -> Callable[[], Any]:
    """The history of an untrained model: one row, epoch 0."""
    from graphseq.training.module import validate

    metrics = validate(model, graph, options) if options.monitor else {}
    history.add({"epoch": 0, **metrics})
    history.write(model, improved=True)
    return lambda: None
