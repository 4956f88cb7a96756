"""ARCHITECTURE.md names files and rooms that exist, and every room that does."""

import ast
import re
from collections import defaultdict
from pathlib import Path

from file_map import sentences
from tree import ROOT, SOURCE, modules, tracked

PAGE = (ROOT / "ARCHITECTURE.md").read_text()


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


def test_every_folder_within_a_room_is_named():
    """With a row of its own, or in the row of its room."""
    rows = dict(re.findall(r"^\| `([\w/]+)/` \| (.*)$", PAGE, re.MULTILINE))
    folders = [path.parent.relative_to(SOURCE) for path in SOURCE.rglob("__init__.py")]
    inner = {folder.as_posix() for folder in folders if len(folder.parts) > 1}

    assert {name for name in rows if "/" in name} - inner == set()
    assert {name for name in inner - rows.keys() if f"`{Path(name).name}/`" not in rows[Path(name).parts[0]]} == set()


def test_every_file_that_a_row_names_stands_in_that_room():
    """Here or within it; of other rooms it is named by its path."""
    rows = re.findall(r"^\| `([\w/]+)/` \| (.*)$", PAGE, re.MULTILINE)
    named = [(room, name) for room, text in rows for name in re.findall(r"`(\w+\.py)`", text)]

    assert len(named) > 150
    assert [each for each in named if not list((SOURCE / each[0]).rglob(each[1]))] == []


def test_every_sentence_of_the_map_is_one():
    """`file_map.py` prints what each file begins with; an empty line would say nothing."""
    assert [path for path, sentence in sentences() if not sentence.endswith(".")] == []


def test_what_docstrings_point_at_exists():
    """Files by their name or path, classes by their module: a move or a new name leaves no dead pointer behind."""
    texts = {path: path.read_text() for path in modules()}
    names = {path.name for path in tracked()} | {"model.py"}
    dead = []
    for path, text in texts.items():
        places = (SOURCE, SOURCE.parent, ROOT, path.parent)
        dead += [
            (str(path), name)
            for name in re.findall(r"`((?:\w+/)*\w+\.py)`", text)
            if not (name in names if "/" not in name else any((place / name).is_file() for place in places))
        ]
        for module, name in re.findall(r"`(?:podium\.)?([a-z_]+(?:\.[a-z_0-9]+)+)\.([A-Z]\w+)[`.(]", text):
            target = SOURCE / f"{module.replace('.', '/')}.py"
            if (SOURCE / module.partition(".")[0]).is_dir() and not re.search(rf"\b{name}\b", texts.get(target, "")):
                dead.append((str(path), f"{module}.{name}"))

    assert dead == []


def test_a_class_that_others_use_means_one_thing():
    """Two classes of one name are told apart by nobody who reads the lines that use them.

    Excepted are what says the same of several libraries, and the plan's actions with the messages that carry them out.
    """
    nodes = [(path, node) for path in modules() for node in ast.walk(ast.parse(path.read_text()))]
    used = {(node.module, each.name) for _, node in nodes if isinstance(node, ast.ImportFrom) for each in node.names}
    found = defaultdict(list)
    for path, node in nodes:
        if isinstance(node, ast.ClassDef) and "flavors" not in path.parts:
            module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
            if (module, node.name) in used:
                found[node.name].append(module)

    assert {"Drain", "Publish"} <= found.keys()
    assert {name: places for name, places in found.items() if len(places) > 1 and name not in {"Drain", "Publish"}} == {}
