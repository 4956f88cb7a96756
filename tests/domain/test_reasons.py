"""What clients are told of errors that libraries raised on their data."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.reasons import described, reason


def raised(act: Any) -> Exception:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: np.array(["secret"], dtype="float64"), "could not convert string to float"),
        (lambda: np.array(["secret"], dtype="int64"), "invalid literal for int() with base 10"),
        (lambda: np.array([4711], dtype="int8"), "Python integer out of bounds for int8"),
        (lambda: np.array([None], dtype="int64"), "int() argument must be a string, a bytes-like object or a real"),
        (lambda: np.array(["secret"], dtype="datetime64[ns]"), "Error parsing datetime string"),
        (lambda: pd.DataFrame(columns=["a"], data=[[1, 2]]), "1 columns passed, passed data had 2 columns"),
        (lambda: {}["secret"], "KeyError"),  # type: ignore[index]
        (lambda: [].secret, "'list' object has no attribute 'secret'"),  # type: ignore[attr-defined]
        (lambda: json.loads('"secret'), "JSONDecodeError"),
    ],
)
def test_known_words_are_passed_on_up_to_where_they_quote(act: Any, said: str) -> None:
    """Of all others only the kind of the error is told."""
    assert reason(raised(act)).startswith(said)


def test_an_error_is_shown_as_python_shows_it_without_what_it_quotes() -> None:
    """In the places where MLflow has a repr()."""
    assert described(raised(lambda: float("secret"))) == "ValueError('could not convert string to float')"
    assert described(KeyError("secret")) == "KeyError()"
