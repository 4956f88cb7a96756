"""What is held of a version's quality: the newest figures that rest on enough labels, beside the profile's."""

import dataclasses
import json

import numpy as np
import pytest
from profile_world import profile_of

from podium.domain.monitoring.staleness import Clock, ages
from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.errors import MonitorStoreError
from podium.monitoring.quality.gauges import gauges_of
from podium.monitoring.quality.judging import judge_quality
from podium.monitoring.quality.watching import QualityTerms, QualityWatch
from podium.monitoring.store import quality as kept
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.monitoring.version_values import VersionBook
from podium.telemetry.remembered import Labelled, Remembered

NOON = 1_800_000_000 - 1_800_000_000 % DAY_S + DAY_S // 2
KEY = VersionKey("fraud", "7")
CLASSES = np.arange(2000) % 2
PROFILE = dataclasses.replace(
    profile_of({"amount": np.arange(2000.0)}, value=CLASSES, score=CLASSES * 0.8 + 0.1, is_classifier=True),
    quality={"accuracy": 0.9, "log_loss": 0.3, "rows": 2000.0},
)


class World:
    """A monitor's part that is about quality, by a clock that is set."""

    def __init__(self, folder, profile=PROFILE, **terms):
        self.store, self.now = MonitorStore(folder / "monitor.db", busy_timeout_s=0.01), float(NOON)
        self.watch = QualityWatch(self.store, QualityTerms(**terms))
        self._number = 0
        with self.store.writing() as connection:
            writing.see_version(connection, KEY, "Production", profile, NOON)

    def answered(self, rows, right, at=None, variant="", labelled_s=60.0):
        """So many rows, of which this part was answered right, each with its score; and labels for all of them."""
        self._number += 1
        at, name = self.now if at is None else at, f"asked-{self._number}"
        told = [row % 2 for row in range(rows)]
        truth = [each if place < right * rows else 1 - each for place, each in enumerate(told)]
        body = json.dumps({"predictions": [[0.9, 0.1] if each == 0 else [0.1, 0.9] for each in told]}).encode()
        records = [Remembered(at, name, "fraud", "7", variant, "/invocations", "application/json", body)]
        if labelled_s is not None:
            records.append(Labelled(at + labelled_s, name, "fraud", None, json.dumps(truth)))
        with self.store.writing() as connection:
            self.watch.write_down(connection, records, self.now)

    def turn(self, seconds=30.0):
        self.now += seconds
        return {
            (each["name"], each["labels"].get("variant"), each["labels"].get("metric")): each["value"]
            for each in self.watch.turn(self.now, [KEY])
        }

    @property
    def variants(self):
        return self.watch.judged[KEY].variants


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_nothing_is_told_of_what_was_never_asked(world):
    assert world.turn() == {}
    assert world.watch.judged == {}


def test_a_fall_is_held_against_the_profile(world):
    world.answered(600, right=0.8)

    told = world.turn()

    assert told["podium_quality", "", "accuracy"] == 0.8
    assert told["podium_quality_baseline", None, "accuracy"] == 0.9
    assert told["podium_quality_window_rows", "", "accuracy"] == 600
    assert told["podium_quality_is_worse", "", "accuracy"] == 1
    assert told["podium_label_coverage_ratio", None, None] == 1
    assert ("podium_quality_baseline", None, "rows") not in told
    (variant,) = world.variants
    assert {each.figure.metric: each.verdict for each in variant.shortfalls} == {"accuracy": "alert", "log_loss": "alert"}


def test_what_is_as_good_as_it_was_is_no_alert(world):
    world.answered(600, right=0.9)

    assert world.turn()["podium_quality_is_worse", "", "accuracy"] == 0


