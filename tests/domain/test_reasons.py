"""What clients are told of errors that libraries raised on their data."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.reasons import Quotes, described, reason, scalar


def raised(act: Any) -> Exception:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: np.array(["secret"], dtype="float64"), "could not convert string to float: 'secret'"),
        (lambda: np.array(["secret"], dtype="int64"), "invalid literal for int() with base 10: 'secret'"),
        (lambda: np.array([4711], dtype="int8"), "Python integer 4711 out of bounds for int8"),
        (lambda: np.array([None], dtype="int64"), "int() argument must be a string, a bytes-like object or a real"),
        (lambda: np.array(["secret"], dtype="datetime64[ns]"), 'Error parsing datetime string "secret" at position 0'),
        (lambda: pd.DataFrame(columns=["a"], data=[[1, 2]]), "1 columns passed, passed data had 2 columns"),
        (lambda: {}["secret"], "KeyError"),  # type: ignore[index]
        (lambda: [].secret, "'list' object has no attribute 'secret'"),  # type: ignore[attr-defined]
        (lambda: json.loads('"secret'), "JSONDecodeError"),
    ],
)
def test_known_words_are_passed_on_with_the_one_scalar_that_they_quote(act: Any, said: str) -> None:
    """Of all others only the kind of the error is told."""
    assert reason(raised(act)).startswith(said)


def test_an_error_is_shown_as_python_shows_it_if_it_is_known() -> None:
    """In the places where MLflow has a repr()."""
    assert described(raised(lambda: float("secret"))) == repr(ValueError("could not convert string to float: 'secret'"))
    assert described(KeyError("secret")) == "KeyError()"


@pytest.mark.parametrize("text", ["x" * 10_000, "line\nbreak\x1b[31m" * 50, "\u202e" * 400, "é" * 200])
def test_a_quoted_scalar_is_short_and_on_one_line(text: str) -> None:
    """Whatever it is: a log line stays a line, and a body stays small."""
    for shown in (scalar(text), reason(ValueError(f"could not convert string to float: {text}"))):
        assert len(shown) <= len("could not convert string to float: ") + 101
        assert shown.isprintable()


def test_what_is_no_scalar_is_only_named() -> None:
    assert [scalar([1, "secret"]), scalar({"k": "secret"}), scalar(10**5000)] == ["<list>", "<dict>", "<int>"]


def test_of_several_complaints_the_first_scalar_is_quoted() -> None:
    quotes = Quotes()

    assert [quotes.of([1]), quotes.of("a"), quotes.of("b"), quotes.of(5)] == ["…", "a", "…", "…"]
