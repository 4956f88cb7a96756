"""Screens: each is shown, says what is so, and hands out its panels' rows; nobody's text becomes markup."""

import csv
import io
import json
import re
from urllib.parse import quote

import pytest
from dashboard_home import HOSTILE, SCRIPT, endpoint
from site_asking import ask

from podium import Registry, Rollouts
from podium.dashboard.app import SCREENS, site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.health import health_of
from podium.dashboard.sources import DashboardSources
from podium.settings.home import Home

ADDRESSES = [
    "/",
    "/registry",
    "/registry/fraud",
    f"/registry/{HOSTILE}",
    "/registry/fraud/versions/2",
    f"/registry/{HOSTILE}/versions/2",
    "/rollouts",
    "/environments",
    "/system",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_screen_is_shown_and_no_text_of_a_model_becomes_markup(shown, address):
    """Hostile names stand there as they are written, escaped."""
    answered = ask(shown, address)

    assert answered.status == 200
    assert answered.text.startswith("<!doctype html>")
    assert not re.search(r"<(img|script)(?! src=\"/static/)", answered.text), "markup that is not ours"
    assert not re.search(r"\son\w+=(?!alert\(1\)&gt;)|\sstyle=|javascript:", answered.text)
    assert "{{" not in answered.text.replace("{{7*7}}", ""), "a template in a template"


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_panel_is_to_be_had_as_csv_and_json_with_the_same_rows(shown, address):
    """By the links that stand on it."""
    links = re.findall(r'href="([^"]*panel=[^"]*as=json[^"]*)"', ask(shown, address).text)

    for link in {each.replace("&amp;", "&") for each in links}:
        rows = json.loads(ask(shown, link).text)["rows"]
        written = list(csv.reader(io.StringIO(ask(shown, link.replace("as=json", "as=csv")).text)))
        assert len(written) == len(rows) + 1
        assert not rows or written[0] == list(rows[0])


def test_a_panel_has_rows_where_the_page_has(shown):
    """The first page: three models, the worst first."""
    rows = json.loads(ask(shown, "/?panel=models&as=json").text)["rows"]

    assert [(row["model"], row["health"]) for row in rows] == [("lost", "bad"), (HOSTILE, "warn"), ("fraud", "ok")]


def test_a_spreadsheet_runs_nothing_that_was_written_into_a_name(shown, home):
    """What begins like a formula is text."""
    Registry(home).create('=cmd("x")')

    written = ask(shown, "/registry?panel=models&as=csv").text

    assert "\"'=cmd(" in written
    assert not re.search(r'^"?=', written, re.MULTILINE)


def test_what_is_filtered_is_only_what_was_asked_for(shown):
    """By name; and nothing found is said."""
    assert 'href="/models/fraud/traffic">fraud<' in ask(shown, "/?q=frau").text
    assert 'href="/models/fraud/traffic">fraud<' not in ask(shown, "/?q=nobody").text
    assert "No model is called that" in ask(shown, "/?q=nobody").text


def test_a_home_with_nothing_in_it_says_what_to_do(tmp_path):
    """Each screen is shown, and nothing is created."""
    empty = site(DashboardSources(Home(tmp_path / "none")), Doorkeeper(None, lambda: 0.0))

    for address in SCREENS:
        if "{" not in address:
            answered = ask(empty, address)
            assert answered.status == 200
            assert 'class="empty"' in answered.text
            assert 'class="command"' in answered.text
    assert not (tmp_path / "none").exists()


def test_a_registry_that_cannot_be_read_takes_no_other_panel_with_it(tmp_path):
    """What is damaged is told, and what is served still shown."""
    (tmp_path / "registry.db").write_bytes(b"this is no database at all" * 100)
    answered = ask(site(DashboardSources(Home(tmp_path)), Doorkeeper(None, lambda: 0.0)), "/")

    assert answered.status == 200
    assert "Not everything could be read" in answered.text
    assert "registry.db" in answered.text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/registry/nobody", "nobody"),
        ("/registry/fraud/versions/99", "99"),
        ("/registry/fraud/versions/x", "versions are numbers"),
        ("/registry/fraud/versions/" + "9" * 300, "versions are numbers"),
        ("/nothing", "no such page"),
        ("/?panel=nothing", "no panel"),
        ("/static/../app.py", "no such page"),
    ],
)
def test_what_is_not_there_is_not_found(shown, address, said):
    """With words, and without a trace of the program."""
    answered = ask(shown, address)

    assert answered.status == 404
    assert said in answered.text
    assert "Traceback" not in answered.text


def test_a_rollout_stands_there_with_its_share_and_who_began_it(home, shown):
    """Read from the registry, whether a server takes part or not."""
    Rollouts(home).start("fraud", to=2, steps=[5, 50, 100], interval_s=600)

    text = ask(shown, "/rollouts").text

    assert ">running<" in text
    assert "5 %" in text
    assert 'class="chart stair"' in text


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({}, "ok", "serving"),
        ({"state": "asleep"}, "quiet", "asleep"),
        ({"state": "swapping"}, "busy", "swapping"),
        ({"state": "failed", "source": {"is_up": True, "error": "gone"}}, "bad", "failed"),
        ({"state": "degraded", "replicas_wanted": 3}, "warn", "degraded"),
        ({"wanted_failure": {"version": "4", "message": "no"}}, "bad", "load failed"),
        ({"source": {"is_up": False, "error": "refused"}}, "warn", "registry away"),
        ({"rollout": {"state": "rejected", "candidate": "4", "reason": "worse"}}, "warn", "rejected"),
        ({"pin": {"version": "3", "reason": "held"}}, "busy", "pinned"),
        ({"state": "something new"}, "warn", "something new"),
    ],
)
def test_the_light_is_the_worst_of_what_the_status_says(changes, level, word):
    """The truth table of a model's health."""
    found = health_of(endpoint("fraud", "models:/fraud/production", **changes))

    assert (level, word) == (found.level, found.word)


def test_every_address_of_a_page_stays_on_it(shown):
    """No link leads to another site, whatever a model is called."""
    for address in ADDRESSES:
        for link in re.findall(r'(?:href|src|action)="([^"]*)"', ask(shown, address).text):
            assert link.startswith(("/", "#")), link
            assert not link.startswith("//"), link


def test_a_name_is_quoted_where_it_is_part_of_an_address(shown):
    """So that what is behind a ? or a # in it is not lost."""
    assert f'href="/registry/{quote(HOSTILE, safe="")}"' in ask(shown, "/registry").text
    assert SCRIPT not in ask(shown, f"/registry/{HOSTILE}").text
