"""Schedules of the learning rate, as functions of the planned training.

Adam's learning rate is ``lr`` times a schedule's factor. A factor depends on the epoch
and on the completed fraction of all planned steps only, so a resumed run continues with
the rate that it would have had.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from graphseq.schema import Configurable, Fraction, Positive, Size


class Schedule(Configurable, ABC):
    """The learning rate as a function of the training's progress.

    Attributes:
        ends: Whether the factor depends on ``max_epochs``. Such a run cannot be resumed
            with another number of epochs, and its best weights come late: set
            ``patience=None``.
        each_stage: Whether the schedule starts again, with another warm-up, in each
            stage of the model, such as the training after a pre-training.
    """

    ends: bool = False
    each_stage: bool = False

    @abstractmethod
    def factor(self, epoch: int, progress: float) -> float:
        """The factor of the learning rate.

        Args:
            epoch: The epoch; the first is 0.
            progress: Completed fraction of the steps of ``max_epochs``, in [0, 1].
                With ``each_stage``, both count from the beginning of the stage to its
                end.
        """


class StepDecay(Schedule):
    """Multiplies the learning rate by a factor after every few epochs.

    Args:
        gamma: The factor.
        every: Epochs between two decays.
    """

    def __init__(self, gamma: Positive = 0.1, every: Size = 1) -> None:
        self.gamma = gamma
        self.every = every

    def factor(self, epoch: int, progress: float) -> float:
        """``gamma`` to the number of decays so far."""
        return float(self.gamma ** (epoch // self.every))


class LinearDecay(Schedule):
    """Lowers the learning rate on a straight line, from ``lr`` to a fraction of it.

    With ``start`` above 0, the rate is constant before: with a warm-up, "warm-up,
    stable, decay".

    Args:
        end: The fraction that is reached after ``max_epochs``.
        start: The fraction of the training after which the line begins.
        each_stage: Whether each stage of the model has a line of its own. Recorded
            if it has.

    Source:
        Sun et al., *BERT4Rec* (CIKM 2019), Section 4.4: linear decay. Hu et al.,
        *MiniCPM* (COLM 2024), Section 4.2: a constant rate before the decay.
    """

    ends = True

    def __init__(
        self, end: Fraction = 0.0, start: Fraction = 0.0, each_stage: bool = False
    ) -> None:
        self.end = end
        self.start = start
        self.each_stage = each_stage
        if not each_stage:
            del self.options["each_stage"]

    def factor(self, epoch: int, progress: float) -> float:
        """``1 - (1 - end) (progress - start) / (1 - start)``, 1 before ``start``."""
        if progress <= self.start:
            return 1.0
        return 1.0 - (1.0 - self.end) * (progress - self.start) / (1.0 - self.start)


class CosineDecay(Schedule):
    """Lowers the learning rate on half a cosine, from ``lr`` to a fraction of it.

    Args:
        end: The fraction that is reached after ``max_epochs``.
        each_stage: Whether each stage of the model has a cosine of its own. Recorded
            if it has.

    Source:
        Loshchilov and Hutter, *SGDR* (ICLR 2017), Eq. 5; restarts only between stages.
    """

    ends = True

    def __init__(self, end: Fraction = 0.0, each_stage: bool = False) -> None:
        self.end = end
        self.each_stage = each_stage
        if not each_stage:
            del self.options["each_stage"]

    def factor(self, epoch: int, progress: float) -> float:
        """``end + (1 - end) (1 + cos(π progress)) / 2``."""
        return self.end + (1.0 - self.end) * (1.0 + math.cos(math.pi * progress)) / 2


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.__name__: schedule for schedule in (StepDecay, LinearDecay, CosineDecay)
}
"""The schedules that an experiment file may name."""


def replace_former_options(train: Mapping[str, Any]) -> dict[str, Any]:
    """A section ``train`` of version 0.2.0, with its step decay as a schedule.

    Args:
        train: Options of training; ``lr_decay`` and ``lr_decay_every`` are replaced.
    """
    options = dict(train)
    gamma = options.pop("lr_decay", 1.0)
    every = options.pop("lr_decay_every", 1)
    if gamma != 1.0 and options.get("lr_schedule") is None:
        options["lr_schedule"] = {"StepDecay": {"gamma": gamma, "every": every}}
    return options