def test_what_somebody_says_that_it_is_for_is_counted_anew_of_what_is_kept(world):
    """At the next look, without another label; and what is not said any more is found out again."""
    world.answered(600, right=0.8)
    assert ("podium_quality", "", "recall") in world.turn()

    world.watch.hear([{"model": "fraud", "task": "multiclass", "positive": None}])
    told = world.turn()
    assert (told["podium_quality", "", "accuracy"], told["podium_quality", "", "recall_macro"]) == (0.8, 0.8)
    assert world.watch.judged[KEY].guess.why.startswith("Somebody said")

    world.watch.hear([{"model": "fraud", "task": "binary", "positive": "0"}])
    world.answered(2, right=1.0)
    world.turn()
    assert (world.watch.judged[KEY].guess.positive, world.variants[0].rows) == ("0", 602)

    world.watch.hear([{"model": "fraud", "task": None, "positive": None}])
    world.turn()
    assert world.watch.judged[KEY].guess.positive == "1"


def test_too_few_labels_say_nothing(world):
    world.answered(400, right=0.2)

    assert world.turn()["podium_quality_is_worse", "", "accuracy"] == 0
    assert {each.verdict for each in world.variants[0].shortfalls} == {"insufficient_data"}


def test_the_shortest_stretch_with_enough_labels_counts(world):
    """So that good days before do not hide a fall, and a quiet hour does not hide that there was one."""
    world.answered(900, right=1.0, at=NOON - 5 * HOUR_S)
    world.answered(300, right=0.5)
    assert world.turn()["podium_quality", "", "accuracy"] == pytest.approx((900 + 150) / 1200)

    world.answered(300, right=0.5)
    assert world.turn()["podium_quality", "", "accuracy"] == 0.5


def test_each_variant_is_judged_by_its_own_labels(world):
    world.answered(600, right=1.0, variant="stable", at=NOON - 3 * DAY_S)
    world.answered(600, right=0.5, variant="canary")

    told = world.turn()

    assert (told["podium_quality", "stable", "accuracy"], told["podium_quality", "canary", "accuracy"]) == (1.0, 0.5)
    assert [each.span.length_s for each in world.variants] == [HOUR_S, 7 * DAY_S]


def test_alerts_hear_of_shortfalls_and_of_labels_that_do_not_come(world):
    world.answered(600, right=0.8, labelled_s=2 * HOUR_S)
    world.turn()
    book = VersionBook()
    with world.store.reading() as connection:
        book.read(connection)

    (values,) = book.values([{"model": "fraud", "version": "7"}], {}, world.watch.judged)

    assert {(variant, each.figure.metric) for variant, each in values.shortfalls} == {("", "accuracy"), ("", "log_loss")}
    assert values.times.labelled_at == NOON + 2 * HOUR_S
    asked = dataclasses.replace(values.times, requested_at=NOON + 20 * HOUR_S)
    assert ages(asked, NOON + 20 * HOUR_S)[Clock.LABELS].standing == "alert"


def test_what_is_too_much_or_too_old_is_given_up(tmp_path):
    world = World(tmp_path, most_predictions=500)
    world.answered(400, right=1.0, at=NOON - 60)
    world.answered(400, right=1.0)
    world.turn()
    assert len(predictions(world)) == 400

    world.turn(31 * DAY_S)
    assert predictions(world) == []
    world.turn(91 * DAY_S)
    with world.store.reading() as connection:
        assert judge_quality(connection, KEY, world.now) is None
    assert world.watch.judged == {}


def predictions(world):
    with world.store.reading() as connection:
        return [row for number in (1, 2) for row in kept.predictions_of(connection, f"asked-{number}")]


def test_what_was_seen_last_is_told_while_nothing_can_be_read(world):
    world.answered(600, right=0.8)
    before = world.turn()
    content = world.store.path.read_bytes()
    world.store.path.write_bytes(b"no database" * 1000)
    with pytest.raises(MonitorStoreError), world.store.reading():
        pass

    assert world.turn(HOUR_S) == before

    world.store.path.write_bytes(content)
    assert world.turn()["podium_label_coverage_ratio", None, None] == 1


def test_gauges_are_told_of_defined_figures_only(world):
    world.answered(1, right=1.0)
    world.turn()

    told = list(gauges_of(world.watch.judged[KEY]))

    assert all(isinstance(each["value"], int | float) for each in told)
    assert not [each for each in told if each["labels"].get("metric") == "recall" and each["name"] == "podium_quality"]
