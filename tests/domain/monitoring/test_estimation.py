"""Quality without labels: the reference's vectors, estimates near what labels say later, and bands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.monitoring.quality.estimation import (
    Band,
    Estimate,
    estimate_classes,
    expected_confusion,
)
from podium.domain.monitoring.quality.tasks import METRICS


def estimated(chances, **known):
    return {each.metric: each for each in estimate_classes(chances, [each >= 0.5 for each in chances], **known)}


def test_evenly_spread_probabilities_are_right_three_times_in_four():
    """Vector 20."""
    found = estimated([(i + 0.5) / 1000 for i in range(1000)])

    for name in ("accuracy", "precision", "recall", "f1"):
        assert found[name].value == pytest.approx(0.75, abs=5e-6)
    assert found["roc_auc"].value == pytest.approx(0.833333, abs=5e-6)


def test_five_rows_are_estimated_as_in_the_reference():
    """Vector 20."""
    found = estimated([0.9, 0.8, 0.6, 0.3, 0.1])

    assert found["accuracy"].value == pytest.approx(0.78)
    assert found["f1"].value == pytest.approx(0.8070175439, abs=1e-10)
    assert found["precision"].value == pytest.approx(0.7666666667, abs=1e-10)
    assert found["recall"].value == pytest.approx(0.8518518519, abs=1e-10)
    assert found["roc_auc"].value == pytest.approx(0.8381642512, abs=1e-10)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5)), min_size=1, max_size=30))
def test_rows_may_come_as_bins(rows):
    """A score with a weight is so many rows with this score."""
    bins, weights = [row[0] / 20 for row in rows], [float(row[1]) for row in rows]
    single = [score for score, weight in zip(bins, weights, strict=True) for _ in range(int(weight))]

    for name, found in estimated(bins, weights=weights).items():
        one = estimated(single)[name]
        assert (found.value, found.rows) == (one.value if one.value is None else pytest.approx(one.value), one.rows)
        assert found.interval is None or found.interval == pytest.approx(one.interval, abs=1e-6)


def test_the_area_ranks_by_the_raw_scores_where_calibration_made_them_equal():
    even = estimated([0.5] * 4)["roc_auc"].value
    ranked = estimated([0.5, 0.5, 0.6, 0.6], scores=[0.1, 0.2, 0.8, 0.9])["roc_auc"].value

    assert even == 0.5
    assert ranked == pytest.approx(estimated([0.5, 0.5, 0.6, 0.6])["roc_auc"].value)
    assert estimated([0.5, 0.5, 0.6, 0.6], scores=[0.9, 0.8, 0.2, 0.1])["roc_auc"].value == pytest.approx(1 - ranked)


def test_labels_that_come_later_lie_within_the_interval():
    """Three standard errors hold 99.7 % of what labels show that are drawn by these probabilities: 5 of 200 may miss."""
    luck = np.random.default_rng(8)
    missed = {}
    for _ in range(200):
        chances = luck.beta(1, 2, 300)
        labels, said = luck.random(300) < chances, chances >= 0.5
        tp, fp, fn, tn = ((labels & said).sum(), (~labels & said).sum(), (labels & ~said).sum(), (~labels & ~said).sum())
        above = (chances[labels][:, None] > chances[~labels]).mean()
        shown = {
            "accuracy": (tp + tn) / 300,
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "roc_auc": above,
        }
        for each in estimate_classes(chances.tolist(), said.tolist()):
            low, high = each.interval
            missed[each.metric] = missed.get(each.metric, 0) + (not low <= shown[each.metric] <= high)
            assert high - low < 0.45

    assert missed.keys() == shown.keys()
    assert max(missed.values()) <= 5


def test_what_is_not_defined_is_not_estimated():
    """No row was called positive; no row is possibly one; no row at all."""
    assert estimated([0.1, 0.2])["precision"].value is None
    assert estimated([0.0, 0.0])["recall"].value is None
    assert {each.value for each in estimated([]).values()} == {None}


def test_an_estimate_always_says_that_it_is_one():
    found = estimate_classes([0.9], [True])

    assert all(each.is_estimated for each in found)
    assert {each.metric for each in found} <= {name for names in METRICS.values() for name in names}
    with pytest.raises(TypeError):
        Estimate("mae", 1.0, None, 1, is_estimated=False)


def test_the_expected_confusion_adds_up_to_all_rows():
    assert expected_confusion([0.9, 0.2], [True, False]) == pytest.approx((0.9, 0.1, 0.2, 0.8))


def test_a_figure_stays_in_its_band_or_is_worth_a_look():
    band = Band(0.77, 0.87)

    assert band.holds(0.78)
    assert not band.holds(0.76)
    assert not band.holds(0.88)
    assert Band(0.77, None).holds(1.0)
    assert Band(None, 0.87).holds(0.0)
