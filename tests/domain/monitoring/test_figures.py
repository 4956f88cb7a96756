"""Figures of quality: the reference's vectors, scikit-learn as an oracle, and intervals that hold what they should."""

import json
import math
import random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from podium.domain.monitoring.quality.baseline import BaselineRule, held_against, shortfalls
from podium.domain.monitoring.quality.figures import Figure, confusion_of, error_quantiles, figures
from podium.domain.monitoring.quality.intervals import area, wilson
from podium.domain.monitoring.quality.storing import as_json, tally_of
from podium.domain.monitoring.quality.tallies import Judged, LabelTally, tally_classes, tally_numbers
from podium.domain.monitoring.quality.tasks import LAWS, METRICS, Task

LABELS = [1, 0, 1, 1, 0, 0, 1, 0, 1, 0]
SCORES = [0.9, 0.2, 0.7, 0.4, 0.3, 0.6, 0.8, 0.1, 0.55, 0.45]
WEIGHTS = st.integers(1, 256).map(lambda units: units / 64)


def measured(tally, level=0.95):
    return {each.metric: each for each in figures(tally, level)}


def values(tally):
    return {name: each.value for name, each in measured(tally).items()}


def binary(labels, scores, weights=None):
    rows = zip(labels, scores, weights or [1.0] * len(labels), strict=True)
    return tally_classes(("0", "1"), "1", [Judged(None, label, [score], weight) for label, score, weight in rows])


def test_a_binary_model_has_the_figures_of_the_reference():
    """Vector 22."""
    found = values(binary(LABELS, SCORES))

    assert {name: found[name] for name in ("accuracy", "precision", "recall", "f1", "specificity")} == pytest.approx(
        dict.fromkeys(("accuracy", "precision", "recall", "f1", "specificity"), 0.8)
    )
    assert found["roc_auc"] == pytest.approx(0.88, abs=1e-12)
    assert found["average_precision"] == pytest.approx(0.9028571429, abs=1e-10)
    assert found["log_loss"] == pytest.approx(0.4398613487, abs=1e-10)
    assert found["brier"] == pytest.approx(0.1405, abs=1e-12)
    assert found["ece"] == pytest.approx(0.24, abs=1e-12)


def test_numbers_have_the_figures_of_the_reference():
    """Vector 23."""
    judged = [Judged(said, true) for said, true in zip([2.5, 0, 2, 8], [3, -0.5, 2, 7], strict=True)]
    found = values(tally_numbers(judged))

    assert (found["mae"], found["bias"]) == (0.5, 0.25)
    assert found["rmse"] == pytest.approx(0.6123724357, abs=1e-10)
    assert found["r2"] == pytest.approx(0.9486081370, abs=1e-10)
    assert found["mape"] == pytest.approx(0.3273809524, abs=1e-10)


def test_a_rate_has_the_interval_of_the_reference():
    """Vector 23."""
    assert wilson(0.9, 100) == pytest.approx((0.8256343385, 0.9447708629), abs=1e-10)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_bins_keep_the_ranks_of_scores_however_small_all_of_them_are(scale):
    """Vector 24; the second as of a model of rare events."""
    luck = np.random.default_rng(3)
    labels = luck.random(20_000) < 0.3
    scores = scale / (1 + np.exp(-luck.normal(1.5 * labels - 0.75, 1.0)))

    found = measured(binary(labels.astype(int).tolist(), scores.tolist()))["roc_auc"]

    exact = oracle.roc_auc_score(labels, scores)
    assert found.value == pytest.approx(exact, abs=1e-4 if scale == 1 else 3e-3)
    assert found.interval[0] < exact < found.interval[1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40), WEIGHTS), min_size=1, max_size=60))
