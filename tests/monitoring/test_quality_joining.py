"""Predictions and labels come in any order, twice, corrected, and through restarts: the tallies are those of the truth."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import profile_of
from sklearn import metrics as oracle

from podium.domain.monitoring.quality.figures import WIDTH_S, figures
from podium.domain.monitoring.quality.tallies import LabelTally, tally_classes, tally_numbers
from podium.domain.monitoring.quality.tasks import SaidTask, Task
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.monitoring.quality.joining import Joining, rebuild, tally_of
from podium.monitoring.store import quality as kept
from podium.monitoring.store import quality_writing as written
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.remembered import Labelled, Remembered

NOON = 1_800_000_000 - 1_800_000_000 % DAY_S + DAY_S // 2
KEY, RIVAL, NOBODY = VersionKey("fraud", "7"), VersionKey("fraud", "8"), VersionKey("fraud", "")
DAY = Span(NOON - DAY_S // 2, NOON + DAY_S // 2)
CLASSES = profile_of({"amount": np.arange(200.0)}, value=np.array(["no", "yes"] * 100, dtype=object), is_classifier=True)
VALUES = profile_of({"amount": np.arange(200.0)}, value=np.linspace(-5, 5, 200))


def answer(request_id, *predictions, at=NOON, version="7", variant="", kind="application/json"):
    body = json.dumps({"predictions": predictions}).encode()
    return Remembered(float(at), request_id, "fraud", version, variant, "/invocations", kind, body)


def label(request_id, said, row=None, at=NOON + 60, weight=1.0):
    return Labelled(float(at), request_id, "fraud", row, json.dumps(said), weight)


@pytest.fixture
def store(tmp_path):
    return store_in(tmp_path / "monitor.db", CLASSES)


def store_in(path, profile):
    path.unlink(missing_ok=True)
    found = MonitorStore(path)
    with found.writing() as connection:
        for key in (KEY, RIVAL):
            writing.see_version(connection, key, "", profile, NOON)
    return found


def join(store, *records, now=NOON + 120):
    with store.writing() as connection:
        Joining(connection, now).join(records)


def points(store, key=KEY, step_s=HOUR_S):
    with store.reading() as connection:
        return kept.quality_of(connection, key, DAY, step_s)


def the_only(store, key=KEY):
    (point,) = points(store, key)
    return point


def figure(point, metric):
    return next(each for each in figures(point.tally) if each.metric == metric)


def test_a_label_meets_its_prediction(store):
    join(store, answer("a", "yes", "no"), label("a", ["yes", "yes"], at=NOON + 30))

    point = the_only(store)
    assert (figure(point, "accuracy").value, figure(point, "recall").value) == (0.5, 0.5)
    assert (point.labels.predicted, point.labels.matched) == (2, 2)
    with store.reading() as connection:
        found = kept.coverage(point.labels, kept.kept_task(connection, KEY).last_label_at)
    assert (found.predicted, found.labelled, found.last_label_at) == (2, 2, NOON + 30)
    assert found.delay_p95_s == pytest.approx(30, rel=0.02)


def test_a_label_that_came_first_waits(store):
    join(store, label("a", "no"))
    join(store, answer("a", "yes"))

    assert figure(the_only(store), "accuracy").value == 0.0


def test_a_correction_replaces_and_a_repetition_changes_nothing(store):
    join(store, answer("a", "yes"), label("a", "no"))
    join(store, label("a", "yes"))
    join(store, label("a", "yes"))

    point = the_only(store)
    assert (figure(point, "accuracy").value, point.tally.rows) == (1.0, 1)
    assert (point.labels.matched, point.labels.corrected, point.labels.duplicate) == (1, 1, 1)


def test_an_answer_that_comes_twice_is_one(store):
    join(store, answer("a", "yes"), answer("a", "no"))

    assert the_only(store).labels.predicted == 1


@pytest.mark.parametrize(
    ("said", "row", "weight"),
    [(["yes"], None, 1.0), ("yes", None, 1.0), ("yes", 2, 1.0), ({"a": 1}, 0, 1.0), ("x" * 200, 0, 1.0), ("yes", 0, 0.0),
     ([["yes"], "no"], None, 1.0), ("yes", -1, 1.0)],
)  # fmt: skip
def test_what_is_no_label_of_this_answer_is_counted_and_left(store, said, row, weight):
    join(store, answer("a", "yes", "no"), label("a", said, row, weight=weight))

    assert the_only(store).labels.matched == 0
    with store.reading() as connection:
        assert kept.labels_of(connection, NOBODY, DAY)[""].invalid == 1


def test_rows_are_labelled_one_by_one(store):
    join(store, label("a", "yes", row=0), answer("a", "yes", "no", "no"), label("a", [None, "no", None]))

    assert figure(the_only(store), "accuracy").rows == 2


def test_a_label_that_nobody_asked_for_is_given_up_after_an_hour(store):
    join(store, label("ghost", "yes"))
    join(store, now=NOON + 2 * HOUR_S)
    join(store, answer("ghost", "yes"))

    assert the_only(store).labels.matched == 0
    with store.reading() as connection:
        assert kept.labels_of(connection, NOBODY, DAY)[""].unmatched == 1


def test_variants_and_versions_are_counted_apart(store):
    join(store, answer("a", "yes", variant="stable"), answer("b", "no", variant="canary", version="8"))
    join(store, label("a", "yes"), label("b", "yes"))

    (stable,), (canary,) = points(store), points(store, RIVAL)
    assert (stable.variant, figure(stable, "accuracy").value) == ("stable", 1.0)
    assert (canary.variant, figure(canary, "accuracy").value) == ("canary", 0.0)


def test_late_labels_count_for_the_time_of_their_prediction(store):
    join(store, answer("a", "yes", at=NOON), answer("b", "yes", at=NOON + WIDTH_S))
    join(store, label("a", "yes", at=NOON + 5 * HOUR_S), now=NOON + 5 * HOUR_S)

    first, second = points(store, step_s=WIDTH_S)
    assert (first.start, first.tally.rows, second.start, second.tally) == (NOON, 1, NOON + WIDTH_S, None)


def test_what_a_model_is_for_is_found_by_its_labels(tmp_path):
    """Chances of a model that tells numbers are a binary task once every label is 0 or 1; a regression when one is not."""
    store = store_in(tmp_path / "monitor.db", profile_of({"amount": np.arange(200.0)}, value=np.linspace(0, 1, 200)))
    join(store, *(answer(f"{i}", i / 10) for i in range(10)))
    join(store, *(label(f"{i}", int(i > 4)) for i in range(5, 7)))
    assert task_in(store).chosen.guess.task is Task.BINARY

    join(store, *(label(f"{i}", i / 10 + 0.05) for i in range(7, 10)), *(label(f"{i}", 0.3) for i in range(4)))

    assert task_in(store).chosen.guess.task is Task.REGRESSION
    assert the_only(store).tally.rows == 9


def task_in(store, key=KEY):
    with store.reading() as connection:
        return kept.kept_task(connection, key)


def of_three_classes(rows):
    luck = np.random.default_rng(4)
    truth = luck.choice(3, rows, p=[0.6, 0.3, 0.1])
    chances = luck.dirichlet(np.ones(3), rows) + 0.5 * np.eye(3)[truth]
    return truth, chances / chances.sum(axis=1, keepdims=True)


def test_the_chances_of_several_classes_are_held_against_labels_as_scikit_learn_would(tmp_path):
    """In two answers and two transactions, one of which labels come late for; what is kept and rebuilt says the same."""
    store, (truth, chances) = MonitorStore(tmp_path / "monitor.db"), of_three_classes(1600)
    with store.writing() as connection:
        writing.see_version(connection, KEY, "", None, NOON)
    for number, part in enumerate(np.split(np.arange(1600), 2)):
        join(store, answer(f"{number}", *chances[part].tolist()))
        join(store, label(f"{number}", truth[part].tolist()))

    point = the_only(store)
    area, loss = figure(point, "roc_auc_macro"), figure(point, "log_loss")
    exact = oracle.roc_auc_score(truth, chances, multi_class="ovr", average="macro")
    assert (area.rows, loss.rows) == (1600, 1600)
    assert area.value == pytest.approx(exact, abs=2e-4)
    assert area.interval[0] < exact < area.interval[1]
    assert loss.value == pytest.approx(oracle.log_loss(truth, chances), rel=1e-8)
    assert loss.interval[0] < loss.value < loss.interval[1]
    with store.writing() as connection:
        rebuild(connection, KEY, task_in(store).chosen)
    assert the_only(store) == point


def test_the_positive_class_may_be_the_first_one(tmp_path):
    """Then its chance is not the one that the score is of."""
    store, luck = MonitorStore(tmp_path / "monitor.db"), np.random.default_rng(5)
    scores = luck.random(500)
    truth = (luck.random(500) < scores).astype(int)
    with store.writing() as connection:
        writing.see_version(connection, KEY, "", None, NOON)
        records = [answer("a", *np.stack([1 - scores, scores], axis=1).tolist()), label("a", truth.tolist())]
        Joining(connection, NOON + 120, said={"fraud": SaidTask(Task.BINARY, "0")}).join(records)

    point = the_only(store)

    assert figure(point, "roc_auc").value == pytest.approx(oracle.roc_auc_score(truth, scores), abs=1e-3)
    assert figure(point, "average_precision").value == pytest.approx(
        oracle.average_precision_score(truth == 0, 1 - scores), abs=5e-3
    )


def test_an_answer_that_cannot_be_read_is_counted_and_said(store):
    join(store, answer("a", "x" * 500), answer("b", "yes", kind="text/csv"))

    found = task_in(store)
    assert found.unreadable == 2
    assert "text/csv" in found.why
    assert points(store) == []


def test_old_predictions_are_forgotten_and_their_tallies_stay(store):
    join(store, *(answer(f"{i}", "yes", at=NOON + i) for i in range(20)), *(label(f"{i}", "yes") for i in range(20)))
    with store.writing() as connection:
        written.forget_predictions(connection, NOON + 20, DAY_S, most=5)
    join(store, label("3", "no"), label("18", "no"))

    point = the_only(store)
    assert (point.tally.rows, point.labels.corrected) == (20, 1)
    assert figure(point, "accuracy").value == 19 / 20
    with store.writing() as connection:
        written.forget_predictions(connection, NOON + 2 * DAY_S, DAY_S, most=5)
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)


def test_an_erased_request_is_gone_and_what_was_counted_stays(store):
    join(store, answer("a", "yes", "no"), answer("b", "yes"), label("a", ["yes", "no"]), label("c", "yes"))

    with store.writing() as connection:
        assert [written.erase_request(connection, each) for each in ("a", "c", "nobody")] == [2, 1, 0]
    join(store, label("a", ["no", "no"]))

    assert (the_only(store).tally.rows, the_only(store).labels.corrected) == (2, 0)
    with store.reading() as connection:
        assert kept.predictions_of(connection, "a") == []


ROWS = {"a": 1, "b": 2}
IDS = tuple(ROWS)
STEPS = (
    st.tuples(st.just("answer"), st.sampled_from(IDS)),
    st.tuples(st.just("label"), st.sampled_from(IDS), st.integers(0, 1), st.integers(0, 3), st.sampled_from([1.0, 0.5])),
    st.tuples(
        st.just("whole"), st.sampled_from(IDS), st.lists(st.sampled_from([None, 0, 1, 2, 3]), min_size=1, max_size=3)
    ),
    st.just(("pause",)),
)
ERASE = st.tuples(st.just("erase"), st.sampled_from(IDS))
WORDS = {"classes": ("no", "yes", "maybe", "odd"), "numbers": (-1.0, 0.25, 1e9, 3.0)}


def with_erasures():
    return st.lists(st.one_of(*STEPS, ERASE), max_size=12)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), steps=st.one_of(st.lists(st.one_of(*STEPS), min_size=6, max_size=20), with_erasures()))
def test_any_order_comes_to_the_tally_of_the_final_truth(tmp_path_factory, kind, data, steps):
    """Answers, labels, corrections, repetitions and restarts in any order; each pause ends a transaction."""
    words = WORDS[kind]
    store = store_in(tmp_path_factory.getbasetemp() / f"{kind}.db", CLASSES if kind == "classes" else VALUES)
    told = {each: [words[data.draw(st.integers(0, 1))] for _ in range(ROWS[each])] for each in IDS}
    truth, answered, is_gone, waiting = {}, set(), False, []
    for number, step in enumerate([*steps, ("pause",)]):
        match step:
            case ("answer", name):
                waiting.append(answer(name, *told[name], at=NOON + WIDTH_S * IDS.index(name)))
                answered.add(name)
            case ("label", name, row, word, weight):
                waiting.append(label(name, words[word], row, at=NOON + 60 + number, weight=weight))
                if row < ROWS[name]:
                    truth[name, row] = (words[word], weight)
            case ("whole", name, said):
                labels = [None if each is None else words[each] for each in said]
                waiting.append(label(name, labels, at=NOON + 60 + number))
                if len(said) == ROWS[name]:
                    truth |= {(name, row): (words[each], 1.0) for row, each in enumerate(said) if each is not None}
            case ("erase", name):
                # What waits to be joined would come back: as in a server, where it is joined within seconds.
                join(store, *waiting)
                waiting = []
                with store.writing() as connection:
                    written.erase_request(connection, name)
                is_gone = is_gone or any(place[0] == name for place in truth)
                truth = {place: said for place, said in truth.items() if place[0] != name}
                answered.discard(name)
            case _:
                join(store, *waiting)
                waiting = []

    chosen = task_in(store).chosen
    wanted = [(told[name][row], *found) for (name, row), found in truth.items() if name in answered]
    with store.reading() as connection:
        rows = list(kept.labelled_predictions(connection, KEY))
        slots, hours = (kept.quality_of(connection, KEY, DAY, step_s) for step_s in (WIDTH_S, DAY_S))
    assert Counter((each.prediction, each.label, each.weight) for each in rows) == Counter(wanted)
    if is_gone:
        return  # their tallies may stay or not: a task that is found to be another is counted by what is kept
    assert sum((each.labels for each in slots), LabelTally()).matched == len(wanted)
    if chosen is None or chosen.guess.task is None:
        assert all(each.tally is None for each in slots)
        return
    judged = [chosen.judged(prediction, None, said, weight) for prediction, said, weight in wanted]
    expected = (
        tally_numbers(judged)
        if chosen.guess.task is Task.REGRESSION
        else tally_classes(chosen.guess.classes, chosen.guess.positive, judged)
    )
    assert sum_of(slots) == sum_of(hours) == (expected if wanted else None)


def sum_of(found):
    total = None
    for each in found:
        if each.tally is not None:
            total = each.tally if total is None else total + each.tally
    return total


def test_tallies_that_are_worked_out_again_are_the_same(store):
    join(store, *(answer(f"{i}", "yes" if i % 3 else "no", at=NOON + 100 * i) for i in range(30)))
    join(store, *(label(f"{i}", "yes" if i % 2 else "no") for i in range(25)))
    before = points(store, step_s=WIDTH_S), points(store)

    with store.writing() as connection:
        rebuild(connection, KEY, task_in(store).chosen)

    assert (points(store, step_s=WIDTH_S), points(store)) == before
    with store.reading() as connection:
        whole = tally_of(task_in(store).chosen, list(kept.labelled_predictions(connection, KEY)))
    assert sum_of(points(store)) == whole
