"""Whom a silence covers, and which silences nobody may make."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.monitoring.alerting.silences import Silence, is_like, parse_matchers, silenced_by
from podium.errors import InvalidInput

LABELS = {"rule": "drift-column", "severity": "ticket", "model": "fraud", "version": "7", "column": "age"}


def silence(*matchers, begins_at=0.0, ends_at=100.0, author="ana", reason="known"):
    return Silence("1", parse_matchers(matchers), author, reason, begins_at, ends_at)


@pytest.mark.parametrize(
    ("matchers", "expected"),
    [
        (["model=fraud"], True),
        (["model=fraud", "rule=drift-column"], True),
        (["model=fraud", "rule=quality"], False),
        (["rule~drift-*"], True),
        (["rule~drift"], False),
        (["model=fraud", "column!=age"], False),
        (["model=fraud", "column!~a*"], False),
        (["model=fraud", "column!~b*"], True),
        (["model=fraud", "variant="], True),
        (["model=fraud", "variant=b"], False),
        (["severity = ticket"], True),
        (["model=fraud*"], False),
    ],
    ids=[
        "one label", "all must fit", "one does not", "a pattern", "a pattern is for the whole", "not equal", "not like",
        "not like something else", "a label that is not there is empty", "and nothing else", "spaces do not count",
        "without ~ a star is a star",
    ],
)  # fmt: skip
def test_whom_a_silence_covers(matchers, expected):
    """One row, one sentence."""
    assert silence(*matchers).covers(LABELS, 50) is expected


@pytest.mark.parametrize(("now", "expected"), [(-1, False), (0, True), (99.9, True), (100, False)])
def test_a_silence_has_a_beginning_and_an_end(now, expected):
    """The end is not included."""
    its = silence("model=fraud")

    assert silenced_by(LABELS, [its], now) == (its if expected else None)


@pytest.mark.parametrize("matchers", [[], ["model!=fraud"], ["model~*"], ["model~**"], ["model="], ["column!~b*"]])
def test_nobody_silences_everything(matchers):
    """A silence names something, or all alerts of tomorrow's outage would be quiet."""
    with pytest.raises(InvalidInput, match="would silence everything"):
        silence(*matchers)


@pytest.mark.parametrize(
    "terms",
    [{"author": " "}, {"reason": ""}, {"reason": "x" * 1001}, {"ends_at": 0.0}, {"ends_at": 400 * 86_400.0}],
    ids=["no author", "no reason", "a novel", "no time", "for ever"],
)
def test_a_silence_says_who_and_why_and_ends(terms):
    """And at most a year later."""
    with pytest.raises(InvalidInput):
        silence("model=fraud", **terms)


@pytest.mark.parametrize("text", ["", "model", "=fraud", "a b=c", "model=~fraud", "model" + "=" + "x" * 1001])
def test_what_is_no_matcher_is_refused(text):
    """`=~` too, which elsewhere takes regular expressions."""
    with pytest.raises(InvalidInput, match="no matcher"):
        parse_matchers([text])


def test_matchers_are_shown_as_they_are_written():
    """So that one can copy them."""
    texts = ["model=fraud", "severity!=page", "column~age*", "model!~test-*", "column=a=b", "column=a!=b"]

    assert [str(each) for each in parse_matchers(texts)] == texts


@settings(max_examples=200, deadline=None)
@given(st.text("ab", max_size=12), st.text("ab*", max_size=8))
def test_patterns_mean_what_a_regular_expression_would(text, pattern):
    """With `*` for any text."""
    expression = ".*".join(map(re.escape, pattern.split("*")))

    assert is_like(text, pattern) is (re.fullmatch(expression, text, re.DOTALL) is not None)


def test_no_pattern_holds_up_whoever_asks():
    """A regular expression of this form would take longer than the universe is old."""
    assert not is_like("a" * 50_000, "*a" * 400 + "*b")