def test_a_binary_model_is_as_good_as_scikit_learn_says(rows):
    """Scores that lie in bins of their own, with weights."""
    labels, scores, weights = ([row[0] for row in rows], [row[1] / 40 for row in rows], [row[2] for row in rows])
    said = [int(score >= 0.5) for score in scores]
    known = {"sample_weight": weights}

    found = values(binary(labels, scores, weights))

    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, said, **known))
    for name, function in (("precision", oracle.precision_score), ("recall", oracle.recall_score), ("f1", oracle.f1_score)):
        expected = function(labels, said, zero_division=np.nan, **known)
        assert found[name] is None if math.isnan(expected) else found[name] == pytest.approx(expected)
    assert found["log_loss"] == pytest.approx(oracle.log_loss(labels, scores, labels=[0, 1], **known))
    assert found["brier"] == pytest.approx(oracle.brier_score_loss(labels, scores, labels=[0, 1], pos_label=1, **known))
    if len(set(labels)) == 2:
        assert found["roc_auc"] == pytest.approx(oracle.roc_auc_score(labels, scores, **known))
        assert found["average_precision"] == pytest.approx(oracle.average_precision_score(labels, scores, **known))
    else:
        assert found["roc_auc"] is None


def chances(parts):
    whole = sum(parts)
    return [part / whole for part in parts]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.integers(1, 9), min_size=3, max_size=3).map(chances), WEIGHTS),
        min_size=1,
        max_size=40,
    )
)
def test_a_model_of_several_classes_is_as_good_as_scikit_learn_says(rows):
    labels, scores, weights = ([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    said = [each.index(max(each)) for each in scores]
    judged = [
        Judged(one, label, each, weight) for one, label, each, weight in zip(said, labels, scores, weights, strict=True)
    ]
    known = {"sample_weight": weights}

    found = values(tally_classes(("0", "1", "2"), None, judged))

    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, said, **known))
    for name, function in (("precision", oracle.precision_score), ("recall", oracle.recall_score), ("f1", oracle.f1_score)):
        expected = function(labels, said, average="macro", zero_division=0, **known)
        assert found[f"{name}_macro"] == pytest.approx(expected)
    assert found["f1_weighted"] == pytest.approx(
        oracle.f1_score(labels, said, average="weighted", zero_division=0, **known)
    )
    assert found["log_loss"] == pytest.approx(oracle.log_loss(labels, scores, labels=[0, 1, 2], **known))
    assert found["brier"] == pytest.approx(
        oracle.brier_score_loss(labels, scores, labels=[0, 1, 2], scale_by_half=False, **known)
    )
    assert (found["roc_auc_macro"] is None) == (len(set(labels)) < 3)


def test_the_areas_of_several_classes_are_one_against_the_rest():
    luck = np.random.default_rng(1)
    labels = luck.integers(0, 3, 3000)
    scores = luck.dirichlet(np.ones(3), 3000) + 0.7 * np.eye(3)[labels]
    scores /= scores.sum(axis=1, keepdims=True)

    weights = luck.integers(1, 257, 3000) / 64

    rows = zip(labels, scores, weights.tolist(), strict=True)
    found = measured(tally_classes(("0", "1", "2"), None, [Judged(None, *each) for each in rows]))

    exact = oracle.roc_auc_score(labels, scores, multi_class="ovr", average="macro", sample_weight=weights)
    assert found["roc_auc_macro"].value == pytest.approx(exact, abs=2e-4)
    assert found["roc_auc_macro"].interval[0] < exact < found["roc_auc_macro"].interval[1]
    assert found["log_loss"].value == pytest.approx(oracle.log_loss(labels, scores, sample_weight=weights))


NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, WEIGHTS), min_size=2, max_size=40), st.sampled_from([0.0, 1e12]))
def test_a_model_of_numbers_is_as_good_as_scikit_learn_says(rows, offset):
    """Also far from 0, where sums of squares in floats would lose everything."""
    said, true, weights = ([row[0] + offset for row in rows], [row[1] + offset for row in rows], [row[2] for row in rows])
    known = {"sample_weight": weights}

    found = values(tally_numbers([Judged(*pair, weight=each) for *pair, each in zip(said, true, weights, strict=True)]))

    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(true, said, **known))
    assert found["rmse"] == pytest.approx(oracle.root_mean_squared_error(true, said, **known))
    if np.std(true) > 1e-3:
        assert found["r2"] == pytest.approx(oracle.r2_score(true, said, **known), rel=1e-6, abs=1e-6)


