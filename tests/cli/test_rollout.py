"""`podium rollout` and `podium pin` without a server: what they print, and what they refuse."""

import json

import pytest
from click.testing import CliRunner

from podium.api.registering import Registry
from podium.api.rolling import Rollouts
from podium.cli.main import podium
from podium.errors import PodiumError


@pytest.fixture
def registry(tmp_path, monkeypatch) -> Registry:
    """Version 1 of three of `fraud` is in Production."""
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    made = Registry()
    folder = tmp_path / "model"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / "MLmodel").write_text(f"flavors:\n  python_function:\n    loader_module: m{number}\n")
        made.register(folder, "fraud")
    made.promote("fraud", 1)
    return made


def run(*arguments):
    """What a command printed, as JSON; its error is raised."""
    done = CliRunner().invoke(podium, [*arguments, "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout)


def refused(*arguments) -> str:
    """What a command said when it refused."""
    done = CliRunner().invoke(podium, arguments, standalone_mode=False)
    assert done.exception is not None
    return done.exception.message if isinstance(done.exception, PodiumError) else str(done.exception)


START = ("rollout", "start", "fraud", "--to", "2", "--steps", "5,25,100", "--interval", "60")


def test_a_rollout_is_started_and_told(registry):
    """The names that scripts rely on."""
    run(*START)

    told = run("rollout", "status", "fraud")

    assert (told["state"], told["percent"], told["is_begun"]) == ("running", 0, False)
    assert (told["stable"], told["candidate"], told["follows"]) == ("1", "2", "production")
    assert (told["steps"], told["interval_s"], told["servers"]) == ([5, 25, 100], 60.0, [])
    assert "begins once a server has loaded version 2" in CliRunner().invoke(podium, ["rollout", "status", "fraud"]).stdout


def test_its_words_do_what_kubectl_s_do(registry):
    """pause, resume, finish, undo, history."""
    run(*START)
    states = [run("rollout", word, "fraud")["state"] for word in ("pause", "resume", "finish")]
    live = registry.resolve("models:/fraud/production").version
    states.append(run("rollout", "undo", "fraud", "--reason", "too red")["state"])

    assert states == ["paused", "running", "finished", "undone"]
    assert (live, registry.resolve("models:/fraud/production").version) == (2, 1)
    [kept] = run("rollout", "history", "fraud")
    assert [mark["kind"] for mark in kept["marks"]] == ["pause", "resume", "finish", "undo"]
    assert "too red" in CliRunner().invoke(podium, ["rollout", "history", "fraud"]).stdout


def test_an_alias_has_rollouts_of_its_own(registry):
    """Beside those of the stage."""
    registry.set_alias("fraud", "champion", 1)
    run(*START)
    run("rollout", "start", "fraud", "--to", "3", "--alias", "champion")
    run("rollout", "finish", "fraud", "--alias", "champion")

    assert registry.model("fraud").aliases == {"champion": 3}
    assert run("rollout", "status", "fraud")["state"] == "running"


def test_what_is_tolerated_is_written_down(registry):
    """The candidate is judged by what was said at its start."""
    run(*START, "--tolerate", "errors=0.05", "--tolerate", "latency=any")

    policy = Rollouts().status("fraud").rollout.policy

    assert (policy.errors, policy.latency, policy.predictions) == (0.05, None, 0.1)


REFUSALS = [
    (("rollout", "status", "fraud"), "podium rollout start fraud"),
    (("rollout", "pause", "fraud"), "has no rollout"),
    (("rollout", "start", "fraud", "--to", "9"), "versions 1, 2, 3"),
    (("rollout", "start", "fruad", "--to", "2"), "fraud"),
    (("rollout", "start", "fraud", "--to", "1"), "is version 1 already"),
    (("rollout", "start", "fraud", "--to", "2", "--stage", "staging"), "podium models promote"),
    (("rollout", "start", "fraud", "--to", "2", "--stage", "archived"), "production or staging"),
    (("rollout", "start", "fraud", "--to", "2", "--stage", "production", "--alias", "a"), "one of --stage and --alias"),
    (("rollout", "start", "fraud", "--to", "2", "--steps", "5,25"), "--steps 5,25,100"),
    (("rollout", "start", "fraud", "--to", "2", "--steps", "a,b"), "whole numbers"),
    (("rollout", "start", "fraud", "--to", "2", "--interval", "0"), "--interval 600"),
    (("rollout", "start", "fraud", "--to", "2", "--tolerate", "speed=3"), "--tolerate errors=0.01"),
    (("rollout", "start", "fraud", "--to", "2", "--tolerate", "errors=few"), "errors=any"),
    (("rollout", "start", "fraud", "--to", "2", "--tolerate", "errors=7"), "expected 0 to 1"),
    (("rollout", "start", "fraud", "--to", "2", "--rollout-store", "mysql://x/y"), "postgresql://USER"),
    (("rollout", "start", "fraud", "--to", "2", "--rollout-store", "/no/such/folder/x.db"), "no folder"),
    (("pin", "fraud", "1", "--until", "tomorrow", "--reason", "x"), "2h for two hours"),
    (("pin", "fraud", "1", "--until", "2001-01-01", "--reason", "x"), "over already"),
    (("pin", "fraud", "1", "--until", "2h", "--reason", " "), "needs a reason"),
    (("pin", "fraud", "9", "--until", "2h", "--reason", "x"), "versions 1, 2, 3"),
    (("unpin", "fraud"), "not pinned"),
]


@pytest.mark.parametrize(("arguments", "way_out"), REFUSALS, ids=lambda each: each if isinstance(each, str) else None)
def test_what_cannot_be_done_is_refused_with_the_way_out(registry, arguments, way_out):
    """And nothing is written."""
    assert way_out in refused(*arguments)
    assert registry.model("fraud").tags == {}


def test_without_a_name_the_newest_of_all_are_told(registry, tmp_path):
    """Of each model, and of each stage and alias of it; in a side file, too."""
    side = ("--rollout-store", str(tmp_path / "side.db"))
    before = run("rollout", "status")
    registry.set_alias("fraud", "champion", 1)
    run(*START)
    run("rollout", "undo", "fraud")
    run(*START)
    run("rollout", "start", "fraud", "--to", "3", "--alias", "champion")
    run(*START, *side)

    told = run("rollout", "status")

    assert before == []
    assert [(each["follows"], each["candidate"], each["state"]) for each in told] == [
        ("@champion", "3", "running"),
        ("production", "2", "running"),
    ]
    assert [each["follows"] for each in run("rollout", "status", *side)] == ["production"]
    assert "fraud, @champion: 1 -> 3" in CliRunner().invoke(podium, ["rollout", "status"]).stdout
    assert "Whose rollout?" in refused("rollout", "status", "--wait")


def test_a_pin_is_seen_wherever_the_rollout_is(registry):
    """And it pauses what runs."""
    run(*START)
    run("pin", "fraud", "1", "--until", "2h", "--reason", "the audit")

    told = run("rollout", "status", "fraud")

    assert (told["state"], told["pin"]["version"], told["pin"]["reason"]) == ("paused", "1", "the audit")
    assert run("unpin", "fraud")["pin"] is None


def test_waiting_for_a_rollout_that_was_undone_fails(registry):
    """Exit 1, and why."""
    run(*START)
    run("rollout", "undo", "fraud", "--reason", "too red")

    assert "too red" in refused("rollout", "status", "fraud", "--wait")
