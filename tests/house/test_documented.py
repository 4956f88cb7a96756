"""The reference pages name everything that a person can meet: commands, flags, metrics, errors, exit codes, settings."""

import importlib
import inspect
import re

import click
import pytest
from tree import ROOT, SOURCE

from podium import errors
from podium.cli.main import podium

_REFERENCE = ROOT / "docs" / "reference"


def _commands(group: click.Group, path: tuple[str, ...] = ("podium",)) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        here = (*path, name)
        found += _commands(command, here) if isinstance(command, click.Group) else [(" ".join(here), command)]
    return found


@pytest.mark.parametrize(("path", "command"), _commands(podium), ids=lambda value: value if isinstance(value, str) else "")
def test_each_command_and_flag_is_in_the_reference(path: str, command: click.Command):
    """docs/reference/cli.md has a heading for the command and, under it, each of its long flags."""
    text = (_REFERENCE / "cli.md").read_text()
    section = re.search(rf"^###? `{re.escape(path)}\b.*?(?=^##)", text + "\n##", re.MULTILINE | re.DOTALL)
    assert section, f"docs/reference/cli.md has no heading for `{path}`"
    flags = [name for option in command.params for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]

    assert [flag for flag in flags if f"`{flag}" not in section[0]] == []


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
    text = (_REFERENCE / "files.md").read_text()
    named = {name for path in SOURCE.rglob("*.py") for name in re.findall(r"\bPODIUM_[A-Z_]+\b", path.read_text())}

    assert "PODIUM_HOME" in named
    assert sorted(name for name in named if f"`{name}`" not in text) == []


def test_each_room_is_in_the_architecture():
    """ARCHITECTURE.md says what each room holds."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    rooms = [path.name for path in SOURCE.iterdir() if path.is_dir() and (path / "__init__.py").exists()]

    assert [room for room in rooms if f"`{room}/`" not in text] == []
    assert all(importlib.import_module(f"podium.{room}").__doc__ for room in rooms)
