"""Settings of RecBole, taken one by one; those that are left have no counterpart."""

from collections.abc import Mapping
from typing import Any

from graphseq.errors import ConfigError


class Settings:
    """Settings that are being converted.

    Attributes:
        left: Those that were not taken yet.
        notes: What was found out about those that were.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.left = dict(values)
        self.notes: list[str] = []

    def take(self, key: str, default: Any = None) -> Any:
        """The value of a setting, which then counts as converted."""
        return self.left.pop(key, default)

    def note(self, key: str, value: Any, text: str) -> None:
        """Note what a setting becomes."""
        self.notes.append(f"{key}: {value!r:.80}: {text}")

    def number(self, key: str, default: int) -> int:
        """The value of a setting that is a whole number.

        Raises:
            ConfigError: It is not.
        """
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(key, "a whole number", value)
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        """The value of a setting that has keys; without it an empty mapping.

        Raises:
            ConfigError: It has none.
        """
        value = self.take(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise _wrong(key, "a mapping such as {name: value}", value)
        return value


def _wrong(key: str, expected: str, value: Any) -> ConfigError:
    return ConfigError(f"{key}: expected {expected}, found {value!r:.80}. Correct it")
