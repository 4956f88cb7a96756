"""What the monitor counted, on the screens: the same figures, the same verdicts, gaps as gaps, and no row ever."""

import json
import re
from urllib.parse import quote, unquote

import pytest
from dashboard_home import HOSTILE, SCRIPT, endpoint, registered, running
from site_asking import ask
from watched import profile, rows, traffic, write_history

from podium.dashboard.app import site
from podium.dashboard.columns import bins_of, quantile_of, quantile_words
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.ranges import TimeRange
from podium.dashboard.sources import DashboardSources
from podium.dashboard.wording import DASH
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.drift.psi import PopulationStability
from podium.domain.monitoring.findings import Check, Role, judge, watch
from podium.domain.monitoring.windows import DAY_S, HOUR_S, Span
from podium.monitoring.store import reading, writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.settings.home import Home

# The rows are drawn by it: on another day other rows would be, and now and then some that look as if they had drifted.
NOW = 1_799_971_200
KEY = VersionKey("fraud", "3")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A home with half a day of history that drifted in its last third, and the site that shows it."""
    home = Home(tmp_path_factory.mktemp("watched"))
    registered(home, tmp_path_factory.mktemp("model") / "folder", "fraud")
    write_history(home, NOW, 0.5)
    folder = running(home, endpoint("fraud", "models:/fraud/production"))
    yield home, site(DashboardSources(home, lambda: float(NOW)), Doorkeeper(None, lambda: 0.0))
    folder.remove()


def panel(app, address: str) -> list[dict]:
    return json.loads(ask(app, address).text)["rows"]


@pytest.mark.parametrize("screen", ["traffic", "drift", "predictions"])
def test_a_monitored_screen_is_shown_and_no_category_becomes_markup(watched, screen):
    """Names of columns and categories come from whoever sends requests."""
    answered = ask(watched[1], f"/models/fraud/{screen}")

    assert answered.status == 200
    assert "<svg" in answered.text
    assert not re.search(r"<(img|script)(?! src=\"/static/)", answered.text)
    assert not re.search(r"\sstyle=|javascript:", answered.text)


def test_requests_on_the_page_are_those_that_were_counted(watched):
    """To the unit, whatever the steps that are drawn."""
    home, app = watched
    with MonitorStore(home.monitor).reading() as connection:
        span = Span(NOW - DAY_S, NOW)
        counted = sum(each.traffic.requests for each in reading.traffic(connection, KEY, span, HOUR_S))

    for length in ("24h", "7d", "30d"):
        drawn = panel(app, f"/models/fraud/traffic?panel=traffic&as=json&range={length}&version=3")
        assert sum(row["requests"] for row in drawn) == counted
        assert len(drawn) <= 310


def test_a_day_of_traffic_is_a_small_page(watched, tmp_path):
    """Below 150 kB, however many versions had a part of it, and however uneven that was."""
    home = Home(tmp_path)
    with MonitorStore(home.monitor).writing() as connection:
        writing.watch(connection, NOW - DAY_S, NOW)
        for number in range(7):
            writing.see_version(connection, VersionKey("busy", str(number)), "", None, NOW - number)
            for minute in range(NOW - DAY_S, NOW, 600):
                asked = 1 + minute * (number + 7) % 9973
                writing.add_traffic(
                    connection, VersionKey("busy", str(number)), minute, traffic(asked, 1 + asked % 7, asked % 5)
                )
    app = site(DashboardSources(home, lambda: float(NOW)), Doorkeeper(None, lambda: 0.0))

    for length in ("24h", "6h", "7d"):
        text = ask(app, f"/models/busy/traffic?range={length}").text
        assert len(text.encode()) < 150_000
        assert "all others" in text
        assert len(ask(watched[1], f"/models/fraud/traffic?range={length}").text.encode()) < 100_000


def test_error_budgets_are_those_of_what_was_counted(watched):
    """Of all versions, in the objective's period; the objectives are lines across the charts."""
    home, app = watched
    with MonitorStore(home.monitor).reading() as connection:
        span = Span(NOW - 30 * DAY_S, NOW)
        keys = [each.key for each in reading.served(connection) if each.key.model == "fraud"]
        total, bad = (sum(each) for each in zip(*[reading.errors(connection, key, span) for key in keys], strict=True))
    available, quick = panel(app, "/models/fraud/traffic?panel=objectives&as=json&version=3")
    text = ask(app, "/models/fraud/traffic").text

    assert (available["requests"], available["bad"]) == (total, bad)
    assert available["budget_left"] == pytest.approx(1 - bad / total / 0.001)
    assert (quick["kind"], quick["threshold_s"]) == ("latency", 0.025)
    assert quick["requests"] > quick["bad"] > 0
    assert quick["burn_rate"] > 1
    assert "objective: 99 % within 25 ms" in text
    assert "objective: at most 0.1 % errors of the server" in text
    assert text.count('class="limit bad"') == 2
    assert panel(app, "/?panel=models&as=json")[0]["budget_left"] == pytest.approx(available["budget_left"])


