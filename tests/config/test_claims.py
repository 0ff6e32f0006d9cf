"""Claims: read from a file, and compared to a table of results."""

import pytest

from graphseq.config import Experiment, check
from graphseq.config.claims import check_claim, check_claims, missing_amount
from graphseq.config.fingerprint import fingerprint
from graphseq.errors import ConfigError

OPTIONS = {"data": {"cycle": {}}, "split": "leave_one_out", "model": "POP"}


def claiming(**claim: str) -> Experiment:
    columns = {name.replace("_", " "): text for name, text in claim.items()}
    checked = check_claim(columns, "file.yaml")
    return check(OPTIONS, name="pop.yaml", claim=checked)


def result(seed: int, value: str, **other: str) -> dict[str, str]:
    row = {"seed": str(seed), "fingerprint": fingerprint(OPTIONS), "MRR kept": value}
    return row | other


@pytest.mark.parametrize(
    ("condition", "value", "missing"),
    [
        (">= 0.05", 0.05, 0),
        (">= 0.05", 0.04, 0.01),
        ("<= 0.05", 0.05, 0),
        ("<= 0.05", 0.07, 0.02),
        ("within 5 % of 0.1", 0.105, 0),
        ("within 5 % of 0.1", 0.096, 0),
        ("within 5% of 0.1", 0.115, 0.01),
        ("within 5% of 0.1", 0.085, 0.01),
    ],
)
def test_a_condition_is_missed_by_an_amount(
    condition: str, value: float, missing: float
) -> None:
    assert missing_amount(condition, value) == pytest.approx(missing)


def test_claims_are_reached_missed_or_never_run() -> None:
    rows = [
        result(0, "0.9"),  # replaced by a newer run with this seed
        result(1, "0.3"),
        result(0, "0.1"),
        result(2, "0.9", fingerprint="of another experiment"),
    ]
    experiments = [
        claiming(MRR_kept=">= 0.2", source="Table 1"),
        claiming(MRR_kept="<= 0.15"),
        claiming(**{"HR@10_excluded": ">= 0.2"}),
    ]
    reached, missed, never = map(str, check_claims(experiments, rows))
    assert reached == "pop.yaml  MRR kept >= 0.2: reached (0.2000, seeds 0, 1)"
    assert missed == (
        "pop.yaml  MRR kept <= 0.15: missed by 0.0500 (0.2000, seeds 0, 1)"
    )
    assert never == "pop.yaml  HR@10 excluded >= 0.2: never run"


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        (["x"], "expected conditions by metric"),
        ({"HR@10": ">= 0.1"}, "expected a metric and a protocol"),
        ({"HR@10 kept": "> 0.1"}, "expected '>= 0.05'"),
        ({"HR@10 kept": 0.1}, "expected '>= 0.05'"),
    ],
)
def test_a_claim_that_cannot_be_checked_is_refused(claim: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        check_claim(claim, "file.yaml")
