"""The probe finds models that mix rows, and lets row-wise ones pass; the verdict says why in words."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.flavors.contract import RowIndependence
from podium.models.predictor import Predictor
from podium.worker.probe import Probed, more_rows, probe
from podium.worker.verdict import Merging, judge


class Function:
    """A function as a loaded model."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.native = function

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return self.native(data)


def predictor(function: Callable[[Any], Any]) -> Predictor:
    return Predictor(Function(function), None, "test", RowIndependence(False, "a function"), {})


ONE = np.array([[1.0, 2.0]])
SIX = np.arange(12.0).reshape(6, 2)
TABLE = pd.DataFrame({"x": [1.0], "n": [3], "word": ["a"], "yes": [True]})
WEIGHTS = np.array([[0.3], [0.7]])
counter = itertools.count()

ROW_WISE: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("a linear model in BLAS", lambda x: x @ WEIGHTS, SIX),
    ("one row", lambda x: x @ WEIGHTS, ONE),
    ("float32", lambda x: x.astype(np.float32) @ WEIGHTS.astype(np.float32), SIX),
    ("labels", lambda x: np.where(x[:, 0] > 4, "high", "low"), SIX),
    ("a table", lambda t: t.assign(y=t["x"] * 2)[["y", "word"]], TABLE),
    ("a series", lambda t: t["x"] + t["n"], TABLE),
    ("a list", lambda x: [{"p": float(row[0])} for row in x], SIX),
    ("a dict of columns", lambda x: {"a": x[:, 0], "b": list(x[:, 1])}, SIX),
    ("named tensors", lambda d: d["a"] + d["b"][:, 0], {"a": np.arange(2.0), "b": np.ones((2, 3))}),
    ("a list of dicts", lambda rows: [row["a"] * 2 for row in rows], [{"a": 1}]),
    ("NaN", lambda x: np.where(x[:, 0] > 4, np.nan, x[:, 1]), SIX),
]
MIXING: list[tuple[str, Callable[[Any], Any], Any, str]] = [
    ("subtracts the mean", lambda x: x - x.mean(axis=0), SIX, "not row by row"),
    ("subtracts the mean of one row", lambda x: x - x.mean(axis=0), ONE, "not row by row"),
    ("ranks", lambda x: x[:, 0].argsort().argsort(), SIX, "not row by row"),
    ("ranks a table of one row", lambda t: t["x"].rank(), TABLE, "not row by row"),
    ("cumulates", lambda x: x.cumsum(axis=0), SIX, "not row by row"),
    ("numbers the rows", lambda x: np.arange(len(x)), SIX, "in another order"),
    ("looks at the size of the batch", lambda x: x[:, 0] + len(x), SIX, "alone and among others"),
    ("one number for all", lambda x: float(x.sum()), SIX, "has no rows"),
    ("drops a row", lambda x: x[1:], SIX, "6 rows with 5"),
    ("sorts", lambda x: np.sort(x[:, 0]), SIX, "in another order"),
    ("counts its calls", lambda x: x[:, 0] + next(counter), SIX, "not the same answer twice"),
    ("turns columns into rows", lambda x: x.T, np.arange(9.0).reshape(3, 3), "not row by row"),
    ("an index of its own", lambda t: t.set_index("word"), TABLE, "index of its own"),
]


@pytest.mark.parametrize(("what", "function", "data"), ROW_WISE, ids=[row[0] for row in ROW_WISE])
def test_a_row_wise_model_passes(what: str, function: Callable[[Any], Any], data: Any) -> None:
    found = probe(predictor(function), data, None)

    assert found.is_row_wise is True, found.reason


@pytest.mark.parametrize(("what", "function", "data", "why"), MIXING, ids=[row[0] for row in MIXING])
def test_a_model_that_mixes_rows_is_vetoed(what: str, function: Callable[[Any], Any], data: Any, why: str) -> None:
    found = probe(predictor(function), data, None)

    assert found.is_row_wise is False
    assert why in found.reason


def test_input_without_rows_is_vetoed() -> None:
    assert probe(predictor(len), {"messages": "x"}, None).is_row_wise is False


def test_an_example_without_a_row_tells_nothing() -> None:
    assert probe(predictor(len), np.zeros((0, 2)), None).is_row_wise is None


def test_made_rows_differ_in_their_numbers() -> None:
    rows = more_rows(TABLE, 3)

    assert len(rows) == 3
    assert list(rows.dtypes) == list(TABLE.dtypes)
    assert rows["x"].is_unique
    assert rows["n"].is_unique
    assert set(rows["word"]) == {"a"}


def test_made_whole_numbers_do_not_wrap_around() -> None:
    rows = more_rows(np.array([[255, 0]], np.uint8), 3)

    assert rows.tolist() == [[255, 0], [254, 1], [253, 2]]


def test_where_made_rows_fail_copies_are_tried() -> None:
    """A number may be a code: another one is an error where the example's own is none."""

    def strict(x: Any) -> Any:
        if not (x == ONE).all():
            raise ValueError("unknown code")
        return x[:, 0]

    found = probe(predictor(strict), ONE, None)

    assert found.is_row_wise is True
    assert "copies" in found.reason


def test_rows_that_fail_tell_nothing() -> None:
    def failing(x: Any) -> Any:
        raise ValueError

    found = probe(predictor(failing), SIX, None)

    assert found == Probed(None, "the rows of the input example failed when probed: ValueError")


KNOWN, UNKNOWN = RowIndependence(True, "Known answers row by row"), RowIndependence(False, "a Python function")
PASSES, FAILS, BLIND = Probed(True, "same"), Probed(False, "not row by row"), Probed(None, "no example")

VERDICTS = [
    # mode, rows, probe, is batching, the reason has
    ("auto", KNOWN, PASSES, True, "Known answers row by row; same"),
    ("auto", KNOWN, FAILS, False, "but the probe says not row by row"),
    ("auto", KNOWN, BLIND, True, "not probed: no example"),
    ("auto", UNKNOWN, PASSES, False, "a Python function; declare it row_independent"),
    ("on", UNKNOWN, PASSES, True, "declared row-independent when served"),
    ("on", UNKNOWN, FAILS, False, "but the probe says"),
    ("on", UNKNOWN, BLIND, True, "not probed"),
    ("on", KNOWN, FAILS, False, "but the probe says"),
    ("off", KNOWN, PASSES, False, "switched off"),
    ("on", RowIndependence(True, "known", static_batch=4), PASSES, False, "exactly 4 rows"),
]


@pytest.mark.parametrize(("mode", "rows", "found", "is_batching", "reason"), VERDICTS)
def test_judges_by_the_truth_table(mode: str, rows: RowIndependence, found: Probed, is_batching: bool, reason: str) -> None:
    verdict = judge(mode, rows, lambda: found)

    assert verdict.is_batching is is_batching
    assert reason in verdict.reason


def test_a_function_that_nobody_declared_is_not_even_called() -> None:
    def never() -> Probed:
        raise AssertionError

    assert isinstance(judge("auto", UNKNOWN, never), Merging)
    assert isinstance(judge("off", KNOWN, never), Merging)
