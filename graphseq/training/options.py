"""Options of a training run."""

import math
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from graphseq.constants import Protocol
from graphseq.errors import ConfigError
from graphseq.schema import describe
from graphseq.training.monitor import Measure
from graphseq.training.schedules import Schedule

Precision = Literal["32-true", "bf16-softmax", "bf16-mixed", "16-mixed", "64-true"]
EVERYWHERE: dict[str, tuple[Any, ...]] = {
    "accelerator": ("auto", "cpu"),
    "devices": (1, "auto"),
    "strategy": ("auto",),
    "precision": ("32-true", "bf16-softmax", "64-true"),
    "loggers": ((), []),
}
"""Values that work on every machine."""


@dataclass(frozen=True)
class FitOptions:
    """The resolved options of :func:`graphseq.fit`, which documents them.

    Attributes:
        measure: The function that computes ``monitor``; ``None`` for a metric by name.
            Not saved.
    """

    max_epochs: int
    batch_size: int
    lr: float
    lr_warmup: int
    lr_schedule: Schedule | None
    weight_decay: float
    seed: int
    monitor: str | None
    history: Protocol
    patience: int | None
    evaluate_every: int
    gradient_clip: float | None
    precision: Precision
    accelerator: str
    devices: int | str
    strategy: str
    compile: bool
    loggers: Sequence[Any]
    progress: bool
    workers: int
    threads: int | None
    keep_histories: bool = True
    start: str | None = None
    new_items: Literal["neighbours", "attributes", "fresh", "fitted"] = "neighbours"
    measure: Measure | None = None

    @property
    def is_first_process(self) -> bool:
        """Whether this process writes the files: that of rank 0.

        Always true with one device, also under a launcher such as SLURM.
        """
        return self.devices in (1, "1") or all(
            os.environ.get(name, "0") == "0"
            for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
        )

    def usable_precision(self) -> Precision:
        """The precision, or float32 where bfloat16 products would be emulated."""
        if self.precision != "bf16-softmax" or not self._on_cpu() or has_bfloat16():
            return self.precision
        return "32-true"

    def _on_cpu(self) -> bool:
        import torch

        automatic = self.accelerator == "auto" and not torch.cuda.is_available()
        return automatic or self.accelerator == "cpu"

    def learning_rate(
        self, epoch: int, step: int, fraction: float, epochs: int
    ) -> float:
        """Adam's learning rate in a step.

        Args:
            epoch: The epoch of the run, or of the stage if the schedule starts
                again with each; the first is 0.
            step: Steps of the run, or of the stage, before this one.
            fraction: Completed fraction of the epoch.
            epochs: Planned epochs of the run, or of the stage.
        """
        progress = min(1.0, (epoch + fraction) / max(1, epochs))
        schedule = self.lr_schedule
        decay = 1.0 if schedule is None else schedule.factor(epoch, progress)
        if not isinstance(decay, float | int) or not 0.0 <= decay < math.inf:
            raise ConfigError(
                f"{type(schedule).__name__}.factor({epoch}, {progress:g}) returned "
                f"{decay!r}; expected a finite number of at least 0"
            )
        warmup_factor = min(1.0, (step + 1) / max(1, self.lr_warmup))
        return float(self.lr * decay * warmup_factor)

    def describe(self) -> dict[str, Any]:
        """The options as YAML data; loggers by name."""
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        del options["measure"]
        names = [str(getattr(logger, "name", logger)) for logger in self.loggers]
        described: dict[str, Any] = describe(options | {"loggers": names})
        return described

    def check_machine(self) -> None:
        """Refuse devices, loggers or a compiler that this machine does not have.

        Nothing is imported to check values that work everywhere.

        Raises:
            ConfigError: With what there is.
        """
        if self.compile:
            check_compiler()
        if self.max_epochs and any(
            getattr(self, name) not in values for name, values in EVERYWHERE.items()
        ):
            from graphseq.training.trainer import try_trainer

            try_trainer(self)


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers itself (x86: AVX-512, AMX)."""
    import torch

    if platform.machine().lower() in ("aarch64", "arm64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def check_compiler() -> None:
    """Refuse ``compile=True`` without a C++ compiler.

    Raises:
        ConfigError: There is none on the PATH.
    """
    names = (os.environ.get("CXX", "g++"), "clang++", "cl")
    if not any(shutil.which(name) for name in names):
        raise ConfigError(
            f"compile=True needs a C++ compiler; none of {names} is on the PATH. "
            "Install one (Debian: apt install g++), name it in CXX, or leave compile "
            "out: the results are the same"
        )
