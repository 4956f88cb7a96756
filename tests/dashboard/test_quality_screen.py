"""Quality on its page: the figures of the labels that came, and estimates that nobody can take for such."""

import dataclasses
import json
import re
import time
from functools import reduce
from operator import add
from urllib.parse import quote

import pytest
from dashboard_home import HOSTILE, SCRIPT, endpoint, running
from labelled import NAMES, measured_profile, write_labels, write_names_and_numbers
from site_asking import ask

from podium.dashboard.app import site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.sources import DashboardSources
from podium.domain.monitoring.quality.figures import figures
from podium.domain.monitoring.quality.observing import CountedAs, SeenRows
from podium.domain.monitoring.quality.tasks import Task, TaskGuess
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.monitoring.quality.judging import judge_quality
from podium.monitoring.store import quality as kept
from podium.monitoring.store import quality_writing, writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.quality import KeptTask
from podium.monitoring.store.writing import VersionKey
from podium.settings.home import Home

NOW = int(time.time()) // HOUR_S * HOUR_S


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A home whose models had labels for some hours, and the site that shows it."""
    home = Home(tmp_path_factory.mktemp("labelled"))
    write_labels(home, NOW, 0.4)
    write_names_and_numbers(home, NOW)
    return home, site(DashboardSources(home, lambda: float(NOW)), Doorkeeper(None, lambda: 0.0))


def panel(app, address: str, name: str) -> list[dict]:
    return json.loads(ask(app, f"{address}{'&' if '?' in address else '?'}panel={name}&as=json").text)["rows"]


def test_figures_are_those_of_all_labels_of_the_time(labelled):
    """To the digit, with interval, rows and what the profile had; estimates stand apart."""
    home, app = labelled
    with MonitorStore(home.monitor).reading() as connection:
        points = kept.quality_of(connection, VersionKey("risk", "3"), Span(NOW - DAY_S, NOW), HOUR_S)
    measured = {each.metric: each for each in figures(reduce(add, [each.tally for each in points if each.tally]))}
    rows = panel(app, "/models/risk/quality", "figures")
    told = {row["metric"]: row for row in rows if not row["is_estimated"]}

    assert told.keys() == measured.keys()
    for metric, each in measured.items():
        assert told[metric]["value"] == pytest.approx(each.value)
        assert told[metric]["rows"] == each.rows
        assert (told[metric]["low"], told[metric]["high"]) == pytest.approx(each.interval or (None, None))
    assert told["accuracy"]["baseline"] == measured_profile().quality["accuracy"]
    assert told["accuracy"]["verdict"] in {"ok", "warn", "alert"}
    assert {row["metric"] for row in rows if row["is_estimated"]} >= {"accuracy", "roc_auc"}


def test_an_estimate_is_dashed_named_and_goes_on_where_labels_are_missing(labelled):
    """The newest predictions have no labels yet."""
    app = labelled[1]
    text = ask(app, "/models/risk/quality?range=24h&metric=accuracy").text
    rows = panel(app, "/models/risk/quality?metric=accuracy", "quality")
    last = {kind: max(row["start"] for row in rows if row["is_estimated"] is kind) for kind in (False, True)}

    assert len(re.findall(r'class="line [^"]*dashed', text)) == 1
    assert "estimated, without labels" in text
    assert last[True] > last[False]
    for row in rows:
        assert row["low"] <= row["value"] <= row["high"]
        assert row["line"] == ("estimated, without labels" if row["is_estimated"] else "measured")


def first_page(home, *names):
    """The rows of the first page's table and its text, while these models are served."""
    folder = running(home, *(endpoint(name, f"models:/{name}/production") for name in names))
    try:
        app = site(DashboardSources(home, lambda: float(NOW)), Doorkeeper(None, lambda: 0.0))
        return {row["model"]: row for row in panel(app, "/?sort=quality", "models")}, ask(app, "/").text
    finally:
        folder.remove()


def write_fallen(home):
    """A model that had one figure that is worse now, and others of which nobody said what they were."""
    key, profile = VersionKey("fallen", "3"), dataclasses.replace(measured_profile(), quality={"f1": 0.99, "rows": 6000.0})
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, key, "Production", profile, NOW)
        for point in kept.quality_of(connection, VersionKey("risk", "3"), Span(NOW - DAY_S, NOW), HOUR_S):
            quality_writing.put_point(connection, key, point)
        quality_writing.put_task(connection, key, kept.kept_task(connection, VersionKey("risk", "3")))


def test_the_first_page_says_how_good_each_model_is(labelled):
    """What is surely worse than it was is shown of what has one; else the first figure of the task; the worst first."""
    home = labelled[0]
    write_fallen(home)
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, VersionKey("silent", "3"), "Production", None, NOW)
    rows, text = first_page(home, "silent", "numbers", "names", "risk", "fallen")

    assert list(rows) == ["fallen", "risk", "names", "numbers", "silent"]
    told = {name: [row[f"quality{part}"] for part in ("_metric", "", "_verdict", "_s")] for name, row in rows.items()}
    for name, metric in (("fallen", "f1"), ("risk", "accuracy")):
        with MonitorStore(home.monitor).reading() as connection:
            [variant] = judge_quality(connection, VersionKey(name, "3"), NOW).variants
        found = next(each for each in variant.shortfalls if each.figure.metric == metric)
        assert told[name] == [metric, found.figure.value, found.verdict, variant.span.length_s]
    assert told["fallen"][2] == "alert"
    assert (told["names"][0], told["names"][2:]) == ("accuracy", [None, DAY_S])
    assert (told["numbers"][0], told["numbers"][2:]) == ("mae", [None, DAY_S])
    assert told["silent"] == [None] * 4
    assert 'href="/models/fallen/quality?metric=f1"' in text
    assert "MAE, last day" in text
    assert "no labels" in text
    assert "labelled rows of the last day; the profile has 0.990." in text
    assert HOSTILE not in text