def test_errors_have_quantiles():
    luck = np.random.default_rng(2)
    errors = luck.lognormal(0, 2, 5000) * luck.choice([-1, 1], 5000)
    tally = tally_numbers([Judged(error, 0.0) for error in errors.tolist()])

    for share, found in zip((0.05, 0.25, 0.75, 0.95), error_quantiles(tally, (0.05, 0.25, 0.75, 0.95)), strict=True):
        assert found == pytest.approx(np.quantile(errors, share, method="inverted_cdf"), rel=0.016)


JUDGED = st.builds(
    Judged,
    st.sampled_from([None, 0, 1, True, "1", "2", "odd", math.nan]),
    st.sampled_from([None, 0, 1, 1.0, "2", "odd"]),
    st.one_of(st.none(), st.lists(st.integers(1, 9), min_size=3, max_size=3).map(chances), st.just([0.5, None, 7])),
    WEIGHTS,
)
MEASURED = st.builds(
    Judged, st.floats(), st.one_of(st.floats(), st.sampled_from(["x", None, True, 10**400])), weight=WEIGHTS
)


@settings(max_examples=50, deadline=None)
@given(st.lists(JUDGED, max_size=20), st.lists(MEASURED, max_size=20), st.integers(0, 20))
def test_tallies_add_up_in_any_order_and_leave_nothing_when_taken_away(classes, numbers, cut):
    """To the bit, whatever floats there are: a correction is the old row taken away and the new one added."""
    for tally, rows in ((lambda rows: tally_classes(("0", "1", "2"), None, rows), classes), (tally_numbers, numbers)):
        first, second, whole = tally(rows[:cut]), tally(rows[cut:]), tally(rows)

        assert first + second == second + first == whole
        assert whole - first == second
        assert whole - whole == tally([])
        assert tally_of(json.loads(json.dumps(as_json(whole)))) == whole
        for figure in figures(whole):
            assert figure.value is None or math.isfinite(figure.value)
            assert figure.interval is None or all(map(math.isfinite, figure.interval))


def test_a_binary_model_may_give_the_scores_of_both_classes():
    both = [Judged(None, label, [1 - score, score]) for label, score in zip(LABELS, SCORES, strict=True)]
    unsure = [Judged(1, 1, [0.5, 0.9]), Judged(1, 1, [0.5, None]), Judged(1, 1, [])]

    assert tally_classes(("0", "1"), "1", both) == binary(LABELS, SCORES)
    assert tally_classes(("0", "1"), "1", unsure).scored[0] == 0


def test_a_damaged_document_is_no_tally():
    document = as_json(binary([1], [0.5]))

    for damage in (
        {"kind": "rows"},
        {"confusion": {"cells": 3}},
        {"rows": 1.5},
        {"weight": {"whole": "0y"}},
    ):
        with pytest.raises(ValueError, match=r"kind|no tally"):
            tally_of(document | damage)
    with pytest.raises(ValueError, match="reliability"):
        tally_of({name: each for name, each in document.items() if name != "reliability"})
    labels = LabelTally(predicted=1 << 60, matched=3, delays={5: 3})
    assert tally_of(json.loads(json.dumps(as_json(labels)))) == labels


def test_truth_values_may_be_said_as_numbers():
    """By labels, where the profile's classes are called false and true."""
    tally = tally_classes(("false", "true"), "true", [Judged(True, 1), Judged("false", False), Judged(0, 1.0)])

    assert confusion_of(tally, 1) == (1, 0, 1, 1)


def test_what_was_never_added_cannot_be_taken_away():
    tally = binary([1, 0], [0.9, 0.1])

    with pytest.raises(ValueError, match="cannot be taken away"):
        tally - binary([0], [0.9])
    with pytest.raises(ValueError, match="count different things"):
        tally + tally_classes(("0", "2"), "2", [])


