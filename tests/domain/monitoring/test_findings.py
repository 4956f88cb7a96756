"""Findings: what is seen in one window, and what stands after several."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from podium.domain.monitoring.comparison import SideBySide
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.drift import OWN_METHODS, ChiSquared, KolmogorovSmirnov, PopulationStability, Wasserstein
from podium.domain.monitoring.drift.contract import Thresholds
from podium.domain.monitoring.findings import (
    Check,
    ColumnVerdict,
    Watched,
    judge,
)
from podium.domain.monitoring.guard import GuardPolicy
from podium.domain.monitoring.windows import Span
from podium.errors import Misconfigured

HOUR = Span(0, 3600)
NORMAL = stats.norm.ppf((np.arange(1000) + 0.5) / 1000)


def watched(name, reference, current, places=(), **terms):
    """A column by the counts of both sides."""
    unseen = () if places else ((reference.unseen,), (current.unseen,))
    sides = [(*side.bins, *more) for side, more in zip((reference, current), unseen or ((), ()), strict=True)]
    return Watched(name, SideBySide(*sides, tuple(places)), reference, current, **terms)


def numbers(reference, current, name="age", bins=20, **terms):
    """A column of numbers in bins of as many rows of the reference each."""
    edges = np.quantile(reference, np.arange(1, bins) / bins)
    places = tuple(np.quantile(reference, (np.arange(bins) + 0.5) / bins).tolist())
    sides = []
    for rows in (reference, current):
        known = rows[np.isfinite(rows)]
        sides.append(
            ColumnCounts(
                tuple(np.bincount(np.searchsorted(edges, known, "right"), minlength=bins).tolist()),
                len(rows) - len(known),
                below=int((known < np.min(reference)).sum()),
                above=int((known > np.max(reference)).sum()),
            )
        )
    return watched(name, *sides, places, **terms)


def categories(reference, current, **terms):
    """A column of categories: counts of each, the last of which has no bin of its own."""
    return watched("plan", *(ColumnCounts(side[:-1], unseen=side[-1]) for side in (reference, current)), **terms)


def verdicts(*columns):
    return {(each.name, each.check): each.verdict for each in judge(columns, HOUR)}


def drift(column, *policy):
    return next(each for each in judge([column], HOUR, *policy) if each.check is Check.DRIFT)


@pytest.mark.parametrize(
    ("current", "verdict"),
    [
        (NORMAL, ColumnVerdict.OK),
        (NORMAL + 0.25, ColumnVerdict.OK),
        (NORMAL + 0.5, ColumnVerdict.ALERT),
        (1.5 * NORMAL, ColumnVerdict.WARN),
        (NORMAL[::3] + 0.5, ColumnVerdict.INSUFFICIENT_DATA),
    ],
    ids=["same", "quarter", "half", "spread", "few"],
)
def test_the_verdicts_of_the_reference_s_vectors(current, verdict):
    """Vectors 2 to 5 in ten bins, and what is not judged for its few rows."""
    found = drift(numbers(NORMAL, current, bins=10))

    assert found.verdict is verdict
    assert (found.score is None) == (verdict is ColumnVerdict.INSUFFICIENT_DATA)


@pytest.mark.parametrize("method", OWN_METHODS, ids=lambda method: method.name)
def test_any_method_finds_half_a_deviation_and_lets_a_quarter_be(method):
    """The guard is the same for all; the score is the method's."""
    assert drift(numbers(NORMAL, NORMAL + 0.5, method=method)).verdict is ColumnVerdict.ALERT
    assert drift(numbers(NORMAL, NORMAL + 0.25, method=method)).verdict is ColumnVerdict.OK
    assert drift(numbers(NORMAL, NORMAL + 0.5, method=method)).method == method.name


@pytest.mark.parametrize("method", OWN_METHODS, ids=lambda method: method.name)
def test_a_hundred_thousand_rows_are_no_alarm_by_themselves(method):
    """Vector 40: whatever is significant has to be large as well."""
    many = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)

    assert drift(numbers(many, many + 0.02, method=method)).verdict is ColumnVerdict.OK


