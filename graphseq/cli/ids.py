"""Raw ids as they are typed: words, which a log may hold as numbers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphseq.data import Vocabulary


def typed(vocabulary: "Vocabulary", words: Sequence[str]) -> list[str | int]:
    """The ids as the vocabulary holds them; a word that is no number stays one."""
    if not vocabulary.ids.dtype.is_integer():
        return list(words)
    return [int(w) if w.removeprefix("-").isdecimal() else w for w in words]
