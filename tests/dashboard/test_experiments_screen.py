"""Experiments on their page: what is known of each version, what follows from it, and what blocks that."""

import json
import re
from typing import Any

import pytest
from dashboard_home import endpoint, running, trial
from site_asking import ask

from podium.dashboard.app import site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.sources import DashboardSources
from podium.settings.home import Home


@pytest.fixture
def split(tmp_path):
    """The page of one model with this traffic."""
    folders = []

    def made(**traffic: Any):
        parts = [{"version": "3", "weight": 80, "replicas": 1}, {"version": "4", "weight": 20, "replicas": 1}]
        usual = {"versions": parts, "sticky": None, "naming": False, "shadow": None, "bandit": None, "problems": []}
        told = endpoint("fraud", "models:/fraud/production", traffic={**usual, "experiment": None, **traffic})
        folders.append(running(Home(tmp_path), told))
        return site(DashboardSources(Home(tmp_path), lambda: 1_700_086_400.0), Doorkeeper(None, lambda: 0.0))

    yield made
    for each in folders:
        each.remove()


def page(app) -> str:
    return re.sub(r"\s+", " ", ask(app, "/experiments").text)


@pytest.mark.parametrize(
    ("conclusion", "badge"),
    [
        ("keep running", ("busy", "keep running")),
        ("B better", ("ok", "version 4 is better")),
        ("A better", ("warn", "version 3 is better")),
        ("no difference worth naming", ("quiet", "no difference worth naming")),
    ],
)
def test_what_follows_is_said_of_versions_and_not_of_letters(split, conclusion, badge):
    text = page(split(experiment=trial("3", "4", conclusion)))

    assert text.count(f'class="badge {badge[0]}" title="{badge[1]}">{badge[1]}<') == 2
    assert "It began <time" in text
    assert "Requests went where they were meant to (p = 0.5)" in text
    assert "Version 4 is +0.05 from version 3, between +0.01 and +0.09" in text


def test_a_mismatch_of_requests_is_said_once_and_of_reports_by_version(split):
    """Whichever it is, nothing follows."""
    blocked = trial("3", "4", "blocked by mismatch", routed=1e-9, of_other={"mismatch": 1e-9})
    assert "Requests did not go where they were meant to" in (text := page(split(experiment=blocked)))
    assert "are not reported as often" not in text


def test_reports_that_are_not_alike_are_said_by_version(split):
    text = page(split(experiment=trial("3", "4", "blocked by mismatch", of_other={"mismatch": 1e-9})))

    assert "Answers of version 4 are not reported as often as those of version 3." in text
    assert "did not go where" not in text


def test_before_anything_is_known_it_is_said_how_much_is_missing(split):
    young = {"rated": 40, "difference": None, "low": None, "high": None, "p_value": 1.0, "mismatch": 1.0}
    text = page(
        split(experiment=trial("3", "4", "keep running", of_other=young, routed=None, is_drawn=False), sticky="header:x")
    )

    assert "too little is known" in text
    assert "160 more are needed." in text
    assert "Clients stay with a version by header:x: numbers of requests are not checked" in text
    assert '<svg class="chart forest' not in text


def test_a_bandit_has_chances_and_no_test(split):
    arms = {
        "3": {"percent": 20, "chance": 0.04, "mean": 0.1, "rated": 300},
        "4": {"percent": 80, "chance": 0.96, "mean": 0.2, "rated": 900},
    }
    app = split(bandit=arms, shadow={"version": "6", "percent": 50, "compared": 4100, "agreement_percent": 99.2})
    text = page(app)

    assert text.index("Traffic of version 4") < text.index("Traffic of version 3"), "the likeliest stands first"
    assert "no test of it" in text
    assert "4,100 compared, 99.2 % agree" in text
    rows = json.loads(ask(app, "/experiments?panel=arms&as=json").text)["rows"]
    assert {row["version"]: row["chance"] for row in rows} == {"3": 0.04, "4": 0.96}


def test_what_is_shown_is_there_for_programs(split):
    """Each version with its weight; the control has no comparison."""
    app = split(experiment=trial("3", "4", "B better"))
    control, other = json.loads(ask(app, "/experiments?panel=variants&as=json").text)["rows"]
    splits = json.loads(ask(app, "/experiments?panel=splits&as=json").text)["rows"]

    assert (control["version"], control["is_control"], control["conclusion"]) == ("3", True, None)
    assert (other["weight"], other["low"], other["high"], other["conclusion"]) == (20, 0.01, 0.09, "B better")
    assert [(row["version"], row["weight"]) for row in splits] == [("3", 80), ("4", 20)]
    assert json.loads(ask(app, "/experiments?panel=variants&as=json&model=nobody").text)["rows"] == []
