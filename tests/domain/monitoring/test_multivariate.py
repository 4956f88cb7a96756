"""Columns together: what no single one of them shows."""

from dataclasses import replace

import numpy as np
import pytest
from profile_world import counted, profile_of
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from podium.domain.monitoring.findings import ColumnVerdict, judge, watch
from podium.domain.monitoring.multivariate import (
    can_be_together,
    fitted,
    judge_separation,
    judge_together,
    limits,
)
from podium.domain.monitoring.reconstruction import encoded, errors
from podium.domain.monitoring.windows import Span

MIX = np.array([[1.0, 0.9, -0.8, 0.5, 0.0, 0.0, 0.3, 0.0], [0.0, 0.3, 0.4, -0.7, 1.0, 0.8, 0.0, 0.2]])
NAMES = [f"c{i}" for i in range(8)]


def mixed(rows, draw):
    """Eight columns of two sources and noise."""
    return draw.normal(size=(rows, 2)) @ MIX + 0.5 * draw.normal(size=(rows, 8))


def torn(rows, draw):
    """The same rows but for the first column, whose values are each another row's."""
    return np.column_stack([draw.permutation(rows[:, 0]), rows[:, 1:]])


DRAW = np.random.default_rng(42)
REFERENCE, NOW = mixed(4000, DRAW), mixed(1000, DRAW)
TORN = torn(NOW, DRAW)
TOGETHER = fitted(NAMES, REFERENCE)


def test_it_says_what_nannyml_says():
    """Vector 21 on rows that are drawn here; figures of DataReconstructionDriftCalculator, NannyML 0.13.1, ten chunks."""
    assert errors(TOGETHER, NOW).mean() == pytest.approx(1.4500968443, abs=3e-9)
    assert errors(TOGETHER, TORN).mean() == pytest.approx(1.7495319258, abs=3e-9)
    assert limits(TOGETHER, 4000, 1000) == pytest.approx((1.4198390298, 1.5210797467), abs=3e-9)


def test_only_the_columns_together_show_that_they_were_torn_apart():
    """Each by itself has the values that it had."""
    columns, window = dict(zip(NAMES, REFERENCE.T, strict=True)), dict(zip(NAMES, TORN.T, strict=True))
    profile = profile_of(columns)
    alone = judge(watch(profile, counted(profile, window)), Span(0, 3600))

    assert {each.verdict for each in alone} == {ColumnVerdict.OK}
    assert max(each.psi for each in alone if each.psi is not None) < 0.1
    assert judge_together(TOGETHER, 4000, NOW).verdict is ColumnVerdict.OK
    assert judge_together(TOGETHER, 4000, TORN).verdict is ColumnVerdict.ALERT


def test_the_directions_are_those_of_scikit_learn():
    """With values missing, and a column that stands still."""
    rows = np.column_stack([REFERENCE, np.full(len(REFERENCE), 7.0)])
    rows[::9, 2] = np.nan
    filled = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
    scaler = StandardScaler().fit(filled)
    pca = PCA(n_components=0.65, svd_solver="full").fit(scaler.transform(filled))
    back = pca.inverse_transform(pca.transform(scaler.transform(filled)))

    together = fitted([*NAMES, "still"], rows)

    assert len(together.components) == pca.n_components_
    expected = np.linalg.norm(scaler.transform(filled) - back, axis=1)
    np.testing.assert_allclose(errors(together, rows), expected, atol=1e-7)


def test_windows_that_nothing_happened_in_are_no_alert():
    """Of 300, few are a warning and none an alert; each that was torn apart is one."""
    draw = np.random.default_rng(7)
    quiet = [judge_together(TOGETHER, 4000, mixed(500, draw)).verdict for _ in range(300)]
    loud = [judge_together(TOGETHER, 4000, torn(mixed(500, draw), draw)).verdict for _ in range(40)]

    assert quiet.count(ColumnVerdict.WARN) <= 12
    assert quiet.count(ColumnVerdict.ALERT) == 0
    assert set(loud) == {ColumnVerdict.ALERT}


def test_fewer_rows_have_wider_limits_and_too_few_are_not_judged():
    """A chunk of the reference had 400."""
    low, high = limits(TOGETHER, 4000, 100)

    assert high - low == pytest.approx(2 * np.subtract(*limits(TOGETHER, 4000, 400)[::-1]))
    assert limits(TOGETHER, 4000, 5000) == limits(TOGETHER, 4000, 400)
    few = judge_together(TOGETHER, 4000, TORN[:499])
    assert (few.score, few.verdict) == (None, ColumnVerdict.INSUFFICIENT_DATA)
    assert judge_together(TOGETHER, 4000, TORN[:0]).verdict is ColumnVerdict.INSUFFICIENT_DATA


COLUMNS = {
    "a": REFERENCE[:, 0],
    "b": REFERENCE[:, 1],
    "still": np.full(4000, 3.0),
    "plan": np.where(REFERENCE[:, 2] > 0, "pro", "basic").astype(object),
    "note": np.array([f"note {i}" for i in range(4000)], dtype=object),
}
PROFILE = profile_of(COLUMNS)


