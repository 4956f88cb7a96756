"""The proof finds what differs, says what it looked at, and ends in time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from podium.domain.inputs.plan import Field, InputPlan
from podium.worker.proofs.cases import Case, proof_cases
from podium.worker.proofs.parity import Pair, Proof, prove

PLAN = InputPlan("columns", (Field("amount", "double"), Field("count", "long"), Field("plan", "string")))
EDGES = {0: [0.25], 2: ["free", "pro"]}
Way = Callable[[Case], Any]


def amounts(case: Case) -> Any:
    return np.asarray(case.columns[0], np.float64)


def proof(other: Way, original: Way = amounts, tolerance: float | None = None) -> Proof:
    return prove([Pair("the answer", original, other)], proof_cases(PLAN, edges=EDGES), tolerance)


def test_what_is_the_same_is_accepted_and_the_rows_are_counted() -> None:
    found = proof(amounts)

    assert found.is_accepted
    assert {"near", "edges", "wide", "narrow", "large offset", "special", "unseen", "huge"} == set(found.rows)
    assert found.largest == 0
    assert f"equal to the last bit on {sum(found.rows.values())} rows" == found.sentence


DIFFERENT: list[tuple[str, Way]] = [
    ("a sign of zero", lambda case: np.abs(amounts(case))),
    ("one bit", lambda case: np.nextafter(amounts(case), np.inf)),
    ("beyond a threshold alone", lambda case: np.where(amounts(case) == np.nextafter(0.25, 1), 0.0, amounts(case))),
    ("an empty text", lambda case: amounts(case) + np.array([text == "" for text in case.columns[2]])),
    ("a text with a blank", lambda case: amounts(case) + np.array([text == "free " for text in case.columns[2]])),
    ("whole numbers as doubles", lambda case: amounts(case) + (case.columns[1] == 2**53 + 1)),
    ("a type", lambda case: amounts(case).astype(np.float32)),
    ("a shape", lambda case: amounts(case)[:, None]),
    ("a list", lambda case: amounts(case).tolist()),
]


@pytest.mark.parametrize(("what", "other"), DIFFERENT, ids=[row[0] for row in DIFFERENT])
def test_what_differs_is_refuted(what: str, other: Way) -> None:
    found = proof(other)

    assert not found.is_accepted
    assert found.reason == found.sentence


def test_the_first_row_that_differs_is_shown() -> None:
    found = proof(lambda case: amounts(case) + (amounts(case) > 1e6))

    assert found.counterexample is not None
    assert found.counterexample["row"]["amount"] > 1e6
    assert found.counterexample["expected"] + 1 == found.counterexample["got"]


def test_what_the_model_refuses_no_other_way_may_answer() -> None:
    def refuses(case: Case) -> Any:
        if np.abs(amounts(case)).max() > 1e300:
            raise ValueError
        return amounts(case)

    assert "the model refuses" in str(proof(amounts, refuses).reason)
    assert proof(refuses, refuses).is_accepted


def test_what_is_left_to_the_model_is_no_difference_but_too_much_of_it_is() -> None:
    def seldom(case: Case) -> Any:
        if case.kind != "near":
            raise ValueError
        return amounts(case)

    found = proof(seldom)

    assert not found.is_accepted
    assert found.left > 0
    assert "to the model" in str(found.reason)


def test_a_tolerance_allows_numbers_to_differ_and_reports_by_how_much() -> None:
    found = proof(lambda case: amounts(case) * (1 + 3e-6), tolerance=1e-5)

    assert found.is_accepted
    assert 2e-6 < found.largest <= 1e-5
    assert not proof(lambda case: amounts(case) * (1 + 3e-5), tolerance=1e-5).is_accepted


def test_a_tolerance_allows_no_label_to_differ() -> None:
    def labels(case: Case) -> Any:
        return (amounts(case) > 0.25).astype(np.int64)

    def nearly(case: Case) -> Any:
        return (amounts(case).astype(np.float32) > np.float32(0.25)).astype(np.int64)

    assert proof(labels, labels, 1e-5).is_accepted
    assert "differs" in str(proof(nearly, labels, 1e-5).reason)


def test_the_training_profile_says_where_to_look() -> None:
    plan = InputPlan("columns", (Field("amount", "double"), Field("plan", "string")))

    cases = proof_cases(plan, profile={"amount": {"min": 3e5, "max": 9e5}, "plan": {"categories": ["gold"]}})

    (near,) = [case for case in cases if case.kind == "near"]
    assert list(dict.fromkeys(near.columns[1])) == ["gold"]
    assert 1e5 < np.median(near.columns[0]) < 1e6


def test_rows_with_gaps_are_left_out_of_the_example() -> None:
    """The plan has no gaps: what has some goes the other way, to the model."""
    import pandas as pd

    example = pd.DataFrame({"amount": [1.0, None, 3.0], "count": [1, 2, 3], "plan": ["a", "b", None]})

    (shown,) = [case for case in proof_cases(PLAN, example) if case.kind == "example"]

    assert shown.columns[0].tolist() == [1.0]