def test_a_label_that_the_model_does_not_know_makes_a_prediction_wrong():
    tally = tally_classes(("a", "b"), None, [Judged("a", "a"), Judged("a", "c"), Judged("c", "c"), Judged("b", None)])

    assert (tally.rows, tally.unusable) == (3, 1)
    assert values(tally)["accuracy"] == pytest.approx(1 / 3)
    assert values(tally_classes(("a", "b"), None, [Judged("a", "c", [1.0, 0.0])]))["brier"] == 2.0


def test_figures_that_mean_nothing_have_no_value():
    """A model that never says yes has no precision, rather than one of 0; and nothing at all has no figure."""
    silent = values(binary([0, 1], [0.1, 0.2]))

    assert silent["precision"] is None
    assert silent["recall"] == 0.0
    assert set(values(binary([], [])).values()) == set(values(tally_numbers([])).values()) == {None}
    assert values(tally_numbers([Judged(1.0, 2.0), Judged(2.0, 2.0)]))["r2"] is None


def test_the_figures_of_each_task_are_those_that_are_promised():
    tallies = {
        Task.BINARY: binary(LABELS, SCORES),
        Task.MULTICLASS: tally_classes(("0", "1"), None, [Judged(0, 1)]),
        Task.REGRESSION: tally_numbers([Judged(0, 1)]),
    }

    assert {task: tuple(values(tally)) for task, tally in tallies.items()} == METRICS
    assert {name for names in METRICS.values() for name in names} == LAWS.keys()


def test_the_confusion_is_counted_by_weight():
    assert confusion_of(binary([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1], [2, 1, 0.5, 4]), 1) == (2, 1, 0.5, 4)


def test_a_weight_must_be_one():
    for weight in (0, -1, math.nan, math.inf, 1e-9):
        with pytest.raises(ValueError, match="weight"):
            tally_numbers([Judged(1.0, 1.0, weight=weight)])


def outcomes(luck, rows):
    """Labels and scores of a calibrated model; numbers with errors that are wider where they are larger."""
    scores = luck.beta(1.5, 1.5, rows)
    true = luck.gamma(2.0, 1.0, rows)
    return (
        (luck.random(rows) < scores).astype(int).tolist(),
        scores.tolist(),
        true,
        true + luck.normal(0.1, 0.2 + 0.2 * true),
    )


def test_intervals_hold_the_true_figure_about_as_often_as_they_say():
    """Nine in ten, of 60 samples of 300 rows, give or take luck; the truth is that of 12,000."""
    luck = np.random.default_rng(11)

    def tallied(rows):
        labels, scores, true, said = outcomes(luck, rows)
        shares = [[1 - score, score] for score in scores]
        several = [Judged(None, label, each) for label, each in zip(labels, shares, strict=True)]
        numbers = [Judged(*pair) for pair in zip(said.tolist(), true.tolist(), strict=True)]
        return binary(labels, scores), tally_classes(("0", "1"), None, several), tally_numbers(numbers)

    truth = [values(tally) for tally in tallied(12_000)]
    held, samples = {}, 60
    for _ in range(samples):
        for place, tally in enumerate(tallied(300)):
            for name, each in measured(tally, 0.9).items():
                if each.interval is not None:
                    low, high = each.interval
                    held[place, name] = held.get((place, name), 0) + (low <= truth[place][name] <= high)

    assert len(held) == 9 + 8 + 5
    assert {name: count / samples for name, count in held.items() if count < 0.78 * samples} == {}
    assert sum(held.values()) < 0.97 * samples * len(held)


def spread(interval):
    return (interval[1] - interval[0]) / 2 / NormalDist().inv_cdf(0.975)


