"""Each check of encoders fails for an encoder that breaks its claim."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from graphseq.nn import Encoder, Transformer
from graphseq.testing import CheckError, check_encoder, checks


class Mean(Encoder):
    """A map of the mean of the items so far, plus the item: it passes all checks."""

    def __init__(self, dim: int = 4, gain: Any = 1.0) -> None:
        super().__init__()
        self.dim = dim
        self.map = nn.Linear(dim, dim)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        number = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
        states: Tensor = self.map(x.cumsum(dim=1) / number) + x
        return states

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.read(x, mask) * mask[..., None]


class Narrow(Mean):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(x, mask)[..., :3]


class Sizeless(Mean):
    def __init__(self, dim: int = 4) -> None:
        super().__init__(dim)
        self.dim = float(dim)  # type: ignore[assignment]


class Unmasked(Mean):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.read(x, mask)


class Silent(Mean):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(x, mask) * (mask.cumsum(dim=1) != 2)[..., None]


class Widening(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x, mask) * x.shape[1]


class Batchwise(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x, mask) + x.mean(dim=0)


class Foresight(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x, mask) + x.sum(dim=1, keepdim=True)


class Excused(Foresight):
    counts_from_end = True


class Modest(Mean):
    prefix_states = False


class Undecided(Mean):
    @classmethod
    def has_prefix_states(cls, options: Any) -> bool:
        return False


class Forgetful(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + self.map(x)


class OtherLast(Mean):
    def last(self, x: Tensor, mask: Tensor) -> Tensor:
        return 2 * super().last(x, mask)


class Divided(Mean):
    def last(self, x: Tensor, mask: Tensor) -> Tensor:
        number = mask.sum(dim=1, keepdim=True)
        return super().last(x, mask) * number / number


class Short(Mean):
    max_length = 9

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x, mask) / (x.shape[1] < 9)


class Idle(Mean):
    def __init__(self, dim: int = 4) -> None:
        super().__init__(dim)
        self.unused = nn.Parameter(torch.ones(1))


class Detached(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x.detach(), mask)


class Noisy(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return nn.functional.dropout(super().read(x, mask))


class Seeded(Mean):
    def __init__(self, dim: int = 4) -> None:
        super().__init__(dim)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.map = nn.Linear(dim, dim)


class Hidden(Mean):
    def __init__(self, dim: int = 4) -> None:
        super().__init__(dim)
        self.hidden = torch.randn(dim)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x, mask) + self.hidden.to(x)


class Shared(Mean):
    def __deepcopy__(self, memo: Any) -> "Shared":
        return self


class Unwritten(Mean):
    def __init__(self, dim: int = 4) -> None:
        super().__init__(dim)
        self.options["gain"] = nn.ReLU()


class Single(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.map(x.cumsum(dim=1) / torch.ones(x.shape[1], 1)) + x
        return states.float()


class Local(Mean):
    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().read(x, mask) + torch.zeros(self.dim).repeat(2)[: self.dim]


BROKEN: dict[str, Callable[..., Any]] = {
    "states_have_the_shape_of_the_input": Narrow,
    "it_is_an_encoder_of_its_declared_size": Sizeless,
    "states_at_padding_are_zero": Unmasked,
    "states_at_items_are_not_all_zero": Silent,
    "more_padding_changes_no_state": Widening,
    "rows_do_not_depend_on_their_batch": Batchwise,
    "later_items_are_read_only_if_declared": Foresight,
    "prefix_states_is_known_from_the_options": Undecided,
    "the_last_state_reads_the_history": Forgetful,
    "last_is_the_state_at_the_last_item": OtherLast,
    "an_empty_row_has_a_finite_state": Divided,
    "rows_of_every_length_are_read": Short,
    "every_parameter_has_a_gradient": Idle,
    "gradients_reach_items_and_no_padding": Detached,
    "evaluation_is_repeatable": Noisy,
    "the_seed_decides_the_weights": Seeded,
    "weights_survive_a_state_dict": Hidden,
    "a_copy_is_independent": Shared,
    "options_rebuild_it": Unwritten,
    "float64_is_computed_in_float64": Single,
    "tensors_are_created_on_the_device_of_the_input": Local,
}


def test_positions_from_the_end_do_not_excuse_the_reading_of_later_items() -> None:
    check_encoder(lambda: Transformer(4, 6, positions="end"))
    with pytest.raises(CheckError, match="later_items_are_read_only_if_declared"):
        check_encoder(Excused)


def test_an_encoder_that_keeps_the_claims_passes() -> None:
    check_encoder(Mean)


@pytest.mark.parametrize("check", checks("encoder"))
def test_a_check_fails_for_an_encoder_that_breaks_its_claim(check: Any) -> None:
    with pytest.raises(CheckError, match=f"(?s){check.name}.*checked:.*found:.*to do:"):
        check(BROKEN[check.name])


def test_an_encoder_that_could_learn_from_every_position_is_noticed() -> None:
    with pytest.raises(CheckError, match="no state depends on later items"):
        check_encoder(Modest)