def test_a_category_that_nobody_knew_is_counted_apart():
    """Vectors 8 and 9."""
    twentieth = categories((500, 300, 150, 50, 0), (450, 300, 150, 50, 50))
    thousandth = categories((500, 300, 150, 50, 0), (499, 300, 150, 50, 1))

    assert set(verdicts(twentieth).values()) == {ColumnVerdict.ALERT, ColumnVerdict.OK}
    assert verdicts(twentieth)["plan", Check.DRIFT] is ColumnVerdict.ALERT
    assert verdicts(twentieth)["plan", Check.UNSEEN] is ColumnVerdict.ALERT
    assert set(verdicts(thousandth).values()) == {ColumnVerdict.OK}
    shares = {each.check: each.score for each in judge([thousandth], HOUR)}
    assert shares[Check.UNSEEN] == 0.001


def test_one_value_however_large_is_one_row_out_of_range():
    """Vector 16: no alarm by itself, and none that is hidden by it."""
    draw = np.random.default_rng(0)
    reference, current = draw.normal(size=2000), draw.normal(2, 1, 2000)
    odd, spoilt = draw.normal(size=2000), current.copy()
    odd[0] = spoilt[0] = 1e6

    assert set(verdicts(numbers(reference, odd)).values()) == {ColumnVerdict.OK}
    assert drift(numbers(reference, spoilt)).score == pytest.approx(drift(numbers(reference, current)).score, rel=1e-12)


def test_windows_without_drift_are_silent_and_drift_is_found():
    """Vector 17 with thirty columns: of 400 windows of 500 rows at most one alert in all, and no window of 50 is judged.

    Half a deviation is found in nine of ten columns: in twenty bins, for ten are too few for that (88 %).
    """
    silent, moved = _simulated(windows=400), _simulated(0.5, windows=30)

    assert sum(verdict is ColumnVerdict.ALERT for verdict in silent) <= 1
    assert sum(verdict is ColumnVerdict.ALERT for verdict in moved) >= 0.9 * len(moved)
    assert set(_simulated(0.5, windows=13, rows=50)) == {ColumnVerdict.INSUFFICIENT_DATA}