def test_columns_become_numbers():
    """A category its share, what is missing the usual, and a number no more than 98 in 100 of the reference had."""
    assert can_be_together(PROFILE.columns) == ["a", "b", "plan"]
    share = np.mean(COLUMNS["plan"] == "pro")
    window = {
        "a": [0.5, np.nan, 1e300, -np.inf],
        "b": [None, "1", "word", 0.0],
        "plan": ["pro", "basic", "other", None],
    }

    rows = encoded(PROFILE.columns, ["a", "b", "plan"], window)

    highest = PROFILE.columns["a"].quantiles[-1]
    np.testing.assert_allclose(rows[:, 0], [0.5, np.nan, highest, np.nan])
    np.testing.assert_allclose(rows[:, 1], [np.nan, 1.0, np.nan, 0.0])
    np.testing.assert_allclose(rows[:, 2], [share, 1 - share, 0.0, max(share, 1 - share)])


def test_one_value_far_out_is_no_alarm():
    """It would be a mean error of 1e297 otherwise."""
    together = fitted(["a", "b", "plan"], encoded(PROFILE.columns, ["a", "b", "plan"], COLUMNS))
    window = {name: values[:1000].copy() for name, values in COLUMNS.items()}
    window["a"][0] = 1e300

    rows = encoded(PROFILE.columns, ["a", "b", "plan"], window)

    assert judge_together(together, 4000, rows).verdict is ColumnVerdict.OK


def test_what_is_fitted_is_kept_in_the_profile_and_read_again():
    """To the last bit, and the same whichever way directions point."""
    from podium.domain.monitoring.profile_reading import read_profile

    kept = replace(PROFILE, multivariate=TOGETHER)

    assert read_profile(kept.to_json().encode()).multivariate == TOGETHER
    assert all(max(direction, key=abs) > 0 for direction in TOGETHER.components)
    assert fitted(NAMES, REFERENCE) == TOGETHER


def test_rows_to_come_are_as_far_as_those_that_were_held_out():
    """Thirty columns without anything in common: the rows that directions were found among are nearer to them by 3 %."""
    draw = np.random.default_rng(3)
    names, rows, to_come = [f"c{i}" for i in range(30)], draw.normal(size=(5000, 30)), draw.normal(size=(20_000, 30))

    inside, held_out = fitted(names, rows), fitted(names, rows, is_held_out=True)

    assert held_out.components == inside.components
    assert errors(held_out, to_come).mean() == pytest.approx(held_out.error_mean, rel=0.005)
    assert errors(inside, to_come).mean() > 1.02 * inside.error_mean


@pytest.mark.parametrize(("names", "rows"), [(["a"], 100), ([], 100), (["a", "b"], 19)])
def test_what_cannot_be_looked_at_together_is_not_fitted(names, rows):
    """One column goes with nothing, and two rows to a chunk are the least."""
    assert fitted(names, np.zeros((rows, len(names)))) is None


def test_two_columns_are_enough_and_columns_that_stand_still_do_no_harm():
    """One direction of two is kept, so that there is something to be far from."""
    pair = fitted(["a", "b"], REFERENCE[:, :2])
    still = fitted(["a", "b"], np.ones((100, 2)))

    assert len(pair.components) == 1
    assert judge_together(pair, 4000, torn(NOW[:, :2], DRAW)).verdict is ColumnVerdict.ALERT
    assert judge_together(still, 100, np.ones((600, 2))).verdict is ColumnVerdict.OK


@pytest.mark.parametrize(
    ("area", "reference_rows", "rows", "verdict"),
    [
        (0.5, 5000, 5000, "ok"),
        (0.54, 5000, 5000, "ok"),
        (0.56, 5000, 5000, "warn"),
        (0.66, 5000, 5000, "alert"),
        (0.56, 150, 500, "ok"),
        (0.2, 5000, 5000, "ok"),
        (0.9, 5000, 499, "insufficient_data"),
        (0.9, 99, 5000, "insufficient_data"),
    ],
)
def test_a_classifier_that_tells_now_from_then_found_drift(area, reference_rows, rows, verdict):
    """By more than guessing does with so many rows."""
    assert judge_separation(area, reference_rows, rows).verdict == verdict


def test_guessing_is_rarely_beyond_its_noise():
    """One in a hundred guesses of 300 and 600 rows; and an area is no percentage."""
    draw = np.random.default_rng(11)
    ranks = draw.random((300, 900)).argsort(axis=1).argsort(axis=1)[:, 300:].sum(axis=1)
    areas = (ranks - 600 * 599 / 2) / (300 * 600)

    assert areas.mean() == pytest.approx(0.5, abs=0.01)
    assert sum(areas >= judge_separation(0.5, 300, 600).high) <= 3 + 4 * np.sqrt(3)
    with pytest.raises(ValueError, match="from 0 to 1, got 65"):
        judge_separation(65, 300, 600)
