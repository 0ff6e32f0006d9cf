"""Which column of a file is the user, the item and the time."""

import difflib
from collections.abc import Sequence

from graphseq.data.readers.layouts import NAMES, Columns
from graphseq.errors import DataError


def plain(name: str) -> str:
    """A column's name in lower case, without punctuation and RecBole's ``:type``."""
    return "".join(c for c in name.split(":")[0].lower() if c.isalnum())


def separator_of(line: str) -> str | None:
    """The sign that seems to stand between the columns, where it is not the usual."""
    counts = {sign: line.count(sign) for sign in ",\t;|"}
    sign = max(counts, key=lambda each: counts[each])
    return sign if counts[sign] and sign in ";|" else None


def find_roles(
    source: str, header: Sequence[str], columns: Columns | None
) -> dict[str, int]:
    """Positions of user, item and time among the columns of a file.

    Args:
        source: Name of the file, for messages.
        header: Names of the file's columns.
        columns: Role -> name, as asked for; ``None`` goes by the usual names.

    Raises:
        DataError: A name is not there, or the usual names are not, or are there twice.
    """
    if columns is None:
        return _by_usual_names(source, header)
    known = {name: place for place, name in enumerate(header)}
    short = {name.split(":")[0]: place for name, place in known.items()}
    places, problems = {}, []
    for role, name in columns.items():
        place = known.get(str(name), short.get(str(name)))
        if place is None:
            near = difflib.get_close_matches(str(name), [*known, *short], n=1)
            cure = f" (did you mean {near[0]!r}?)" if near else ""
            problems.append(f"no column {name!r} for the {role}{cure}")
        else:
            places[role] = place
    if problems:
        sign = separator_of(header[0]) if len(header) == 1 else None
        cure = f". The separator seems to be {sign!r}: --separator {sign!r}"
        raise DataError(
            f"{source}: {'; '.join(problems)}. The columns are {', '.join(header)}"
            f"{cure if sign else ''}"
        )
    return places


def check_columns(columns: Columns) -> None:
    """Refuse roles that are unknown or lacking, and names mixed with positions.

    Raises:
        DataError: As said.
    """
    unknown = set(columns) - set(NAMES)
    lacking = {"user", "item"} - set(columns)
    if unknown or lacking:
        raise DataError(
            f"columns= names the user, the item and perhaps the time; found "
            f"{dict(columns)}. Write columns={{'user': …, 'item': …, 'time': …}}"
        )
    if len({isinstance(name, int) for name in columns.values()}) > 1:
        raise DataError(
            f"columns= takes names (the file has a header) or positions from 0 (it has "
            f"none), not both; found {dict(columns)}"
        )


def _by_usual_names(source: str, header: Sequence[str]) -> dict[str, int]:
    places = {}
    for role, names in NAMES.items():
        fits = [place for place, name in enumerate(header) if plain(name) in names]
        if len(fits) != 1:
            what = "several columns could be" if fits else "no column looks like"
            order = (
                " Without a 'time' the rows count as being in time order."
                if role == "time"
                else ""
            )
            raise DataError(
                f"{source}: {what} the {role} among {', '.join(header)}. Say which: "
                "--columns user=… item=… time=… (in Python, columns={'user': …, "
                f"'item': …, 'time': …}}).{order}"
            )
        places[role] = fits[0]
    return places
