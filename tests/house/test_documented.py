"""The reference pages name everything that a person can meet: commands, flags, metrics, errors, exit codes, settings."""

import importlib
import inspect
import re

import settings_reference
from cli_reference import reference
from tree import ROOT, SOURCE

from podium import errors

_REFERENCE = ROOT / "docs" / "reference"


def test_the_command_reference_is_what_the_commands_say():
    """docs/reference/cli.md is made by cli_reference.py; make it again after a change of a command."""
    assert (_REFERENCE / "cli.md").read_text() == reference()


def test_the_settings_reference_is_what_is_declared():
    """docs/reference/settings.md is made by settings_reference.py; make it again after a change of a setting."""
    assert (_REFERENCE / "settings.md").read_text() == settings_reference.reference()


def test_each_error_is_in_the_reference():
    """docs/reference/errors.md names each class and its code."""
    text = (_REFERENCE / "errors.md").read_text()
    classes = [thing for _, thing in inspect.getmembers(errors, inspect.isclass) if issubclass(thing, errors.PodiumError)]

    assert [thing.__name__ for thing in classes if f"`{thing.__name__}`" not in text or f"`{thing.code}`" not in text] == []


def test_each_metric_is_in_the_reference():
    """docs/reference/metrics.md names each `podium_*` metric that the source names."""
    text = (_REFERENCE / "metrics.md").read_text()
    named = {
        name
        for path in (SOURCE / "telemetry").rglob("*.py")
        for name in re.findall(r"\bpodium_[a-z_]+\b", path.read_text())
    }

    assert named
    assert sorted(name for name in named if f"`{name}`" not in text) == []


def test_each_environment_variable_is_in_the_reference():
    """docs/reference/files.md names each PODIUM_* variable that the source reads."""
    text = (_REFERENCE / "files.md").read_text() + (_REFERENCE / "settings.md").read_text()
    named = {name for path in SOURCE.rglob("*.py") for name in re.findall(r"\bPODIUM_[A-Z_]+\b", path.read_text())}

    assert "PODIUM_HOME" in named
    assert sorted(name for name in named if f"`{name}`" not in text) == []


def test_each_room_is_in_the_architecture():
    """ARCHITECTURE.md says what each room holds."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()]

    assert [room for room in rooms if f"`{room}/`" not in text] == []
    assert all(importlib.import_module(f"podium.{room}").__doc__ for room in rooms)
