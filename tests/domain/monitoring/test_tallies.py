"""Sums without rounding, places for numbers of any size, names of classes, and what became of labels."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.monitoring.quality.magnitudes import middle_of, place_of, quantile
from podium.domain.monitoring.quality.sums import ExactSum, halvings_of, is_negative, merged, total
from podium.domain.monitoring.quality.tallies import LabelTally, class_name, delays_of

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, max_size=12))
def test_a_sum_is_exact_whatever_floats_are_added(values):
    assert total(map(halvings_of, values)).fraction == sum(map(Fraction, values))


@given(st.lists(FINITE, max_size=8), st.lists(FINITE, max_size=8))
def test_what_was_added_can_be_taken_away_and_equal_sums_are_equal(some, more):
    both = merged(total(map(halvings_of, some)), total(map(halvings_of, more)))

    assert both == total(map(halvings_of, [*more, *some]))
    assert merged(both, total(map(halvings_of, more)), -1) == total(map(halvings_of, some))


def test_counts_of_every_form_are_added_and_cells_of_nothing_are_left_out():
    one = (1, {"a": 2, "b": 1}, (ExactSum(1, 1),))
    other = (2, {"b": -1, "c": 5}, (ExactSum(1, 1),))

    assert merged(one, other) == (3, {"a": 2, "c": 5}, (ExactSum(1, 0),))
    assert [is_negative(each) for each in (one, other, (1, (-1,)), ExactSum(-1))] == [False, True, True, False]
    with pytest.raises(TypeError, match="not float"):
        merged(1.5, 2)


@given(st.floats(1e-15, 1e15), st.sampled_from([-1, 1]))
def test_a_place_is_near_its_numbers(size, sign):
    assert middle_of(place_of(sign * size)) == pytest.approx(sign * size, rel=1 / 64)


@given(FINITE, FINITE)
def test_places_are_in_the_order_of_their_numbers_and_few(one, other):
    low, high = sorted((one, other))

    assert place_of(low) <= place_of(high)
    assert abs(place_of(one)) <= 4096


def test_each_place_is_the_place_of_its_middle():
    assert all(place_of(middle_of(place)) == place for place in range(-4096, 4097))


def test_quantiles_are_those_of_the_counted_numbers():
    values = np.random.default_rng(0).lognormal(3, 2, 999).tolist()
    counts = {}
    for value in values:
        counts[place_of(value)] = counts.get(place_of(value), 0) + 1

    for share in (0.0, 0.5, 0.95, 1.0):
        assert quantile(counts, share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"), rel=1 / 64)
    assert quantile({}, 0.5) is None
    assert quantile({7: 1, 9: 1}, 0.5) == middle_of(7)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1", "1"),
        (np.int64(1), "1"),
        (np.float32(1), "1"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (True, "1"),
        (np.True_, "1"),
        ("spam", "spam"),
        (None, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_a_class_has_one_name_however_it_was_written(value, name):
    assert class_name(value) == name


def test_labels_have_a_coverage_and_a_delay():
    """A label that another clock sent before its prediction came at once."""
    first = LabelTally(predicted=80, matched=30, duplicate=1, delays=delays_of([60.0] * 29 + [-5.0]))
    second = LabelTally(predicted=20, matched=20, late=2, delays=delays_of([86_400.0] * 20 + [math.nan]))

    both = first + second

    assert both == second + first
    assert (both.coverage, both.duplicate, both.late) == (0.5, 1, 2)
    assert both.delay_s(0.5) == pytest.approx(60, rel=1 / 64)
    assert both.delay_s(0.95) == pytest.approx(86_400, rel=1 / 64)
    assert both.delay_s(0.0) == 0.0
    assert (LabelTally().coverage, LabelTally().delay_s(0.5)) == (None, None)