def test_a_server_that_tells_no_objectives_is_held_to_none(watched, monkeypatch):
    """One of another version of podium, or with objectives in other words."""
    home = watched[0]
    [place] = home.run.glob("*/server.json")
    kept = place.read_text()
    try:
        for objectives in (None, {}, {"": [{"kind": "beauty", "target": 2}]}, {"fraud": []}):
            place.write_text(json.dumps(json.loads(kept) | {"objectives": objectives}))
            assert panel(watched[1], "/models/fraud/traffic?panel=objectives&as=json") == []
            assert panel(watched[1], "/?panel=models&as=json")[0]["budget_left"] is None
    finally:
        place.write_text(kept)


@pytest.mark.parametrize("name", [".", "..", "~", "~..", "a~b"])
def test_a_model_of_any_name_has_pages(tmp_path, name):
    """A browser takes two of these names for steps through the site, and asks for another page."""
    folder = running(Home(tmp_path), endpoint(name, f"models:/{name}/production", state="down"))
    try:
        app = site(DashboardSources(Home(tmp_path)), Doorkeeper(None, lambda: 0.0))
        links = set(re.findall(r'href="(/models/[^"?#]+)', ask(app, "/").text))
        assert links
        for link in links:
            assert not {".", ".."} & set(unquote(link).split("/"))
            answered = ask(app, link)
            assert answered.status == 200
            assert f"<title>{name}: " in answered.text
    finally:
        folder.remove()


def test_columns_together_have_a_panel_with_the_monitor_s_own_figures(watched):
    """The window judged last, its limits, and how it went."""
    home, app = watched
    with MonitorStore(home.monitor).reading() as connection:
        found = next(each for each in reading.latest_findings(connection, KEY) if each.finding.role is Role.TOGETHER)

    text = ask(app, "/models/fraud/drift").text
    (shown,) = panel(app, "/models/fraud/drift?panel=together&as=json")

    drawn = text[text.index('id="together"') :]
    assert "All columns together" in drawn
    assert "<svg" in drawn[: drawn.index("</section>")]
    assert 'class="legend"' in drawn[: drawn.index("</section>")]
    assert (shown["score"], shown["usual"], shown["alert"], shown["rows"], shown["verdict"], shown["is_standing"]) == (
        found.finding.score, found.finding.usual, found.finding.alert, found.finding.rows, found.finding.verdict.value,
        found.is_standing,
    )  # fmt: skip


def test_where_nobody_watched_the_line_is_broken(watched):
    """Two hours in the middle: two pieces and no zero."""
    text = ask(watched[1], "/models/fraud/traffic?version=3").text
    chart = text[text.index("Requests a second of fraud") :]
    chart = chart[: chart.index("</svg>")]

    [line] = re.findall(r'class="line s0" d="([^"]+)"', chart)
    assert line.count("M") == 2
    assert any(row["watched_s"] == 0 for row in panel(watched[1], "/models/fraud/traffic?panel=traffic&as=json"))


def test_drift_is_judged_on_the_page_as_the_monitor_judged_it(watched):
    """The same window, the same scores, the same verdicts; what stands is marked."""
    home, app = watched
    with MonitorStore(home.monitor).reading() as connection:
        stored = {
            (each.finding.role.value, each.finding.name): each
            for each in reading.latest_findings(connection, KEY)
            if each.finding.check is Check.DRIFT and each.finding.role is not Role.TOGETHER
        }
    drawn = {(row["role"], row["column"]): row for row in panel(app, "/models/fraud/drift?panel=columns&as=json")}

    assert drawn.keys() == stored.keys()
    for place, each in stored.items():
        assert drawn[place]["score"] == pytest.approx(each.finding.score)
        assert drawn[place]["verdict"] == each.finding.verdict.value
    assert drawn["feature", "amount"]["verdict"] == "alert"
    assert drawn["feature", "amount"]["is_standing"]
    assert drawn["feature", "age"]["verdict"] == "ok"


def test_the_bins_of_a_column_add_up_to_its_score(watched):
    """Shares to one on both sides, contributions to the PSI that is written above them."""
    app = watched[1]
    bins = panel(app, "/models/fraud/drift?panel=bins&as=json&column=feature:amount")
    [row] = [row for row in panel(app, "/models/fraud/drift?panel=columns&as=json") if row["column"] == "amount"]

    assert sum(each["reference"] for each in bins) == pytest.approx(1)
    assert sum(each["current"] for each in bins) == pytest.approx(1)
    assert sum(each["psi"] for each in bins) == pytest.approx(row["psi"], rel=0.02)


def test_a_new_category_is_told_and_not_named(watched):
    """The profile does not know its name, and nobody else hears it."""
    app = watched[1]
    address = "/models/fraud/drift?column=feature:channel"
    bins = panel(app, f"{address}&panel=bins&as=json")

    assert [each["bin"] for each in bins] == ["web", "shop", HOSTILE, "not named"]
    assert bins[-1]["current"] > 0.03 > bins[-1]["reference"]
    assert "alert(2)" not in ask(app, address).text, "a category that was sent is on the page"


