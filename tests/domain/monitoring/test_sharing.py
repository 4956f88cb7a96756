"""Whoever gives little is taken whole; the others share the rest equally, and together it is no more than the rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.monitoring.sharing import fair_parts


@pytest.mark.parametrize(
    ("demands", "parts"),
    [
        ({}, {}),
        ({"a": 5}, {"a": 1}),
        ({"a": 2000}, {"a": 0.01}),
        ({"a": 2000, "b": 1}, {"a": 19 / 2000, "b": 1}),
        ({"a": 100, "b": 1000}, {"a": 0.1, "b": 0.01}),
        ({"a": 0.0, "b": 0.0}, {"a": 1, "b": 1}),
    ],
)
def test_parts(demands, parts):
    assert fair_parts(20, demands) == pytest.approx(parts)


@given(st.dictionaries(st.integers(), st.floats(0, 1e9), max_size=20), st.integers(1, 10_000))
def test_together_they_are_all_or_the_rate(demands, rate):
    parts = fair_parts(rate, demands)
    taken = sum(demands[key] * parts[key] for key in demands)

    assert all(0 < part <= 1 for part in parts.values())
    assert taken == pytest.approx(min(rate, sum(demands.values())), rel=1e-6)
