"""The content of a run folder's files that its readers need."""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from annotated_types import Len
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12

from graphseq.folders import RUN
from graphseq.schema import Count, Parallel, Size


class _Graph(TypedDict):
    num_users: Size
    num_items: Size
    hash: str
    held_out_hash: str


class _Environment(TypedDict):
    commit: dict[str, Any] | None
    device: str
    threads: Parallel
    precision: NotRequired[str]


class _Record(TypedDict):
    seed: Count
    resumed_after: list[int]
    graph: _Graph
    environment: _Environment
    best_epoch: Count
    stopped_early: bool
    times: list[dict[str, float]]
    finished: bool


class _Experiment(TypedDict):
    model: Annotated[dict[str, Any], Len(1, 1)]
    train: dict[str, Any]


def check_content(
    experiment: Mapping[str, Any], record: Mapping[str, Any], file: str
) -> None:
    """Refuse a run folder whose files lack what their readers need.

    Args:
        experiment: The content of the experiment file.
        record: The content of ``run.json``.
        file: Name of the experiment file, for messages.

    Raises:
        ValueError: With what is missing or of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    for name, kind, content in (
        (RUN, _Record, record),
        (file, _Experiment, experiment),
    ):
        try:
            TypeAdapter[Any](kind).validate_python(content)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            raise ValueError(f"{name}: {place}: {problem['msg']}") from error