def test_too_few_rows_are_said_and_not_judged(watched):
    """An hour without traffic and one with little are not steady."""
    text = ask(watched[1], f"/models/fraud/drift?from={NOW - 3 * DAY_S}&to={NOW - 2 * DAY_S}").text

    assert "drifted" in text, "the window that was judged last does not move with the trend"
    quiet = site(DashboardSources(watched[0], lambda: NOW + 30.0 * DAY_S), Doorkeeper(None, lambda: 0.0))
    assert "No rows in this time" in ask(quiet, "/models/fraud/drift?window=1h").text


def test_what_was_never_watched_says_what_to_do(watched, shown):
    """A version without a profile, and a home without a monitor."""
    assert "podium monitor baseline" in ask(watched[1], "/models/fraud/drift?version=2").text
    assert "podium monitor baseline" in ask(watched[1], "/models/fraud/predictions?version=2").text
    for screen in ("traffic", "drift", "predictions"):
        answered = ask(shown, f"/models/fraud/{screen}")
        assert answered.status == 200
        assert 'class="empty"' in answered.text
    assert ask(watched[1], "/models/nobody/traffic").status == 404


def test_the_first_page_has_rate_errors_latency_and_drift(watched):
    """Of the last quarter of an hour; what stands needs attention."""
    [row] = panel(watched[1], "/?panel=models&as=json")
    text = ask(watched[1], "/").text

    assert row["requests_a_second"] > 1
    assert 0 < row["p99_s"] < 1
    assert (row["columns"], row["columns_drifted"]) == (4, 2)
    assert "2 of 4 columns, and what it answers, are other" in text


def test_a_store_that_cannot_be_read_takes_no_other_screen_with_it(watched, tmp_path):
    """Damage is told in words."""
    home = Home(tmp_path)
    home.monitor.write_bytes(b"not a database" * 1000)
    folder = running(home, endpoint("fraud", "models:/fraud/production"))
    try:
        app = site(DashboardSources(home), Doorkeeper(None, lambda: 0.0))
        assert "Not everything could be read" in ask(app, "/").text
        answered = ask(app, "/models/fraud/traffic")
        assert answered.status == 503
        assert "monitor.db" in answered.text
        assert "Traceback" not in answered.text
    finally:
        folder.remove()


def test_the_system_says_whether_anybody_watches(watched, shown):
    """And since when nobody does."""
    assert ">watching<" in ask(watched[1], "/system").text
    assert ">nothing written yet<" in ask(shown, "/system").text
    later = site(DashboardSources(watched[0], lambda: NOW + 600.0), Doorkeeper(None, lambda: 0.0))
    assert ">silent<" in ask(later, "/system").text


def test_a_window_of_any_length_is_made_of_what_is_kept():
    """Minutes for a week, hours before; never more points than can be drawn."""
    for length in (60, 3600, 5000, DAY_S, 7 * DAY_S, 90 * DAY_S):
        for back in (0, 2 * DAY_S, 30 * DAY_S):
            asked = TimeRange(NOW - back - length - 7.5, NOW - back - 7.5)
            span, step = asked.grid(NOW, 60, 7 * DAY_S, 300)
            assert span.start <= asked.start
            assert span.end >= asked.end
            assert span.length_s % step == 0
            assert span.length_s / step <= 302
            assert (step % HOUR_S == 0 and span.start % HOUR_S == 0) or (asked.start > NOW - 7 * DAY_S and step % 60 == 0)


def test_quantiles_of_bins_are_near_those_of_the_rows():
    """Within a bin, where there are twenty."""
    made = profile()
    columns, predicted = rows(5000, 99)
    counter = BatchCounter(Layout(made))
    counter.add(5000, columns, predicted)
    found = quantile_of(made.columns["amount"], counter.counts().columns["amount"], 0.5)

    assert found == pytest.approx(sorted(columns["amount"])[2500], rel=0.05)
    assert quantile_words(made.columns["amount"], counter.counts().columns["amount"], 0.999).startswith("> ")
    assert quantile_words(made.columns["amount"], counter.counts().columns["amount"], 0.001).startswith("< ")
    assert quantile_words(made.columns["channel"], counter.counts().columns["channel"], 0.5) == DASH


def test_bins_of_a_column_say_what_its_method_scores():
    """With nothing pooled, the contributions are the score."""
    made = profile()
    columns, predicted = rows(5000, 98, 0.2)
    counter = BatchCounter(Layout(made))
    counter.add(5000, columns, predicted)
    counts = counter.counts()
    [found] = [
        each
        for each in judge(watch(made, counts), Span(0, 60))
        if (each.name, each.check, each.role.value) == ("amount", Check.DRIFT, "feature")
    ]

    assert sum(each.contribution for each in bins_of(made.columns["amount"], counts.columns["amount"])) == pytest.approx(
        found.psi
    )
    assert found.method == PopulationStability.name


def test_a_version_or_a_column_of_any_name_can_be_asked_for(watched):
    """What there is not is as if nothing had been asked."""
    for query in (
        f"version={quote(SCRIPT)}",
        f"column={quote(SCRIPT)}",
        f"column={quote('feature:' + HOSTILE)}",
        "window=x",
    ):
        assert ask(watched[1], f"/models/fraud/drift?{query}").status == 200
