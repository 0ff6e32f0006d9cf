"""Suites of checks: named claims about a part, all of them run before one error."""

import json
import traceback
from collections.abc import Callable, Collection, Iterator
from itertools import groupby
from typing import Any, Generic, NamedTuple, TypeVar

import torch

from graphseq.errors import GraphSeqError, suggest
from graphseq.schema import InvalidOption, find_invalid, refuse

Case = TypeVar("Case")


class Failure(NamedTuple):
    """A check that failed.

    Attributes:
        check: The name of the check.
        claim: What was checked.
        found: What was found.
        advice: What to do.
    """

    check: str
    claim: str
    found: str
    advice: str


class CheckError(GraphSeqError, AssertionError):
    """Checks of a part failed.

    The message has what was checked, what was found and what to do; consecutive checks
    that failed alike are listed together.

    Attributes:
        failures: All of them.
    """

    def __init__(self, subject: str, total: int, failures: list[Failure]) -> None:
        self.failures = failures
        lines = [f"{subject}: {len(failures)} of {total} checks failed"]
        for (found, advice), same in groupby(failures, lambda failure: failure[2:]):
            for name, claim, *_ in same:
                lines += [f"  {name}", f"    checked: {claim}"]
            lines += [f"    found: {found}", f"    to do: {advice}"]
        super().__init__("\n".join(lines))


class Unmet(Exception):
    """A claim does not hold: what was found, and what to do."""


def expect(holds: object, found: str, advice: str) -> None:
    """End the check unless a condition holds.

    Args:
        holds: The condition.
        found: What was found if it does not hold.
        advice: What to do then.
    """
    if not holds:
        raise Unmet(found, advice)


def expect_json(options: object, advice: str) -> None:
    """Fail unless options survive a round trip through JSON."""
    try:
        same = json.loads(json.dumps(options)) == options
    except TypeError:
        same = False
    expect(same, f"{options} is not JSON data", advice)


class Check(Generic[Case]):
    """One claim about parts of a kind; called with a function that makes a part.

    Attributes:
        name: The name of the check.
        claim: What must hold.
    """

    def __init__(self, case: Callable[..., Case], test: Callable[[Case], None]) -> None:
        self._case, self._test = case, test
        self.name = self.__name__ = test.__name__  # pytest reads the latter
        self.claim = (test.__doc__ or "").partition("\n\n")[0].strip()

    def __repr__(self) -> str:
        return self.name

    def __call__(self, make: Callable[..., Any], **options: Any) -> None:
        """Check a part.

        Args:
            make: Returns a new part on each call.
            options: Of the function that runs all checks of this kind.

        Raises:
            CheckError: The claim does not hold.
            OptionError: An option is unknown, or out of its range.
        """
        refuse(self.name, find_invalid(self._case, {"make": make, **options}))
        try:
            with torch.random.fork_rng(devices=[]):
                case = self._case(make, **options)
            self.run(case)
        except Unmet as unmet:
            failure = Failure(self.name, self.claim, *unmet.args)
            raise CheckError(name_of(make), 1, [failure]) from None

    def run(self, case: Case) -> None:
        """Check a case; the random state of the process stays as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._test(case)


class Suite(Generic[Case]):
    """All checks of one kind of part, in the order of their definition.

    Args:
        case: Makes what the checks read from the function that makes a part.
    """

    def __init__(self, case: Callable[..., Case]) -> None:
        self._case = case
        self.checks: list[Check[Case]] = []

    def add(self, test: Callable[[Case], None]) -> Callable[[Case], None]:
        """Add a check; its docstring is what must hold."""
        self.checks.append(Check(self._case, test))
        return test

    def __iter__(self) -> Iterator[Check[Case]]:
        return iter(self.checks)

    def run(
        self, make: Callable[..., Any], *, skip: Collection[str] = (), **options: Any
    ) -> None:
        """Run all checks on one case, whose values they share.

        Args:
            make: Returns a new part on each call.
            skip: Names of checks that do not apply to the part.
            options: Of the case.

        Raises:
            CheckError: With all that failed.
            OptionError: An option is unknown, or out of its range.
        """
        names = [check.name for check in self.checks]
        unknown = [name for name in skip if name not in names]
        refuse(
            "checks",
            [
                *find_invalid(self._case, {"make": make, **options}),
                *(InvalidOption("skip", suggest(name, names)) for name in unknown),
            ],
        )
        failures = []
        with torch.random.fork_rng(devices=[]):
            case = self._case(make, **options)
        selected = [check for check in self if check.name not in skip]
        for check in selected:
            try:
                check.run(case)
            except Unmet as unmet:
                failures.append(Failure(check.name, check.claim, *unmet.args))
            except Exception as error:  # of the part: reported with the others
                message = _describe(error)
                failures.append(Failure(check.name, check.claim, message, _ALONE))
        if failures:
            raise CheckError(name_of(make), len(selected), failures)


_ALONE = "fix this error; checks(…) gives each check alone, which shows the traceback"


def _describe(error: Exception) -> str:
    """The error, and the line that raised it."""
    *_, last = traceback.extract_tb(error.__traceback__)
    text = str(error) or "no message"
    return f"{type(error).__name__}: {text} ({last.filename}:{last.lineno})"


def name_of(make: Callable[..., Any]) -> str:
    """The name of the function or class that makes a part."""
    name = getattr(make, "__qualname__", None) or type(make).__name__
    return name if "<lambda>" not in name else "the part"
