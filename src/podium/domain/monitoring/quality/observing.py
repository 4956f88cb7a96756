"""What was seen of a version's predictions and labels, as far as it tells what the model is for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from podium.domain.monitoring.profile import CategoryProfile, NumberProfile, Profile
from podium.domain.monitoring.quality.tallies import TRUTH, Judged, class_name
from podium.domain.monitoring.quality.tasks import SaidTask, Task, TaskGuess, task_of
from podium.domain.monitoring.values import number

MOST_NAMES = 100
_FEW = 20
_LEAST_SHARE = 0.01
# Beyond, a figure of classes says little and costs much.
_MOST_CLASSES = 1000
_WORDS = {str(number): word for number, word in enumerate(TRUTH)}


@dataclass(frozen=True, slots=True)
class SeenRows:
    """Counts of what was predicted and what was true; all of it adds up.

    Args:
        told: Rows by what was predicted, of at most `MOST_NAMES` different values.
        labels: Labels by what was true, likewise.
        span: The least and the largest number that was predicted.
        rows: Predictions that were seen.
        labelled: Labels that were.
        has_text: Something that is no number was predicted.
        has_fraction: Or a number that is not whole.
        has_score: A probability came with a prediction.
        classes: Of which probabilities came, by name; of at most `MOST_NAMES`.
    """

    told: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    span: tuple[float, float] | None = None
    rows: int = 0
    labelled: int = 0
    has_text: bool = False
    has_fraction: bool = False
    has_score: bool = False
    classes: tuple[str, ...] = ()

    def with_predictions(self, predictions: Iterable[tuple[Any, float | None]], classes: Iterable[str] = ()) -> "SeenRows":
        """And these: what was predicted and its score, and the classes of which probabilities came."""
        told, rows, span = dict(self.told), self.rows, self.span
        has_text, has_fraction, has_score = self.has_text, self.has_fraction, self.has_score
        for prediction, score in predictions:
            rows, has_score = rows + 1, has_score or score is not None
            _count(told, prediction)
            if isinstance(prediction, bool | str):
                has_text = True
            elif isfinite(value := number(prediction)):
                has_fraction = has_fraction or value != int(value)
                span = (value, value) if span is None else (min(span[0], value), max(span[1], value))
        scored = tuple(sorted({*self.classes, *classes})[:MOST_NAMES])
        return SeenRows(told, self.labels, span, rows, self.labelled, has_text, has_fraction, has_score, scored)

    def with_labels(self, labels: Iterable[Any]) -> "SeenRows":
        """And these."""
        counts, labelled = dict(self.labels), self.labelled
        for label in labels:
            labelled += 1
            _count(counts, label)
        return replace(self, labels=counts, labelled=labelled)


def _count(counts: dict[str, int], value: Any) -> None:
    name = class_name(value)
    if name is not None and (name in counts or len(counts) < MOST_NAMES):
        counts[name] = counts.get(name, 0) + 1


@dataclass(frozen=True, slots=True)
class CountedAs:
    """What a model is taken to be for, and how its rows are counted.

    Args:
        guess: The task.
        is_classes: Predictions are classes; else numbers, which in a binary task are the positive class's chances.
        said: What somebody had said when this was chosen.
    """

    guess: TaskGuess
    is_classes: bool
    said: SaidTask = field(default_factory=SaidTask)

    def judged(
        self,
        prediction: Any,
        score: float | None,
        actual: Any,
        weight: float,
        chances: Mapping[str, float] | None = None,
    ) -> Judged:
        """One row as tallies take it.

        Args:
            prediction: What was told.
            score: The probability that came with it.
            actual: What was true.
            weight: What it counts for.
            chances: The probability of each class, by its name.
        """
        if self.guess.task is Task.BINARY and not self.is_classes:
            return Judged(None, actual, (number(prediction),), weight)
        if chances is not None and set(self.guess.classes) == set(TRUTH):
            chances = {_WORDS.get(name, name): chance for name, chance in chances.items()}
        positive = self.guess.positive
        if chances is not None and positive is not None and positive in chances:
            # A score may be that of the other class.
            return Judged(prediction, actual, (chances[positive],), weight)
        if positive is not None:
            return Judged(prediction, actual, None if score is None else (score,), weight)
        if chances is None or not chances.keys() <= set(self.guess.classes):
            return Judged(prediction, actual, None, weight)
        # A class that only labels have has no chance.
        return Judged(prediction, actual, [chances.get(name, 0.0) for name in self.guess.classes], weight)


def chosen_task(observed: SeenRows, profile: Profile | None, said: SaidTask | None = None) -> CountedAs:
    """Say what a model is for by its profile, its predictions and its labels, unless somebody said it.

    What is seen of less than one row in a hundred is no class yet: somebody may have mistyped it.

    Args:
        observed: All that was seen.
        profile: The version's, where there is one with predictions.
        said: By whoever serves it; where that is nothing, what whoever made the profile said.
    """
    said = said or SaidTask()
    known = profile.said if profile is not None and said == SaidTask() else said
    predicted = None if profile is None else profile.predictions
    labels = _usual(observed.labels, observed.labelled)
    classes, value = (None, None) if predicted is None else (predicted.classes, predicted.value)
    if _are_classes(observed, classes, value, labels, known.task):
        return CountedAs(_of_classes(observed, classes, labels, known), is_classes=True, said=said)
    return CountedAs(_of_numbers(observed, value, labels, known), is_classes=False, said=said)


def _are_classes(observed: SeenRows, classes: object, value: object, labels: tuple[str, ...], task: Task | None) -> bool:
    """Whether predictions are counted as classes."""
    if task is Task.REGRESSION:
        return False
    if task is None and (classes is not None or value is not None):
        return classes is not None
    if classes is not None or observed.has_text or observed.has_score:
        return True
    if task is not None:
        return not observed.has_fraction
    is_few = not observed.has_fraction and len(observed.told) <= _FEW and len(labels) <= _FEW
    return is_few and bool(set(labels) & set(observed.told))


def _of_classes(observed: SeenRows, profile: CategoryProfile | None, labels: tuple[str, ...], said: SaidTask) -> TaskGuess:
    told = {*_usual(observed.told, observed.rows), *observed.classes}
    if profile is not None and not profile.bins.is_hashed:
        named = set(profile.bins.names)
        # Truth values are named by words in a profile, and are 0 and 1 by themselves.
        told = named | ({_WORDS.get(each, each) for each in told} if named <= set(TRUTH) else told)
    spoken = told | {*_WORDS, *TRUTH} if told <= {*_WORDS, *TRUTH} else told
    if len(told | set(labels)) > _MOST_CLASSES:
        return TaskGuess(None, f"There are more than {_MOST_CLASSES} classes.")
    if labels and told and not spoken & set(labels):
        why = (
            "No label is one of the classes that the model told. A model that answers probabilities tells a class by its "
            "place: 0, 1, …; send labels as such numbers."
        )
        return TaskGuess(None, why)
    if not told:
        return TaskGuess(None, "Nothing was predicted yet.")
    return task_of(tuple(sorted(told)), None, labels, said.positive, said.task)


def _of_numbers(observed: SeenRows, profile: object, labels: tuple[str, ...], said: SaidTask) -> TaskGuess:
    spans = [] if observed.span is None else [observed.span]
    if isinstance(profile, NumberProfile) and profile.bins.low is not None and profile.bins.high is not None:
        spans.append((profile.bins.low, profile.bins.high))
    if not spans:
        return TaskGuess(None, "No number was predicted yet.")
    span = min(low for low, _ in spans), max(high for _, high in spans)
    if len(observed.labels) >= MOST_NAMES:
        # So many different ones are no classes, whatever the most frequent are.
        labels = (*labels[:2], "0.5") if all(isfinite(number(each)) for each in labels) else labels
    return task_of((), span, labels, said.positive, said.task)


def _usual(counts: Mapping[str, int], rows: int) -> tuple[str, ...]:
    # Where values are counted that all differ, none of them is usual, and all are of the same kind.
    if len(counts) >= MOST_NAMES:
        return tuple(sorted(counts))
    return tuple(sorted(name for name, count in counts.items() if count >= _LEAST_SHARE * rows))
