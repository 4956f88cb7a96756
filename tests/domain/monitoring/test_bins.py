"""Where values fall: edges, atoms, what is decided on, and that every number has one place."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import counted, normal, profile_of, psi, repeated, side_by_side

from podium.domain.monitoring.bins import CategoryBins, NumberBins, Of, category_name, decided, grouped
from podium.domain.monitoring.counting import NumberCells

A = normal(1000)
ZEROS = np.concatenate([np.zeros(900), np.arange(1.0, 101.0)])
LETTERS = repeated(a=500, b=300, c=150, d=50)


@pytest.mark.parametrize(
    ("reference", "current", "counts", "score"),
    [
        (A, A + 0.25, (63, 75, 82, 87, 94, 100, 107, 115, 125, 152), 0.0593598322),
        (A, A + 0.5, (38, 52, 63, 73, 83, 93, 108, 123, 149, 218), 0.2350275349),
        (A, 1.5 * A, (197, 91, 75, 70, 67, 67, 70, 75, 91, 197), 0.1936272308),
        (np.arange(100.0), np.arange(50.0, 150.0), (0, 0, 0, 0, 0, 10, 10, 10, 10, 60), 2.2837097836),
        (np.exp(3 * A), np.exp(3 * (A + 0.5)), (38, 52, 63, 73, 83, 93, 108, 123, 149, 218), 0.2350275349),
        (LETTERS, repeated(a=400, b=300, c=200, d=100), (400, 300, 200, 100, 0, 0), 0.0708993622),
        (LETTERS, repeated(a=450, b=300, c=150, d=50, z=50), (450, 300, 150, 50, 0, 50), 0.2354299271),
        (LETTERS, repeated(a=499, b=300, c=150, d=50, z=1), (499, 300, 150, 50, 0, 1), 0.0010978676),
    ],
    ids=["shift", "larger shift", "wider", "half beyond", "another scale", "categories", "unseen", "one unseen"],
)
def test_a_shift_gives_the_counts_that_were_worked_out_elsewhere(reference, current, counts, score):
    """Tables made with numpy's quantiles and searchsorted."""
    histograms = side_by_side(reference, current)

    assert counts == histograms.current
    assert psi(histograms) == pytest.approx(score, abs=1e-8)


def test_twenty_bins_are_stored():
    assert psi(side_by_side(A, 1.5 * A, is_fine=True)) == pytest.approx(0.2396796807, abs=1e-8)


def test_one_value_far_out_moves_one_row():
    rng = np.random.default_rng(0)
    reference, current = rng.normal(size=2000), rng.normal(2, 1, 2000)
    before = counted(profile_of({"x": reference}), {"x": current}).columns["x"]
    drifted = psi(side_by_side(reference, current))

    current[0] = 1e6

    after = counted(profile_of({"x": reference}), {"x": current}).columns["x"]
    assert drifted == pytest.approx(3.5991501702, abs=1e-8)
    assert psi(side_by_side(reference, current)) == drifted
    assert after.above - before.above in (0, 1)


def test_a_value_that_most_rows_have_leaves_the_others_their_bins():
    """Nine zeros in ten: the zero has a bin of its own, and what is left is cut into tenths."""
    histograms = side_by_side(ZEROS, ZEROS)

    assert (0, 900, *[10] * 10) == histograms.reference
    assert histograms.places[1] == 0


@pytest.mark.parametrize(
    "column",
    [
        ZEROS,
        -ZEROS,
        ZEROS - 50,
        np.full(1000, 3.7),
        np.repeat([1.5, 2.5, 9.5], 400),
        np.tile(np.arange(17.0), 60),
        A,
        A * 5e307,
    ],
)
def test_places_rise_and_lie_in_their_bins(column):
    histograms = side_by_side(column, column)
    fine = side_by_side(column, column, is_fine=True)

    for each in (histograms, fine):
        assert sorted(set(each.places)) == list(each.places)
        assert all(map(math.isfinite, each.places))


def test_a_constant_column_sees_whatever_is_not_the_constant():
    histograms = side_by_side(np.full(1000, 3.7), np.array([3.7] * 5 + [3.6] * 3 + [math.nextafter(3.7, 9)] * 2))

    assert histograms.reference == (0, 1000, 0)
    assert histograms.current == (3, 5, 2)


