"""Quality of a window without labels: near what labels say, the profile's where nothing moved, none where it must."""

from dataclasses import replace

import numpy as np
import pytest

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.profile import Calibration, Profile, Source, SourceKind
from podium.domain.monitoring.profiling import Profiler
from podium.domain.monitoring.quality.reference import measured
from podium.domain.monitoring.quality.tasks import SaidTask, Task
from podium.domain.monitoring.quality.unlabelled import estimates_of


def drawn(rows: int, seed: int, shape: tuple[float, float] = (0.6, 0.9), truth=lambda chance: chance):
    """Scores, classes that they lead to, and what was true."""
    random = np.random.default_rng(seed)
    score = random.beta(*shape, rows)
    return score, (score >= 0.5).astype(int), (random.random(rows) < truth(score)).astype(int)


def profile_of(told, score, labels=None, *, is_classifier: bool = True) -> Profile:
    profiler = Profiler(is_classifier=is_classifier)
    profiler.add({"x": np.arange(len(told)) % 7}, told, score)
    made = profiler.profile(Source(SourceKind.VALIDATION, 0), "2026-01-01T00:00:00Z")
    if labels is None:
        return made
    found = measured(told, score, labels, is_classes=is_classifier)
    return replace(made, quality=found.quality, calibration=found.calibration)


def window_of(profile: Profile, told, score=None):
    counter = BatchCounter(Layout(profile, b"\0"))
    kinds = {"classes" if score is not None else "value": told} | ({} if score is None else {"score": score})
    counter.add(len(told), {"x": np.arange(len(told)) % 7}, kinds)
    return counter.counts()


def figures_of(profile, window, **known):
    found = estimates_of(profile, window, **known)
    assert found.why == ""
    return {each.estimate.metric: each for each in found.figures}


@pytest.mark.parametrize("truth", [lambda chance: chance, lambda chance: chance**2, np.sqrt])
def test_an_estimate_holds_what_labels_of_the_window_say(truth):
    """Scores that are chances, and ones that calibration makes such; the window is less sure than the reference was."""
    score, told, labels = drawn(6_000, 1, truth=truth)
    profile = profile_of(told, score, labels)
    score, told, labels = drawn(6_000, 2, (1.2, 1.2), truth)
    actual = measured(told, score, labels, is_classes=True).quality

    found = figures_of(profile, window_of(profile, told, score))

    assert found.keys() == {"accuracy", "precision", "recall", "specificity", "f1", "roc_auc"}
    for metric, each in found.items():
        low, high = each.estimate.interval
        assert low - 0.012 <= actual[metric] <= high + 0.012, metric
        assert each.estimate.rows == 6_000
    assert actual["accuracy"] < profile.quality["accuracy"] - 0.015


def test_scores_that_lie_as_they_did_give_the_figures_of_the_profile():
    """To the digit, however coarse the bins are."""
    score, told, labels = drawn(3000, 3, (0.05, 0.3))
    profile = profile_of(told, score, labels)

    found = figures_of(profile, window_of(profile, told, score))

    for metric, each in found.items():
        assert each.estimate.value == pytest.approx(profile.quality[metric], abs=1e-12)
        assert each.baseline == profile.quality[metric]
        assert each.is_usual


def test_what_a_model_calls_positive_is_counted_and_not_guessed_from_one_half():
    """A threshold of a fifth, as rare events have: the highest scores are those that were called positive."""
    score, _, labels = drawn(6_000, 4)
    told = (score >= 0.2).astype(int)
    profile = profile_of(told, score, labels)
    later, _, actual = drawn(6_000, 5, (1.2, 2.0))
    said = (later >= 0.2).astype(int)

    found = figures_of(profile, window_of(profile, said, later))

    for metric in ("recall", "precision", "specificity"):
        is_right = measured(said, later, actual, is_classes=True).quality[metric]
        assert found[metric].estimate.value == pytest.approx(is_right, abs=0.03)


def test_a_model_that_answers_the_chance_itself_is_estimated_too():
    score, _, labels = drawn(6_000, 6)
    profile = profile_of(score, None, labels, is_classifier=False)
    later, _, actual = drawn(6_000, 7, (1.2, 1.2))

    found = figures_of(profile, window_of(profile, later))

    by_labels = measured(later, None, actual, is_classes=False).quality
    assert found["roc_auc"].estimate.value == pytest.approx(by_labels["roc_auc"], abs=0.03)


def test_of_more_classes_accuracy_alone_is_estimated():
    """By the chance of the class that was told."""
    random = np.random.default_rng(8)

    def of(alpha: float):
        chances = random.dirichlet([alpha] * 3, 6_000)
        told = chances.argmax(axis=1)
        labels = (random.random(6_000)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
        return told, chances.max(axis=1), labels

    told, score, labels = of(0.4)
    profile = profile_of(told, score, labels)
    told, score, labels = of(1.0)

    found = estimates_of(profile, window_of(profile, told, score))

    assert found.task is Task.MULTICLASS
    [figure] = found.figures
    assert figure.estimate.metric == "accuracy"
    assert figure.estimate.value == pytest.approx(float((told == labels).mean()), abs=0.02)
    assert not figure.is_usual


def test_scores_that_are_no_chances_are_told_nothing_by():
    """The accuracy that labels showed must come out of the reference's own scores."""
    score, told, labels = drawn(3000, 9)
    profile = replace(profile_of(told, score, labels), calibration=Calibration((0.0, 1.0), (0.5, 0.5)))

    found = estimates_of(profile, window_of(profile, told, score))

    assert found.figures == ()
    assert "no chances" in found.why


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda score, told, labels: profile_of(told, score), "--target"),
        (lambda score, told, labels: profile_of(score * 900, None, score * 901, is_classifier=False), "regression"),
        (lambda score, told, labels: profile_of(told, None, labels), "no scores"),
    ],
    ids=["no labels", "a regression", "no scores"],
)
def test_where_nothing_can_be_estimated_it_is_said_why(make, why):
    score, told, labels = drawn(1000, 10)
    profile = make(score, told, labels)

    found = estimates_of(profile, profile.counts())

    assert (found.figures, found.task) == ((), None)
    assert why in found.why


def test_few_rows_say_nothing_and_more_rows_say_it_more_surely():
    score, told, labels = drawn(3000, 11)
    profile = profile_of(told, score, labels)

    assert "fewer than 500" in estimates_of(profile, window_of(profile, told[:499], score[:499])).why
    few = figures_of(profile, window_of(profile, told[:500], score[:500]))["accuracy"].estimate.interval
    many = figures_of(profile, window_of(profile, told, score))["accuracy"].estimate.interval
    assert many[1] - many[0] < few[1] - few[0]


def test_scores_of_the_other_class_estimate_nothing_of_the_positive_one():
    """Whoever made the profile said that 0 is what the model is about, and its scores are chances of 1."""
    score, told, labels = drawn(3_000, 1)
    profile = replace(profile_of(told, score, labels), said=SaidTask(positive="0"))

    found = estimates_of(profile, window_of(profile, told, score))

    assert found.figures == ()
    assert "of the other class than the positive one, '0'" in found.why
