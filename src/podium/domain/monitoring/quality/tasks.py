"""What a model is for, which figures of quality such a model has, and how each of them is to be read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Task(StrEnum):
    """What a model is for, which says by what it can be called good."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


TASKS = tuple(task.value for task in Task)


@dataclass(frozen=True, slots=True)
class SaidTask:
    """What somebody said that a model is for; what is None is found out.

    Args:
        task: Which.
        positive: The class that a binary task is about, as `class_name` calls it.

    Raises:
        ValueError: The task has none that is positive.
    """

    task: Task | None = None
    positive: str | None = None

    def __post_init__(self) -> None:
        if self.positive is not None and self.task not in {None, Task.BINARY}:
            raise ValueError(
                f"positive is {self.positive!r}, and a {self.task} task has no positive class: leave one of them out, or "
                "say that the task is binary."
            )

    @classmethod
    def of(cls, task: str | None, positive: str | None) -> "SaidTask":
        """By the words that settings have.

        Raises:
            ValueError: As above, or there is no such task.
        """
        if task is not None and task not in TASKS:
            raise ValueError(f"task is {task!r}; expected one of {', '.join(TASKS)}.")
        return cls(None if task is None else Task(task), positive)


@dataclass(frozen=True, slots=True)
class Law:
    """How one figure is to be read.

    Args:
        better: Which way is better; None where neither is, as of a bias.
        interval: How its interval is worked out; None where there is none.
    """

    better: Literal["higher", "lower"] | None
    interval: str | None


_WILSON = "Wilson (JASA 22, 1927)"
_MULTINOMIAL = "delta method on the confusion matrix (Takahashi et al., Applied Intelligence 52, 2022), in Wilson's form"
_MEAN = "normal, by the variance of what the rows contribute"

LAWS: Mapping[str, Law] = {
    "accuracy": Law("higher", _WILSON),
    "precision": Law("higher", _WILSON),
    "recall": Law("higher", _WILSON),
    "specificity": Law("higher", _WILSON),
    "f1": Law("higher", "Wilson's of tp / (tp + fp + fn), which F1 grows with"),
    "precision_macro": Law("higher", _MULTINOMIAL),
    "recall_macro": Law("higher", _MULTINOMIAL),
    "f1_macro": Law("higher", _MULTINOMIAL),
    "f1_weighted": Law("higher", _MULTINOMIAL),
    "roc_auc": Law("higher", "Newcombe (Stat. Med. 25, 2006), method 5, and the pairs that share a bin on either side"),
    "roc_auc_macro": Law("higher", "mean of the classes' intervals: too wide rather than too narrow"),
    "average_precision": Law("higher", "Wilson's of as many draws as there are positives (Boyd, Eng, Page, ECML 2013)"),
    "log_loss": Law("lower", _MEAN),
    "brier": Law("lower", _MEAN),
    "ece": Law("lower", None),
    "mae": Law("lower", _MEAN),
    "rmse": Law("lower", "the root of the mean squared error's, which is normal"),
    "bias": Law(None, _MEAN),
    "r2": Law("higher", "normal, by the delta method"),
    "mape": Law("lower", _MEAN),
}
"""Every figure that podium knows."""

METRICS: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: (
        *("accuracy", "precision", "recall", "specificity", "f1"),
        *("roc_auc", "average_precision", "log_loss", "brier", "ece"),
    ),
    Task.MULTICLASS: (
        *("accuracy", "precision_macro", "recall_macro", "f1_macro", "f1_weighted"),
        *("roc_auc_macro", "log_loss", "brier", "ece"),
    ),
    Task.REGRESSION: ("mae", "rmse", "bias", "r2", "mape"),
}
"""Which figures a task has, in the order in which they are shown."""

_TRUTH = {"0": "false", "1": "true"}
_NUMBERED = {"false": "0", "true": "1"}
_USUAL_POSITIVE = ({"0", "1"}, "1"), ({"-1", "1"}, "1"), ({"false", "true"}, "true"), ({"no", "yes"}, "yes")


@dataclass(frozen=True, slots=True)
class TaskGuess:
    """What a model is taken to be for, and why; to be shown, as it may be wrong.

    Args:
        task: None where it cannot be told, and somebody has to say it.
        why: One sentence.
        classes: All of them, where the task has classes.
        positive: The one that a binary task is about.
    """

    task: Task | None
    why: str
    classes: tuple[str, ...] = ()
    positive: str | None = None