@pytest.mark.parametrize(
    ("task", "word"),
    [(TaskGuess(None, "Say which it is."), "task unknown"), (TaskGuess(Task.REGRESSION, "."), "no new lab")],
)
def test_the_first_page_says_why_there_is_no_figure(tmp_path, task, word):
    home, key = Home(tmp_path), VersionKey("odd", "3")
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, key, "Production", None, NOW)
        known = KeptTask(SeenRows(rows=9, labelled=9), CountedAs(task, is_classes=False), 9)
        quality_writing.put_task(connection, key, known)

    assert word in first_page(home, "odd")[1]


def test_labels_are_told_with_how_many_and_how_late(labelled):
    app = labelled[1]
    text = ask(app, "/models/risk/quality").text
    rows = panel(app, "/models/risk/quality", "labels")
    predicted, known = (sum(row[name] for row in rows) for name in ("predicted", "labelled"))

    assert f"{known:,} of {predicted:,}" in text
    assert 0 < known < predicted
    assert all(row["delay_p50_s"] >= 900 for row in rows if row["labelled"])
    assert "Labels come after" in text


def test_what_was_said_of_what_was_true_adds_up(labelled):
    """Each labelled row once, and the part that was right is the accuracy."""
    app = labelled[1]
    cells = panel(app, "/models/risk/quality", "confusion")
    whole = sum(cell["rows"] for cell in cells)
    right = sum(cell["rows"] for cell in cells if cell["true"] == cell["said"])
    [accuracy] = [
        row
        for row in panel(app, "/models/risk/quality", "figures")
        if row["metric"] == "accuracy" and not row["is_estimated"]
    ]

    assert {(cell["true"], cell["said"]) for cell in cells} == {(a, b) for a in "01" for b in "01"}
    assert whole == accuracy["rows"]
    assert right / whole == pytest.approx(accuracy["value"])


def test_scores_come_true_as_often_as_they_say(labelled):
    """Ten tenths, each near the line, with all rows together."""
    app = labelled[1]
    points = panel(app, "/models/risk/quality", "calibration")

    assert len(points) == 10
    assert all(abs(point["score"] - point["share"]) < 0.15 for point in points)
    assert sum(point["rows"] for point in points) == sum(
        row["labelled"] for row in panel(app, "/models/risk/quality", "labels")
    )
    assert 'class="ideal"' in ask(app, "/models/risk/quality").text


def test_variants_have_lines_of_their_own_and_names_stay_text(labelled):
    """Classes and variants are called what somebody called them."""
    app = labelled[1]
    text = ask(app, "/models/names/quality").text
    rows = panel(app, "/models/names/quality", "figures")
    accuracy = {row["variant"]: row["value"] for row in rows if row["metric"] == "accuracy"}

    assert accuracy.keys() == {"stable", HOSTILE}
    assert accuracy["stable"] > accuracy[HOSTILE] + 0.1
    assert {cell["true"] for cell in panel(app, "/models/names/quality", "confusion")} == set(NAMES)
    assert not re.search(r"<(img|script)(?! src=\"/static/)", text)
    assert SCRIPT not in text


def test_numbers_have_errors_and_no_classes(labelled):
    """How far off, by quantiles; the figure that is asked for is the one that is drawn."""
    app = labelled[1]
    text = ask(app, "/models/numbers/quality?metric=bias").text

    assert "How far off" in text
    assert "Whether scores come true" not in text
    assert panel(app, "/models/numbers/quality", "confusion") == []
    [drawn] = panel(app, "/models/numbers/quality?metric=bias", "quality")
    assert drawn["value"] == pytest.approx(1, abs=0.5)
    for metric in ("nothing", SCRIPT):
        assert ask(app, f"/models/numbers/quality?metric={quote(metric)}").status == 200


def test_without_labels_it_is_said_what_to_do(labelled, tmp_path):
    """Before anything was kept, and where nobody watches."""
    app = labelled[1]
    assert (
        "Nobody said yet what was true"
        in ask(app, f"/models/numbers/quality?from={NOW - 9 * DAY_S}&to={NOW - 8 * DAY_S}").text
    )
    folder = running(Home(tmp_path), endpoint("new", "models:/new/production"))
    try:
        text = ask(site(DashboardSources(Home(tmp_path)), Doorkeeper(None, lambda: 0.0)), "/models/new/quality").text
    finally:
        folder.remove()
    assert "/models/new/feedback" in text
    assert 'class="command"' in text


def test_estimates_alone_are_shown_as_such(tmp_path):
    """Scores and a profile that was measured are enough; no label came."""
    home = Home(tmp_path)
    write_labels(home, NOW, 0.1, labelled=0.0)
    app = site(DashboardSources(home, lambda: float(NOW)), Doorkeeper(None, lambda: 0.0))
    text = ask(app, "/models/risk/quality").text

    assert "accuracy, estimated" in text
    assert "all that stands here is estimated from scores" in text
    assert all(row["is_estimated"] for row in panel(app, "/models/risk/quality", "figures"))
    assert "What was said of what was true" not in text
