"""How synthetic users and items are called, and checks of what is asked for."""

from graphseq.data.vocabulary import Vocabulary
from graphseq.errors import DataError


def names(kind: str, count: int) -> Vocabulary:
    """Raw ids that nobody mistakes for dense ones: "item-0", "item-1", …."""
    return Vocabulary([f"{kind}-{number}" for number in range(count)])


def check_sizes(**sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        DataError: As said.
    """
    wrong = {name: size for name, size in sizes.items() if size < 1}
    if wrong:
        raise DataError(f"sizes of a synthetic log are 1 or more; found {wrong}")


def check_seed(seed: int) -> None:
    """Refuse a seed below 0.

    Raises:
        DataError: As said.
    """
    if seed < 0:
        raise DataError(f"a seed is 0 or more; found {seed}")


def check_shares(**shares: float) -> None:
    """Refuse probabilities outside 0 … 1.

    Raises:
        DataError: As said.
    """
    wrong = {name: share for name, share in shares.items() if not 0 <= share <= 1}
    if wrong:
        raise DataError(f"probabilities are 0 … 1; found {wrong}")
