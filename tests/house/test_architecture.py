"""ARCHITECTURE.md names files and rooms that exist, and every room that does."""

import re

from tree import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
SOURCE = ROOT / "src/podium"


def test_every_file_that_a_walk_names_exists():
    """A walk that leads to a wall teaches nothing."""
    named = {name.removeprefix("podium/") for name in re.findall(r"`((?:\w+/)+\w+\.py)`", PAGE)}

    assert len(named) > 20
    assert {name for name in named if not (SOURCE / name).is_file()} == set()


def test_every_room_has_a_line_and_every_line_a_room():
    """A new folder says what it holds before it holds anything."""
    lines = set(re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE))

    assert lines == {folder.name for folder in SOURCE.iterdir() if (folder / "__init__.py").is_file()}


def test_the_floors_on_the_page_are_those_that_are_held():
    """The page shows the layers of import-linter, line for line, but for (those) that nothing stands on yet."""
    contract = re.search(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert contract is not None
    rooms = [re.sub(r" \| \(\w+\)|^\(\w+\)$", "", line) for line in re.findall(r'"([^"]+)"', contract[1])]
    layers = [line for line in rooms if line]

    assert "\n".join(layers) in PAGE