def _simulated(moved=0.0, windows=1, rows=500, columns=30, bins=20):
    """Verdicts on drift of windows of normal values, against references of 5,000 rows: thirty columns at a time.

    How many rows fall between a reference's quantiles is drawn at once, which has the law of drawing them one by one.
    """
    draw = np.random.default_rng(17)
    then = ColumnCounts((5000 // bins,) * bins)
    now = []
    for _ in range(columns):
        edges = np.quantile(draw.normal(size=5000), np.arange(1, bins) / bins)
        shares = np.diff(stats.norm.cdf(np.concatenate([[-np.inf], edges, [np.inf]]) - moved))
        now.append(draw.multinomial(rows, shares, windows).tolist())
    found = []
    for window in range(windows):
        wide = [watched(f"c{i}", then, ColumnCounts(tuple(now[i][window])), range(bins)) for i in range(columns)]
        found += [each.verdict for each in judge(wide, HOUR) if each.check is Check.DRIFT]
    return found


def test_p_values_are_adjusted_for_all_columns():
    """One column at 0.3 % is beyond noise by itself and within it among thirty."""
    strict = Thresholds(0.001, 0.002)
    reference, moved = ColumnCounts((500, 500)), ColumnCounts((434, 566))
    alone = watched("one", reference, moved, method=ChiSquared(), thresholds=strict)
    others = [watched(f"other {i}", reference, reference, method=ChiSquared()) for i in range(29)]

    assert drift(alone).p_value == pytest.approx(0.003, abs=1e-3)
    assert verdicts(alone)["one", Check.DRIFT] is ColumnVerdict.ALERT
    assert verdicts(alone, *others)["one", Check.DRIFT] is ColumnVerdict.OK
    among_psi = [replace(each, method=PopulationStability()) for each in others]
    assert verdicts(alone, *among_psi)["one", Check.DRIFT] is ColumnVerdict.OK


def test_the_fewest_rows_can_be_chosen():
    """Of the window and of the reference."""
    column = numbers(NORMAL, NORMAL[::4] + 2)

    assert drift(column).verdict is ColumnVerdict.INSUFFICIENT_DATA
    assert drift(column, GuardPolicy(min_rows=250)).verdict is ColumnVerdict.ALERT
    assert drift(column, GuardPolicy(min_rows=250, min_reference_rows=2000)).verdict is ColumnVerdict.INSUFFICIENT_DATA


def test_what_every_season_brings_is_no_drift():
    """Up to the PSI of 99 in 100 of the reference's own chunks, by any method."""
    for method in OWN_METHODS:
        usual = numbers(NORMAL, NORMAL + 0.5, usual_psi=0.3, method=method)
        beyond = replace(usual, usual_psi=0.1)

        assert drift(usual).verdict is ColumnVerdict.OK, method.name
        assert drift(beyond).verdict is ColumnVerdict.ALERT, method.name


def test_a_method_for_numbers_is_refused_for_categories():
    """With the column's name and a way out."""
    for method in (KolmogorovSmirnov(), Wasserstein()):
        with pytest.raises(Misconfigured, match=f"'plan' has categories.*{method.name!r}.*choose psi, js or chi2"):
            judge([categories((500, 0), (500, 0), method=method)], HOUR)


@pytest.mark.parametrize(
    ("missing_then", "missing_now", "verdict"),
    [
        (0, 0, "ok"),
        (0, 49, "ok"),
        (0, 51, "alert"),
        (0, 1000, "alert"),
        (300, 340, "ok"),
        (300, 400, "alert"),
        (900, 0, "ok"),
    ],
)
def test_missing_values_are_held_against_the_reference_s(missing_then, missing_now, verdict):
    """More by five points and by more than chance."""
    column = watched(
        "x", ColumnCounts((1000 - missing_then,), missing_then), ColumnCounts((1000 - missing_now,), missing_now)
    )

    assert verdicts(column)["x", Check.MISSING] == verdict


def test_a_dead_upstream_is_missing_and_not_drift():
    """Every row without a value: one alert, and of drift nobody knows."""
    column = numbers(NORMAL, np.full(1000, np.nan))

    assert verdicts(column) == {
        ("age", Check.DRIFT): ColumnVerdict.INSUFFICIENT_DATA,
        ("age", Check.MISSING): ColumnVerdict.ALERT,
        ("age", Check.OUT_OF_RANGE): ColumnVerdict.INSUFFICIENT_DATA,
    }


def test_rare_categories_of_the_reference_are_expected_again():
    """A profile counts them as unseen, so as many are no news."""
    assert verdicts(categories((900, 100), (870, 130)))["plan", Check.UNSEEN] is ColumnVerdict.OK
    assert verdicts(categories((900, 100), (800, 200)))["plan", Check.UNSEEN] is ColumnVerdict.ALERT


def test_a_small_reference_has_a_narrow_range():
    """The next values of the same kind lie beyond that of a hundred rows now and then, and of ten thousand hardly."""
    draw = np.random.default_rng(8)
    small, large = draw.normal(size=200), draw.normal(size=20_000)
    later = draw.normal(size=5000)

    assert verdicts(numbers(small, later))["age", Check.OUT_OF_RANGE] is ColumnVerdict.OK
    assert verdicts(numbers(large, later))["age", Check.OUT_OF_RANGE] is ColumnVerdict.OK
    assert verdicts(numbers(large, later * 2))["age", Check.OUT_OF_RANGE] is ColumnVerdict.ALERT


def test_whatever_was_counted_every_check_has_a_finding():
    """Empty bins, one bin, places of any size, a million rows against six hundred: a figure from 0, and no error."""
    draw = np.random.default_rng(3)
    for turn in range(400):
        bins = int(draw.integers(1, 25))
        sides = [draw.integers(0, 10 ** int(draw.integers(3, 9)), bins) * (draw.random(bins) < 0.7) for _ in range(2)]
        places = np.sort(draw.normal(size=bins) * 10.0 ** draw.integers(-300, 300, bins)).tolist() if turn % 3 else ()
        method = OWN_METHODS[turn % 5] if places else PopulationStability()
        counts = [ColumnCounts(tuple(side.tolist()), int(draw.integers(0, 999))) for side in sides]

        found = judge([watched("x", *counts, places, method=method)], HOUR)

        assert len(found) == 3
        assert all(each.score is None or 0 <= each.score < np.inf for each in found), found
