"""Settings are taken once, with their type."""

import pytest

from graphseq.config.recbole_settings import Settings
from graphseq.errors import ConfigError


def test_what_is_taken_is_no_longer_left() -> None:
    settings = Settings({"a": 1, "b": {"c": 2}})
    assert (settings.take("a"), settings.take("a", 7)) == (1, 7)
    assert settings.mapping("b") == {"c": 2}
    assert settings.mapping("b") == {}
    assert settings.left == {}


@pytest.mark.parametrize("value", [True, 1.5, "ten", None])
def test_a_number_of_another_type_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigError, match="epochs: expected a whole number, found"):
        Settings({"epochs": value}).number("epochs", 1)


def test_a_mapping_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="eval_args: expected a mapping"):
        Settings({"eval_args": [1]}).mapping("eval_args")
