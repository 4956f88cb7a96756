"""`podium.Rollouts` from Python."""

import os
import time
from pathlib import Path

import pytest

import podium
from podium.errors import AlreadyExists, InvalidInput, NotFound


@pytest.fixture
def rollouts(tmp_path: Path, monkeypatch) -> podium.Rollouts:
    """`line` has two versions in a registry of podium's own; the first is live."""
    for variable in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    registry = podium.Registry(tmp_path / "home")
    for number in (1, 2):
        folder = tmp_path / f"model-{number}"
        folder.mkdir()
        (folder / "MLmodel").write_text(f"flavors:\n  python_function:\n    loader_module: nowhere.{number}\n")
        registry.register(folder, "line")
    registry.promote("line", 1)
    return podium.Rollouts(tmp_path / "home")


def test_a_rollout_is_started_held_ended_and_remembered(rollouts):
    """Nothing moves before a server has loaded the candidate; a finish moves the stage, an undo moves it back."""
    started = rollouts.start("line", to=2, steps=[5, 25, 100], interval_s=600)
    assert (started.state, started.percent, started.rollout.stable) == ("running", 0, "1")

    assert rollouts.pause("line", "lunch").state == "paused"
    assert rollouts.resume("line").state == rollouts.status("line").state == "running"
    assert rollouts.finish("line").state == "finished"
    assert podium.Registry(rollouts.home).resolve("models:/line/production").version == 2
    assert rollouts.undo("line", "too red").reason == "too red"

    assert podium.Registry(rollouts.home).resolve("models:/line/production").version == 1
    assert [each.state for each in rollouts.history("line")] == ["undone"]


def test_a_pin_is_set_and_taken_back(rollouts):
    """It says whose it is and why; one without a reason is refused."""
    rollouts.start("line", to=2)
    with pytest.raises(InvalidInput, match="needs a reason"):
        rollouts.pin("line", 1, time.time() + 60, " ")

    held = rollouts.pin("line", 1, time.time() + 60, "the audit")

    found = rollouts.status("line").pin
    assert (held.version, held.reason) == ("1", "the audit")
    assert found == held
    rollouts.unpin("line")
    assert rollouts.status("line").pin is None


def test_what_cannot_be_is_refused_and_leaves_nothing(rollouts):
    """A version that is not there, a second rollout beside the first, a model that nobody knows."""
    with pytest.raises(NotFound, match="version"):
        rollouts.start("line", to=9)
    assert rollouts.history("line") == []

    rollouts.start("line", to=2)

    with pytest.raises(AlreadyExists):
        rollouts.start("line", to=2)
    with pytest.raises(NotFound, match="nobody"):
        rollouts.status("nobody")
