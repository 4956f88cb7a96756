"""Quality on its page: the figures of the labels that came, and estimates that nobody can take for such."""

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
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.monitoring.store import quality as kept
from podium.monitoring.store.database import MonitorStore
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