def test_categories_of_less_than_a_hundredth_are_decided_on_together():
    reference = repeated(**{f"c{i:02}": 1000 // (i + 1) for i in range(60)})

    decided_on, fine = (side_by_side(reference, reference, is_fine=each) for each in (False, True))

    assert len(decided_on.reference) < 25
    assert len(fine.reference) == 62
    assert sum(decided_on.reference) == sum(fine.reference) == len(reference)


def test_few_rows_make_few_bins():
    """Five rows at least in each that is stored."""
    assert [2 * min(10, rows // 10) or 1 for rows in (1, 9, 10, 55, 100)] == [
        len(profile_of({"x": np.arange(rows) + 0.5}).columns["x"].bins) for rows in (1, 9, 10, 55, 100)
    ]


def test_tied_values_share_a_bin_and_groups_stay_near_a_tenth():
    """Whole numbers from 0 to 30: no quantile separates equal values, and no group is empty."""
    values = np.tile(np.arange(31.0), 40)

    histograms = side_by_side(values, values)

    assert 9 <= len(histograms.reference) <= 10
    assert min(histograms.reference) >= 80


def test_values_with_a_twentieth_of_the_rows_are_decided_on_in_tenths():
    """Whole numbers from 0 to 16 as floats: each is an atom, and two of them are a group."""
    values = np.tile(np.arange(17.0), 60)

    assert len(side_by_side(values, values, is_fine=True).reference) > 30
    assert 8 <= len([count for count in side_by_side(values, values).reference if count]) <= 10


def test_pairs_are_decided_on_where_nothing_is_tied():
    bins = NumberBins(tuple(float(i) for i in range(19)), (), -1.0, 20.0)

    starts = decided(bins, [50] * 20)

    assert tuple(range(0, 20, 2)) == starts
    assert grouped([50] * 20, starts) == (100,) * 10


FLOATS = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=False)
FINITE = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)


@given(
    st.sets(FINITE, max_size=8),
    st.sets(FINITE, max_size=4),
    st.tuples(FINITE, FINITE),
    st.lists(FLOATS, max_size=40),
    st.data(),
)
def test_every_number_falls_into_exactly_one_place(edges, atoms, span, values, data):
    """The bin that the law says; or it is missing. And the edges themselves, and the numbers next to them."""
    bins = NumberBins(tuple(sorted(edges)), tuple(sorted(atoms)), min(span), max(span))
    near = [
        next_one for cut in bins.cuts for next_one in (cut, math.nextafter(cut, -math.inf), math.nextafter(cut, math.inf))
    ]
    values = [*values, *near, *span]
    normal_numbers = [value for value in values if value == 0 or not abs(value) < 2.3e-308]
    cells = NumberCells(bins, "float64")

    for value in normal_numbers:
        place = np.zeros(cells.size, np.int64)
        cells.add(np.array([value]), place)
        counts = cells.counts(place.tolist())

        assert counts.rows == 1
        assert counts.missing == (not math.isfinite(value))
        assert counts.non_finite == math.isinf(value)
        if math.isfinite(value):
            assert counts.bins[bins.index(value)] == 1
            assert (counts.below, counts.above) == (value < bins.low, value > bins.high)


@settings(max_examples=50)
@given(st.lists(FLOATS, min_size=1, max_size=200), st.lists(FLOATS, max_size=50))
def test_counting_many_is_counting_each(reference, values):
    """Whatever the reference was: nothing is lost, nothing twice, and order does not matter."""
    profile = profile_of({"x": np.array(reference)})
    bins = profile.columns["x"].bins

    counts = counted(profile, {"x": np.array(values)}).columns["x"] if values else None

    if counts is not None:
        finite = [value for value in values if math.isfinite(value)]
        expected = [0] * len(bins)
        for value in finite:
            expected[bins.index(value)] += 1
        assert tuple(expected) == counts.bins
        assert counts.rows == len(values)
        assert counts == counted(profile, {"x": np.array(values[::-1])}).columns["x"]


@pytest.mark.parametrize(
    ("value", "of", "name"),
    [
        (3.0, Of.INTEGER, "3"),
        (-0.0, Of.INTEGER, "0"),
        (-7.0, Of.INTEGER, "-7"),
        (3.5, Of.INTEGER, None),
        (math.inf, Of.INTEGER, None),
        (math.nan, Of.INTEGER, None),
        (2.0**60, Of.INTEGER, None),
        (1.0, Of.BOOLEAN, "true"),
        (0.0, Of.BOOLEAN, "false"),
        (2.0, Of.BOOLEAN, None),
    ],
)
def test_a_number_has_a_category_s_name_where_it_is_whole(value, of, name):
    assert name == category_name(value, of)


def test_the_names_of_numbers_read_back():
    assert CategoryBins(("3", "-7"), Of.INTEGER).numbers() == (3.0, -7.0)
    assert CategoryBins(("true", "false"), Of.BOOLEAN).numbers() == (1.0, 0.0)
