"""What a model is for is told by its profile, its predictions and its labels."""

import dataclasses

import numpy as np
import pytest
from profile_world import profile_of

from podium.domain.monitoring.quality.observing import MOST_NAMES, SeenRows, chosen_task
from podium.domain.monitoring.quality.tasks import SaidTask, Task


def seen(predictions, labels=(), score=None):
    return SeenRows().with_predictions([(each, score) for each in predictions]).with_labels(labels)


def of_classes(*names):
    return profile_of({"amount": np.arange(200.0)}, value=np.array([*names] * 100, dtype=object), is_classifier=True)


@pytest.mark.parametrize(
    ("rows", "profile", "task", "classes"),
    [
        (seen(["yes", "no"], ["yes"]), None, Task.BINARY, ("no", "yes")),
        (seen([1, 0, 1], [0, 1]), None, Task.BINARY, ("0", "1")),
        (seen([1, 0], [0, 1], score=0.5), None, Task.BINARY, ("0", "1")),
        (seen([1, 2, 3], [1, 2, 4]), None, Task.MULTICLASS, ("1", "2", "3", "4")),
        (seen([1.5, 2.5], [1, 2]), None, Task.REGRESSION, ()),
        (seen([0.5, 0.25], [0, 1]), None, Task.BINARY, ("0", "1")),
        (seen([0.5, 0.25], [0, 1, 0.5]), None, Task.REGRESSION, ()),
        (seen(range(1000), range(1000)), None, Task.REGRESSION, ()),
        (seen(["yes"], ["no"]), of_classes("yes", "no"), Task.BINARY, ("no", "yes")),
        (seen([True, False], [1, 0]), of_classes(True, False), Task.BINARY, ("false", "true")),
        (seen([1, 0], ["fraud", "fine"], score=0.5), None, None, ()),
        (seen([1.5], ["fraud"]), None, None, ()),
    ],
)
def test_the_task_of_a_model(rows, profile, task, classes):
    found = chosen_task(rows, profile)

    assert (found.guess.task, found.guess.classes) == (task, classes)
    assert found.guess.why


@pytest.mark.parametrize(
    ("rows", "profile", "said", "task", "is_classes"),
    [
        (seen([0, 1, 2], [0, 1, 2]), None, SaidTask(Task.REGRESSION), Task.REGRESSION, False),
        (seen(["yes", "no"], ["yes"]), of_classes("yes", "no"), SaidTask(Task.MULTICLASS), Task.MULTICLASS, True),
        (seen(range(1000), range(1000)), None, SaidTask(Task.MULTICLASS), Task.MULTICLASS, True),
        (seen([0.5, 0.25], [0, 1]), None, SaidTask(Task.BINARY, "0"), Task.BINARY, False),
        (seen([0.5, 0.25], [0, 1]), None, SaidTask(Task.REGRESSION), Task.REGRESSION, False),
        (seen([1.5, 2.5], [1, 2]), None, SaidTask(Task.MULTICLASS), None, False),
        (seen(["a", "b"], ["a"]), None, SaidTask(positive="b"), Task.BINARY, True),
    ],
)
def test_what_somebody_says_that_a_model_is_for(rows, profile, said, task, is_classes):
    found = chosen_task(rows, profile, said)

    assert (found.guess.task, found.is_classes, found.said) == (task, is_classes, said)


def test_what_the_profile_was_made_for_counts_until_somebody_says_otherwise():
    rows = seen(["cat", "dog"] * 9, ["cat", "dog"] * 9)
    profile = dataclasses.replace(of_classes("cat", "dog"), said=SaidTask(positive="dog"))

    by_profile = chosen_task(rows, profile)
    said = chosen_task(rows, profile, SaidTask(Task.MULTICLASS))

    assert (by_profile.guess.task, by_profile.guess.positive, by_profile.said) == (Task.BINARY, "dog", SaidTask())
    assert (said.guess.task, said.guess.positive) == (Task.MULTICLASS, None)


def test_what_somebody_mistyped_is_no_class():
    """One label of two hundred; where it comes more often it is one."""
    rows = seen(["yes", "no"] * 100, ["yes", "no"] * 100 + ["yse"])

    assert chosen_task(rows, None).guess.classes == ("no", "yes")
    assert chosen_task(rows.with_labels(["yse"] * 10), None).guess.classes == ("no", "yes", "yse")


def test_chances_are_counted_as_scores_of_the_positive_class():
    chosen = chosen_task(seen([0.5, 0.25], [0, 1]), None)

    judged = chosen.judged(0.75, None, 1, 2.0)

    assert (judged.prediction, judged.scores, judged.actual, judged.weight) == (None, (0.75,), 1, 2.0)


def test_different_values_are_counted_up_to_a_bound():
    rows = seen(range(10 * MOST_NAMES), (f"label {number}" for number in range(10 * MOST_NAMES)))

    assert (len(rows.told), len(rows.labels), rows.rows, rows.labelled) == (100, 100, 1000, 1000)
    assert rows.span == (0, 999)
