"""Rollouts from the page: paused, resumed, finished and undone, and only the very one that was shown."""

import re

import pytest
from dashboard_home import SCRIPT, registered
from person import Person

from podium import Registry, Rollouts
from podium.api.registering import actor
from podium.dashboard.app import site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.sources import DashboardSources
from podium.domain.stages import Stage
from podium.settings.home import Home

PLACE = "/rollouts/fraud/production"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Home:
    """Its version 1 is tried beside version 2, which is in Production."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "PODIUM_SERVE_ROLLOUT_STORE"):
        monkeypatch.delenv(name, raising=False)
    made = Home(tmp_path / "home").create()
    registered(made, tmp_path / "folder", "fraud", versions=2)
    Rollouts(made).start("fraud", 1)
    return made


@pytest.fixture
def person(home) -> Person:
    return Person(site(DashboardSources(home), Doorkeeper(None, lambda: 0.0), allows_changes=True))


def test_a_rollout_is_paused_resumed_finished_and_undone(home, person):
    """Each button does what its command does, and is there while it would do something; the record says by whom and why."""
    for action, state, buttons in (
        ("pause", "paused", ["resume", "finish", "undo"]),
        ("resume", "running", ["pause", "finish", "undo"]),
        ("finish", "finished", ["undo"]),
        ("undo", "undone", []),
    ):
        address = f"{PLACE}/{action}"
        sent = person.send(address, {**person.form(address), "reason": SCRIPT})
        assert sent.status == 303, sent.text
        page = person.look(sent.headers["location"]).text
        assert SCRIPT not in page
        assert re.findall(r'href="/rollouts/fraud/production/(\w+)"', page) == buttons
        status = Rollouts(home).status("fraud")
        assert (status.state, status.marks[-1].by, status.marks[-1].reason) == (state, actor(), SCRIPT)
    [live] = [each.version for each in Registry(home).versions("fraud") if each.stage is Stage.PRODUCTION]
    assert live == 2


def test_a_rollout_that_began_meanwhile_is_left_alone(home, person):
    """The form is of the one that was shown."""
    form = person.form(f"{PLACE}/undo")
    Rollouts(home).undo("fraud")
    begun = Rollouts(home).start("fraud", 1, again=True)

    refused = person.send(f"{PLACE}/undo", form)

    assert (refused.status, "another rollout has begun meanwhile" in refused.text) == (409, True)
    assert Rollouts(home).status("fraud").state == "running"
    assert Rollouts(home).status("fraud").rollout.id == begun.rollout.id


def test_what_is_no_rollout_has_no_form(home, person):
    """Nor what cannot be done with it now; a form that names none is refused; and who promotes is told of one."""
    wrong = {"/rollouts/none/production/undo": 404, f"{PLACE}/delete": 404, "/rollouts/fraud/archived/undo": 400}
    assert {address: person.look(address).status for address in wrong} == wrong
    assert "from version 2 to 1, which is running, is over then" in person.look("/registry/fraud/versions/1/promote").text
    assert "there is nothing to resume" in person.look(f"{PLACE}/resume").text
    form = person.form(f"{PLACE}/undo")
    assert person.send(f"{PLACE}/undo", {**form, "rollout": ""}).status == 400
    assert Rollouts(home).status("fraud").state == "running"
