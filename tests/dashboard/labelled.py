"""Hours of answers with labels, written as the monitor writes them: tallies, scores, and a profile that was measured."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from dashboard_home import HOSTILE, SCRIPT

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.profile import Profile, Source, SourceKind
from podium.domain.monitoring.profiling import Profiler
from podium.domain.monitoring.quality.observing import CountedAs, SeenRows
from podium.domain.monitoring.quality.reference import measured
from podium.domain.monitoring.quality.tallies import Judged, LabelTally, delays_of, tally_classes, tally_numbers
from podium.domain.monitoring.quality.tasks import Task, TaskGuess
from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S
from podium.monitoring.store import quality_writing, writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.quality import KeptTask, QualityPoint, added
from podium.monitoring.store.writing import Counted, VersionKey
from podium.settings.home import Home

CLASSES = ("0", "1")
NAMES = (HOSTILE, SCRIPT, "web")
_PER_SLOT = 120


def scored(rows: int, seed: int, sure: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was told, its score, and what was true; the larger `sure`, the less the scores know."""
    random = np.random.default_rng(seed)
    score = random.beta(sure, 1.4 * sure, rows)
    return (score >= 0.5).astype(int), score, (random.random(rows) < score).astype(int)


def measured_profile() -> Profile:
    """Of rows whose labels are known."""
    told, score, labels = scored(6000, 1)
    profiler = Profiler(is_classifier=True)
    profiler.add({"x": np.arange(len(told)) % 7}, told, score)
    made = profiler.profile(Source(SourceKind.VALIDATION, 0), datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    found = measured(told, score, labels, is_classes=True)
    return replace(made, quality=found.quality, calibration=found.calibration)


def write_labels(home: Home, now: int, days: float = 0.5, name: str = "risk", labelled: float = 0.6) -> None:
    """Until now: less sure in the last third; labels of the newest fifth are not there yet, as they take their time."""
    key, made = VersionKey(name, "3"), measured_profile()
    layout = Layout(made, b"\0")
    end = now - now % SLOT_S
    start = end - int(days * DAY_S)
    start -= start % HOUR_S
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, key, "Production", made, start)
        writing.see_version(connection, key, "Production", made, now)
        points: dict[tuple[int, int], QualityPoint] = {}
        for slot in range(start, end, SLOT_S):
            writing.watch(connection, slot, slot + SLOT_S)
            told, score, true = scored(_PER_SLOT, slot - start, 1.2 if slot > start + 0.66 * (end - start) else 0.5)
            counter = BatchCounter(layout)
            counter.add(_PER_SLOT, {"x": np.arange(_PER_SLOT) % 7}, {"classes": told, "score": score})
            writing.add_window(connection, key, slot, Counted(counter.counts()))
            known = 0 if slot > start + 0.8 * (end - start) else int(_PER_SLOT * labelled)
            judged = [
                Judged(str(said), str(label), (float(chance),))
                for said, chance, label in zip(told[:known], score[:known], true[:known], strict=True)
            ]
            tally = tally_classes(CLASSES, "1", judged) if known else None
            labels = LabelTally(_PER_SLOT, known, delays=delays_of([900.0 + 60 * number for number in range(known)]))
            _keep(points, slot, tally, labels)
        for (length_s, begins), point in points.items():
            quality_writing.put_point(connection, key, replace(point, start=begins, length_s=length_s))
        guess = TaskGuess(Task.BINARY, "There are two classes, of which '1' is the positive one.", CLASSES, "1")
        quality_writing.put_task(connection, key, _task(guess))


def write_names_and_numbers(home: Home, now: int) -> None:
    """A model of three classes with hostile names in two variants, and one that tells numbers; neither has a profile."""
    slot, random = now - now % HOUR_S - HOUR_S, np.random.default_rng(5)
    with MonitorStore(home.monitor).writing() as connection:
        writing.watch(connection, slot, slot + HOUR_S)
        for name in ("names", "numbers"):
            writing.see_version(connection, VersionKey(name, "3"), "Production", None, slot)
        for variant, right in (("stable", 0.9), (HOSTILE, 0.7)):
            true = random.choice(3, 600)
            said = np.where(random.random(600) < right, true, random.choice(3, 600))
            tally = tally_classes(
                NAMES, None, [Judged(NAMES[one], NAMES[other]) for one, other in zip(said, true, strict=True)]
            )
            labels = LabelTally(900, 600, delays=delays_of([60.0] * 600))
            for length_s in (SLOT_S, HOUR_S):
                point = QualityPoint(slot, length_s, variant, tally, labels)
                quality_writing.put_point(connection, VersionKey("names", "3"), point)
        guess = TaskGuess(Task.MULTICLASS, "There are 3 classes.", NAMES)
        quality_writing.put_task(connection, VersionKey("names", "3"), _task(guess))
        numbers = random.normal(100, 10, 500)
        errors = tally_numbers(Judged(float(each + random.normal(1, 3)), float(each)) for each in numbers)
        for length_s in (SLOT_S, HOUR_S):
            point = QualityPoint(slot, length_s, "", errors, LabelTally(500, 500, delays=delays_of([5.0] * 500)))
            quality_writing.put_point(connection, VersionKey("numbers", "3"), point)
        guess = TaskGuess(Task.REGRESSION, "The predictions are numbers.")
        quality_writing.put_task(connection, VersionKey("numbers", "3"), _task(guess))


def _task(guess: TaskGuess) -> KeptTask:
    return KeptTask(SeenRows(rows=1000, labelled=600), CountedAs(guess, is_classes=guess.task is not Task.REGRESSION), 600)


def _keep(points: dict[tuple[int, int], QualityPoint], slot: int, tally, labels: LabelTally) -> None:
    """For five minutes, and for its hour."""
    for length_s in (SLOT_S, HOUR_S):
        place = (length_s, slot - slot % length_s)
        point = QualityPoint(slot, length_s, "", tally, labels)
        points[place] = added(points[place], point) if place in points else point