def task_of(
    classes: Sequence[str],
    span: tuple[float, float] | None,
    labels: Collection[str],
    positive: str | None = None,
    task: Task | None = None,
) -> TaskGuess:
    """Say what a model is for by what it predicted and what was true, unless somebody said it.

    Args:
        classes: That it predicted, as `class_name` calls them, where its profile counts classes; else empty.
        span: The least and the largest number that it predicted, where its profile has numbers; else None.
        labels: The different labels that were seen, likewise named; empty where none came yet.
        positive: What somebody named the positive class; None where nobody did.
        task: What somebody said that it is for; None finds it out.
    """
    if task is Task.REGRESSION:
        return TaskGuess(Task.REGRESSION, "Somebody said that it is a regression.")
    if classes:
        # Truth values are often said as 0 and 1 by whoever sends labels, and by whoever names the positive one.
        is_truth = set(classes) <= set(_TRUTH.values())
        known = [_TRUTH.get(label, label) if is_truth else label for label in sorted(labels)]
        about = _TRUTH.get(positive, positive) if is_truth and positive is not None else positive
        return _task_of_classes(tuple(dict.fromkeys([*classes, *known])), about, task)
    if task is not None:
        return _said_of_numbers(span, labels, positive, task)
    if span is None:
        return TaskGuess(None, "The profile has no predictions: say which task it is.")
    if not labels and span[0] >= 0 and span[1] <= 1:
        return TaskGuess(
            None, "All predictions lie from 0 to 1: chances or numbers; the labels will tell, or say which task it is."
        )
    if labels and not all(_is_number(label) for label in labels):
        if len(labels) <= 2 and span[0] >= 0 and span[1] <= 1 and positive in labels:
            return _task_of_classes(tuple(sorted(labels)), positive, None)
        return TaskGuess(None, "The predictions are numbers and the labels are not: say which task it is.")
    if labels and {float(label) for label in labels} <= {0.0, 1.0} and span[0] >= 0 and span[1] <= 1:
        why = "The predictions are chances from 0 to 1, and every label is 0 or 1."
        return TaskGuess(Task.BINARY, why, ("0", "1"), positive if positive in {"0", "1"} else "1")
    return TaskGuess(Task.REGRESSION, "The predictions are numbers.")


def _said_of_numbers(
    span: tuple[float, float] | None, labels: Collection[str], positive: str | None, task: Task
) -> TaskGuess:
    """A task with classes of a model that tells numbers: chances of the positive one, or nothing that can be counted."""
    if task is Task.MULTICLASS:
        return TaskGuess(None, "Somebody said that the task is multiclass, and the predictions are numbers, not classes.")
    if span is not None and not 0 <= span[0] <= span[1] <= 1:
        why = f"Somebody said that the task is binary, and predictions from {span[0]:g} to {span[1]:g} are no chances."
        return TaskGuess(None, why)
    names = {*labels, *([] if positive is None else [positive])}
    if names <= {"0", "1", *_NUMBERED}:
        why = "Somebody said that the task is binary; the predictions are chances of the positive class."
        about = _NUMBERED.get(positive or "1", positive or "1")
        if names & set(_NUMBERED):
            return TaskGuess(Task.BINARY, why, tuple(_TRUTH.values()), _TRUTH[about])
        return TaskGuess(Task.BINARY, why, tuple(_TRUTH), about)
    return _task_of_classes(tuple(sorted(names)), positive, task)


def _task_of_classes(classes: tuple[str, ...], positive: str | None, task: Task | None) -> TaskGuess:
    if task is Task.MULTICLASS:
        return TaskGuess(task, f"Somebody said that it is multiclass; {len(classes)} classes were seen.", classes)
    if len(classes) == 1 and positive not in {None, *classes}:
        classes = (*classes, str(positive))
    if len(classes) == 1:
        return TaskGuess(None, f"Only the class {classes[0]!r} was seen: say which classes there are.", classes)
    if len(classes) > 2 and task is Task.BINARY:
        shown = ", ".join(map(repr, classes[:5]))
        why = f"Somebody said that the task is binary, and there are {len(classes)} classes: {shown}"
        return TaskGuess(None, f"{why}{' and more' if len(classes) > 5 else ''}.", classes)
    if len(classes) > 2:
        return TaskGuess(Task.MULTICLASS, f"There are {len(classes)} classes.", classes)
    if positive is not None:
        if positive not in classes:
            return TaskGuess(None, f"The positive class {positive!r} is none of {classes!r}.", classes)
        return TaskGuess(Task.BINARY, "There are two classes, and the positive one was named.", classes, positive)
    usual = next((name for pair, name in _USUAL_POSITIVE if pair == {each.lower() for each in classes}), None)
    if usual is not None:
        found = next(each for each in classes if each.lower() == usual)
        return TaskGuess(Task.BINARY, f"There are two classes, of which {found!r} is the positive one.", classes, found)
    if task is Task.BINARY:
        why = f"The task is binary: say which class is the positive one, {classes[0]!r} or {classes[1]!r}."
        return TaskGuess(None, why, classes)
    why = f"There are two classes, {classes[0]!r} and {classes[1]!r}, treated alike until the positive one is named."
    return TaskGuess(Task.MULTICLASS, why, classes)


def _is_number(text: str) -> bool:
    try:
        return float(text) - float(text) == 0
    except ValueError:
        return False
