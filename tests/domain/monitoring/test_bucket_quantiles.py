"""Quantiles of a histogram's buckets are those of Prometheus, and shares are exact at edges."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.monitoring.quantiles import edge_at, quantile
from podium.errors import InvalidInput

EDGES = [0.005, 0.01, 0.025, 0.05, 0.1]
CUMULATIVE = [10, 50, 90, 99, 100]


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 0.01), (0.9, 0.025), (0.95, 0.0388888889), (0.99, 0.05), (1, 0.1), (0, 0.0), (0.05, 0.0025)],
)
def test_quantiles_lie_evenly_within_their_bucket(share, expected):
    """As `histogram_quantile` has it."""
    assert quantile(EDGES, CUMULATIVE, share) == pytest.approx(expected, abs=1e-10)


def test_a_quantile_beyond_the_last_edge_is_not_said_to_be_the_edge():
    """Two of a hundred took longer than anybody measured."""
    assert quantile(EDGES, [10, 50, 90, 97, 98, 100], 0.99) == math.inf


def test_buckets_without_values_have_no_quantile():
    """Not 0."""
    assert quantile(EDGES, [0] * 6, 0.5) is None


def test_empty_buckets_in_front_are_passed_over():
    """The least value lies where the first bucket with any begins."""
    assert quantile(EDGES, [0, 0, 4, 4, 4], 0) == 0.01


def test_counts_that_fell_while_they_were_read_count_as_the_largest_before():
    """Buckets are written by another process."""
    assert quantile(EDGES, [10, 50, 90, 99, 95], 0.97) == quantile(EDGES, [10, 50, 90, 99, 99], 0.97)


def test_a_threshold_that_is_no_edge_is_refused_with_those_beside_it():
    """Nobody counted that; an estimate would be no objective."""
    with pytest.raises(InvalidInput, match=r"0\.03 s is no edge.*Take 0\.025 or 0\.05"):
        edge_at(EDGES, 0.03)


@pytest.mark.parametrize(
    ("edges", "cumulative"), [([], []), ([1, 1], [1, 2]), ([2, 1], [1, 2]), ([1, 2], [1]), ([1, 2], [1, 2, 3, 4])]
)
def test_what_are_no_buckets_is_refused(edges, cumulative):
    """Edges rise, and each has a count."""
    with pytest.raises(InvalidInput, match="rising edges"):
        quantile(edges, cumulative, 0.5)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=6, max_size=6), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_never_has_a_smaller_quantile(counts, one, other):
    """And each lies between the edges."""
    cumulative = [sum(counts[: place + 1]) for place in range(6)]
    low, high = quantile(EDGES, cumulative, min(one, other)), quantile(EDGES, cumulative, max(one, other))

    assert (low is None) == (high is None) == (sum(counts) == 0)
    assert low is None or 0 <= low <= high