def test_intervals_are_as_wide_as_leaving_out_each_row_says():
    """The jackknife (Tukey, 1958) knows nothing of formulas; the names are those of figures that are smooth in the rows."""
    luck = np.random.default_rng(21)
    labels = luck.choice(3, 600, p=[0.6, 0.3, 0.1])
    said = np.where(luck.random(600) < 0.75, labels, luck.choice(3, 600, p=[0.2, 0.7, 0.1]))
    true = luck.gamma(2.0, 1.0, 600)
    close = true + luck.normal(0.1, 0.2 + 0.3 * true)
    classes = [Judged(*pair) for pair in zip(said.tolist(), labels.tolist(), strict=True)]
    numbers = [Judged(*pair) for pair in zip(close.tolist(), true.tolist(), strict=True)]

    for tally, rows, names in (
        (lambda rows: tally_classes(("0", "1", "2"), None, rows), classes, METRICS[Task.MULTICLASS][:5]),
        (tally_numbers, numbers, METRICS[Task.REGRESSION]),
    ):
        whole = tally(rows)
        without = [values(whole - tally([row])) for row in rows]
        found = measured(whole)
        for name in names:
            left = np.array([each[name] for each in without])
            error = math.sqrt(599 / 600 * ((left - left.mean()) ** 2).sum())
            assert spread(found[name].interval) == pytest.approx(error, rel=0.04), name


def test_an_area_is_as_unsure_as_the_rows_that_share_a_bin():
    """Ranks within a bin are not known."""
    found = measured(binary([1, 0] * 500, [0.5001, 0.5002] * 500))["roc_auc"]

    assert (found.value, found.interval) == (0.5, (0.0, 1.0))


def test_an_interval_has_a_width_even_where_everything_is_right():
    sure = measured(binary([1, 0] * 20, [0.9, 0.1] * 20))

    assert sure["roc_auc"].value == 1.0
    assert 0.85 < sure["roc_auc"].interval[0] < 0.97
    assert 0.85 < sure["accuracy"].interval[0] < 0.97
    perfect = measured(tally_classes(("a", "b"), None, [Judged("a", "a")] * 38 + [Judged("b", "b")] * 2))
    assert perfect["recall_macro"].interval[0] < 0.75
    assert area(0.5, 50, 50)[0] == pytest.approx(1 - area(0.5, 50, 50)[1])


@pytest.mark.parametrize(
    ("metric", "value", "interval", "rows", "baseline", "verdict"),
    [
        ("accuracy", 0.86, (0.84, 0.88), 2000, 0.90, "ok"),
        ("accuracy", 0.85, (0.83, 0.87), 2000, 0.90, "alert"),
        ("accuracy", 0.85, (0.79, 0.91), 2000, 0.90, "warn"),
        ("accuracy", 0.10, (0.05, 0.15), 499, 0.90, "insufficient_data"),
        ("precision", None, None, 2000, 0.90, "insufficient_data"),
        ("mae", 1.04, (1.01, 1.07), 2000, 1.0, "ok"),
        ("mae", 1.06, (1.03, 1.09), 2000, 1.0, "alert"),
        ("mae", 1.06, (0.97, 1.15), 2000, 1.0, "warn"),
        ("log_loss", 0.1, (0.05, 0.15), 2000, 0.0, "alert"),
        ("ece", 0.2, None, 2000, 0.1, "warn"),
    ],
)
def test_a_figure_is_worse_than_its_baseline_only_where_luck_does_not_explain_it(
    metric, value, interval, rows, baseline, verdict
):
    assert held_against(Figure(metric, value, interval, rows), baseline).verdict == verdict


def test_a_part_of_nothing_is_no_baseline():
    """Neither of a bias nor of an R squared below 0."""
    found = (Figure("bias", 5.0, (4.9, 5.1), 900), Figure("r2", -5.0, (-6, -4), 900), Figure("mae", 9.0, (8, 10), 900))

    assert [each.figure.metric for each in shortfalls(found, {"bias": 0.1, "r2": -0.1, "mae": 1.0})] == ["mae"]
    assert held_against(found[2], 8.9, BaselineRule(kept=0.999)).verdict == "warn"


def test_a_good_model_is_seldom_found_worse_and_a_worse_one_nearly_always():
    """500 rows of 1,000 windows: 90 % right as before, then 80 %."""
    luck = random.Random(5)

    def alarms(chance):
        found = 0
        for _ in range(1000):
            hits = sum(luck.random() < chance for _ in range(500))
            found += held_against(Figure("accuracy", hits / 500, wilson(hits / 500, 500), 500), 0.9).verdict == "alert"
        return found

    assert alarms(0.9) <= 2
    assert alarms(0.8) >= 990
