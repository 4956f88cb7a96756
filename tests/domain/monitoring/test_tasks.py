"""What a model is taken to be for: said with a reason, and never by a guess that nobody sees."""

import pytest

from podium.domain.monitoring.quality.tasks import SaidTask, Task, task_of


@pytest.mark.parametrize(
    ("classes", "span", "labels", "positive", "task", "found"),
    [
        (["0", "1"], None, [], None, Task.BINARY, "1"),
        (["1", "0"], None, ["0"], None, Task.BINARY, "1"),
        (["false", "true"], None, ["0", "1"], None, Task.BINARY, "true"),
        (["true"], None, ["0"], None, Task.BINARY, "true"),
        (["False", "True"], None, [], None, Task.BINARY, "True"),
        (["cat", "dog"], None, [], None, Task.MULTICLASS, None),
        (["cat", "dog"], None, [], "cat", Task.BINARY, "cat"),
        (["cat", "dog"], None, [], "cow", None, None),
        (["cat", "dog"], None, ["cow"], None, Task.MULTICLASS, None),
        (["cat"], None, [], None, None, None),
        (["cat"], None, ["dog"], "dog", Task.BINARY, "dog"),
        ([], None, ["1"], None, None, None),
        ([], (0.0, 0.9), [], None, None, None),
        ([], (0.0, 0.9), ["0", "1"], None, Task.BINARY, "1"),
        ([], (0.0, 0.9), ["0", "1"], "0", Task.BINARY, "0"),
        ([], (0.0, 0.9), ["0", "0.5"], None, Task.REGRESSION, None),
        ([], (0.0, 1.2), ["0", "1"], None, Task.REGRESSION, None),
        ([], (-3.0, 1.2), [], None, Task.REGRESSION, None),
        ([], (0.0, 0.9), ["no", "yes"], None, None, None),
        ([], (0.0, 0.9), ["no", "yes"], "yes", Task.BINARY, "yes"),
        ([], (0.0, 7.0), ["no", "yes"], "yes", None, None),
        ([], (0.0, 7.0), ["nan"], None, None, None),
    ],
)
def test_a_task_follows_from_predictions_and_labels_or_is_asked_for(classes, span, labels, positive, task, found):
    guess = task_of(classes, span, labels, positive)

    assert (guess.task, guess.positive) == (task, found)
    assert guess.why.endswith(".")
    assert guess.task is not Task.BINARY or (len(guess.classes) == 2 and guess.positive in guess.classes)


@pytest.mark.parametrize(
    ("classes", "span", "labels", "said", "task", "found"),
    [
        (["0", "1"], None, [], (None, Task.MULTICLASS), Task.MULTICLASS, None),
        (["0", "1"], None, [], ("0", Task.BINARY), Task.BINARY, "0"),
        (["false", "true"], None, ["0"], ("0", None), Task.BINARY, "false"),
        (["0", "1", "2"], None, ["1"], (None, Task.REGRESSION), Task.REGRESSION, None),
        (["0", "1", "2"], None, [], ("2", None), Task.MULTICLASS, None),
        (["0", "1", "2"], None, [], ("2", Task.BINARY), None, None),
        (["cat", "dog"], None, [], (None, Task.BINARY), None, None),
        (["cat"], None, [], ("dog", Task.BINARY), Task.BINARY, "dog"),
        (["cat"], None, [], (None, Task.MULTICLASS), Task.MULTICLASS, None),
        ([], (0.0, 0.9), [], (None, Task.BINARY), Task.BINARY, "1"),
        ([], (0.0, 0.9), ["true"], (None, Task.BINARY), Task.BINARY, "true"),
        ([], (0.0, 0.9), ["no", "yes"], ("yes", Task.BINARY), Task.BINARY, "yes"),
        ([], (0.0, 0.9), ["no", "yes"], (None, Task.BINARY), Task.BINARY, "yes"),
        ([], (0.0, 0.9), ["0", "0.5", "1"], (None, Task.BINARY), None, None),
        ([], (0.0, 9.0), ["0", "1"], (None, Task.BINARY), None, None),
        ([], (0.0, 0.9), ["0", "1"], (None, Task.REGRESSION), Task.REGRESSION, None),
        ([], (0.0, 0.9), ["0", "1"], (None, Task.MULTICLASS), None, None),
    ],
)
def test_what_somebody_says_wins_unless_it_cannot_be(classes, span, labels, said, task, found):
    guess = task_of(classes, span, labels, *said)

    assert (guess.task, guess.positive) == (task, found)
    assert guess.why.endswith(".")
    assert guess.task is not Task.BINARY or (len(guess.classes) == 2 and guess.positive in guess.classes)


@pytest.mark.parametrize(
    ("task", "positive", "reason"),
    [("classes", None, "task is 'classes'; expected one of binary"), ("multiclass", "1", "has no positive class")],
)
def test_what_contradicts_itself_is_not_taken(task, positive, reason):
    with pytest.raises(ValueError, match=reason):
        SaidTask.of(task, positive)
