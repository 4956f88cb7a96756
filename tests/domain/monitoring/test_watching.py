"""From a profile and windows that it counted to findings: the way through the core, once for each thing that happens."""

import functools
import operator

import numpy as np
import pytest
from profile_world import counted, profile_of

from podium.domain.monitoring.counts import OtherProfile
from podium.domain.monitoring.drift import OWN_METHODS, Wasserstein
from podium.domain.monitoring.drift.contract import Thresholds
from podium.domain.monitoring.findings import Check, Choice, ColumnVerdict, Role, judge, watch
from podium.domain.monitoring.windows import HOUR_S, Span

HOUR = Span(0, HOUR_S)


def rows(count, seed, **changed):
    """A day of somebody's model: two numbers, mostly zeros, a category and a text."""
    draw = np.random.default_rng(seed)
    columns = {
        "age": draw.normal(40, 12, count),
        "amount": np.exp(draw.normal(3, 1, count)),
        "debt": np.where(draw.random(count) < 0.9, 0.0, draw.gamma(2, 500, count)),
        "plan": draw.choice(np.array(["basic", "pro", "team"], dtype=object), count, p=[0.6, 0.3, 0.1]),
        "note": np.array(["x" * length + str(i) for i, length in enumerate(draw.integers(5, 60, count))], dtype=object),
    }
    return columns | {name: change(columns[name]) for name, change in changed.items()}


def answers(columns):
    """What the model says: a class, and how sure it is."""
    score = 1 / (1 + np.exp((columns["age"] - 40) / 12))
    return {"classes": np.where(score > 0.5, "yes", "no").astype(object), "score": score}


TRAINED = rows(20_000, 1)
PROFILE = profile_of(TRAINED, value=answers(TRAINED)["classes"], score=answers(TRAINED)["score"])


def seen(columns, predicted=None):
    given = answers(columns) if predicted is None else predicted
    return counted(PROFILE, columns, {name: given[name] for name in PROFILE.predictions.present()})


def found(window, earlier=None, **choices):
    """All that is not as it should be."""
    judged = judge(watch(PROFILE, window, earlier, choices), HOUR)
    return {(each.name, each.check): each.verdict for each in judged if each.verdict is not ColumnVerdict.OK}


def half_empty(values):
    return np.where(np.arange(len(values)) % 2, values, None if values.dtype == object else np.nan)


def with_trial(values):
    return np.where(np.arange(len(values)) % 10, values, "trial")


def with_one_outlier(values):
    return np.where(np.arange(len(values)), values, 1e300)


def longer(values):
    return values + "y" * 30


ALERT = ColumnVerdict.ALERT


@pytest.mark.parametrize(
    ("changed", "seen_of_it"),
    [
        ({}, {}),
        ({"amount": with_one_outlier}, {}),
        ({"amount": lambda values: values * 2}, {("amount", Check.DRIFT): ALERT}),
        ({"plan": half_empty}, {("plan", Check.MISSING): ALERT}),
        ({"age": half_empty}, {("age", Check.MISSING): ALERT}),
        ({"plan": with_trial}, {("plan", Check.UNSEEN): ALERT, ("plan", Check.DRIFT): ALERT}),
        ({"note": longer}, {("note", Check.DRIFT): ALERT, ("note", Check.OUT_OF_RANGE): ALERT}),
        ({"debt": lambda values: np.where(values == 0, 100.0, values)}, {("debt", Check.DRIFT): ALERT}),
    ],
    ids=["nothing", "outlier", "doubled", "half empty", "half NaN", "new category", "longer text", "other default"],
)  # fmt: skip
def test_what_happens_to_a_column_is_found_once_and_named_right(changed, seen_of_it):
    """And nothing else is."""
    columns = rows(2000, 2, **changed)

    assert found(seen(columns, answers(rows(2000, 2)))) == seen_of_it


def test_predictions_drift_with_what_they_are_made_of():
    """The same code judges them, and tells them from a feature of that name."""
    window = seen(rows(2000, 3, age=lambda values: values + 12))
    judged = judge(watch(PROFILE, window), HOUR)

    alerts = {(each.role, each.name) for each in judged if each.verdict is ALERT and each.check is Check.DRIFT}

    assert alerts == {(Role.FEATURE, "age"), *((Role.PREDICTION, name) for name in PROFILE.predictions.present())}


@pytest.mark.parametrize("method", OWN_METHODS, ids=lambda method: method.name)
def test_any_method_judges_a_profile_s_columns(method):
    """Numbers by all of them: an outlier hides nothing and is nothing, a column of zeros is no exception."""
    choices = {name: Choice(method) for name in ("age", "amount", "debt", "note")}
    drifted = rows(2000, 4, amount=lambda values: with_one_outlier(values * 3), age=with_one_outlier)

    assert found(seen(rows(2000, 5)), **choices) == {}
    assert ("amount", Check.DRIFT) in found(seen(drifted, answers(rows(2000, 4))), **choices)
    assert ("age", Check.DRIFT) not in found(seen(drifted, answers(rows(2000, 4))), **choices)


def test_a_column_can_have_thresholds_of_its_own():
    """What nobody minds is no alert."""
    window = seen(rows(2000, 6, amount=lambda values: values * 2))

    assert found(window, amount=Choice(thresholds=Thresholds(2, 3))) == {}
    assert found(window, amount=Choice(Wasserstein(), Thresholds(0.01, 0.02))) == {("amount", Check.DRIFT): ALERT}


def test_windows_are_compared_with_each_other_too():
    """What has been other than in training for weeks does not change any more, and what comes back does."""
    doubled, again = (seen(rows(2000, seed, amount=lambda values: values * 2)) for seed in (7, 8))

    assert found(again) == {("amount", Check.DRIFT): ALERT}
    assert found(again, doubled) == {}
    assert found(seen(rows(2000, 9)), doubled) == {("amount", Check.DRIFT): ALERT}


def test_a_window_of_another_profile_is_refused():
    """Its bins are others."""
    other = counted(profile_of({"age": TRAINED["age"]}), {"age": TRAINED["age"]})

    with pytest.raises(OtherProfile):
        watch(PROFILE, other)
    with pytest.raises(OtherProfile):
        watch(PROFILE, seen(rows(600, 1)), other)


def test_counts_of_parts_add_up_to_those_of_the_window():
    """Twelve slots of the counts of a profile are judged as all of their rows at once are."""
    parts = [rows(200, seed, amount=lambda values: values * 2) for seed in range(12)]

    counts = functools.reduce(operator.add, map(seen, parts))

    together = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    assert counts == seen(together)
    assert judge(watch(PROFILE, counts), HOUR) == judge(watch(PROFILE, seen(together)), HOUR)
