"""Scores as probabilities: isotonic regression as scikit-learn has it, and taken only where it helps with other rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from podium.domain.monitoring.quality.calibration import (
    calibration_error,
    calibrator,
    fit_isotonic,
    probability,
    reliability_curve,
)
from podium.domain.monitoring.quality.tallies import Judged, tally_classes

LABELS = [1, 0, 1, 1, 0, 0, 1, 0, 1, 0]
SCORES = [0.9, 0.2, 0.7, 0.4, 0.3, 0.6, 0.8, 0.1, 0.55, 0.45]


def test_the_calibration_error_is_that_of_the_reference():
    """Vector 22."""
    assert calibration_error(SCORES, LABELS) == pytest.approx(0.24)
    assert calibration_error(SCORES, LABELS, bins=5) == pytest.approx(0.18)
    assert calibration_error([], []) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 1), st.integers(1, 8)), min_size=1, max_size=60))
def test_isotonic_regression_is_what_scikit_learn_makes_of_it(rows):
    scores, outcomes, weights = ([row[0] / 50 for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    asked = np.linspace(-0.1, 1.1, 97)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes, sample_weight=weights).predict(asked)

    learned = fit_isotonic(scores, outcomes, weights)

    assert [probability(learned, each) for each in asked] == pytest.approx(expected.tolist())
    assert list(learned.x) == sorted(set(learned.x))
    assert list(learned.y) == sorted(learned.y)


def test_steps_that_fall_a_little_are_pooled_too():
    scores, outcomes = drawn(3000, 3, bend=1)
    asked = np.linspace(0, 1, 997)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes).predict(asked)

    learned = fit_isotonic(scores, outcomes)

    assert [probability(learned, each) for each in asked] == pytest.approx(expected.tolist())


def drawn(rows, seed, bend):
    """Scores, and outcomes whose chance is the score to some power."""
    luck = np.random.default_rng(seed)
    scores = luck.random(rows)
    return scores.tolist(), (luck.random(rows) < scores**bend).astype(int).tolist()


def test_scores_that_are_no_probabilities_become_such():
    """Of rows that were not learned from."""
    learned = calibrator(*drawn(4000, 1, bend=3))
    scores, outcomes = drawn(4000, 2, bend=3)

    assert calibration_error(scores, outcomes) > 0.2
    assert calibration_error([probability(learned, each) for each in scores], outcomes) < 0.03


def test_scores_that_are_probabilities_are_mostly_left_alone():
    """On its own rows isotonic regression always looks better; on others it seldom does where there is nothing to mend."""
    runs = [drawn(500, seed, bend=1) for seed in range(20)]

    for scores, outcomes in runs:
        learned = fit_isotonic(scores, outcomes)
        assert calibration_error([probability(learned, each) for each in scores], outcomes) < 0.02
    assert sum(calibrator(*run) is None for run in runs) >= 14


def test_scores_that_are_a_little_off_are_mostly_mended():
    assert sum(calibrator(*drawn(500, seed, bend=1.7)) is not None for seed in range(20)) >= 18


def test_the_order_of_the_rows_does_not_matter():
    scores, outcomes = drawn(500, 4, bend=2)
    turned = calibrator(scores[::-1], outcomes[::-1])

    assert turned is not None
    assert turned == calibrator(scores, outcomes)


@pytest.mark.parametrize("positives", [0, 19])
def test_of_too_few_rows_of_a_class_nothing_is_learned(positives):
    assert calibrator([0.9] * 100, [1] * positives + [0] * (100 - positives)) is None


def test_no_rows_are_no_map():
    with pytest.raises(ValueError, match="there are none"):
        fit_isotonic([], [])


def test_the_reliability_curve_has_a_point_for_each_tenth_with_rows():
    judged = [Judged(None, label, [score]) for label, score in zip(LABELS, SCORES, strict=True)]
    curve = reliability_curve(tally_classes(("0", "1"), "1", judged))

    assert len(curve) == 9
    assert (curve[3].score, curve[3].share, curve[3].rows) == pytest.approx((0.425, 0.5, 2.0))
    assert curve[-1].score == 0.9
    assert sum(abs(each.score - each.share) * each.rows for each in curve) / 10 == pytest.approx(0.24)
