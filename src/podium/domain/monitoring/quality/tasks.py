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
    classes: Sequence[str], span: tuple[float, float] | None, labels: Collection[str], positive: str | None = None
) -> TaskGuess:
    """Say what a model is for by what it predicted and what was true.

    Args:
        classes: That it predicted, as `class_name` calls them, where its profile counts classes; else empty.
        span: The least and the largest number that it predicted, where its profile has numbers; else None.
        labels: The different labels that were seen, likewise named; empty where none came yet.
        positive: What somebody named the positive class; None where nobody did.
    """
    if classes:
        # Truth values are often said as 0 and 1 by whoever sends labels.
        is_truth = set(classes) <= set(_TRUTH.values())
        known = [_TRUTH.get(label, label) if is_truth else label for label in sorted(labels)]
        return _task_of_classes(tuple(dict.fromkeys([*classes, *known])), positive)
    if span is None:
        return TaskGuess(None, "The profile has no predictions: say which task it is.")
    if not labels and span[0] >= 0 and span[1] <= 1:
        return TaskGuess(
            None, "All predictions lie from 0 to 1: chances or numbers; the labels will tell, or say which task it is."
        )
    if labels and not all(_is_number(label) for label in labels):
        if len(labels) <= 2 and span[0] >= 0 and span[1] <= 1 and positive in labels:
            return _task_of_classes(tuple(sorted(labels)), positive)
        return TaskGuess(None, "The predictions are numbers and the labels are not: say which task it is.")
    if labels and {float(label) for label in labels} <= {0.0, 1.0} and span[0] >= 0 and span[1] <= 1:
        why = "The predictions are chances from 0 to 1, and every label is 0 or 1."
        return TaskGuess(Task.BINARY, why, ("0", "1"), positive if positive in {"0", "1"} else "1")
    return TaskGuess(Task.REGRESSION, "The predictions are numbers.")


def _task_of_classes(classes: tuple[str, ...], positive: str | None) -> TaskGuess:
    if len(classes) == 1:
        return TaskGuess(None, f"Only the class {classes[0]!r} was seen: say which classes there are.", classes)
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
    why = f"There are two classes, {classes[0]!r} and {classes[1]!r}, treated alike until the positive one is named."
    return TaskGuess(Task.MULTICLASS, why, classes)


def _is_number(text: str) -> bool:
    try:
        return float(text) - float(text) == 0
    except ValueError:
        return False
