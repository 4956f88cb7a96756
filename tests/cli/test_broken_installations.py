"""What a command says where podium's own libraries are missing, or something fails that nobody thought of."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import podium
from podium.cli.main import LIBRARIES

SOURCES = Path(podium.__file__).parents[1]
FAILING = """
import sys


class Failing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r} or name == {module!r}:
            raise {error}


sys.meta_path.insert(0, Failing())
"""


def run(folder, module, error, *arguments):
    """A command in a Python in which the import of a module fails."""
    (folder / "sitecustomize.py").write_text(FAILING.format(module=module, error=error))
    environ = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{SOURCES}", "PODIUM_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "podium", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize(("module", "library"), [("msgspec", "msgspec"), ("yaml", "pyyaml"), ("numpy", "numpy")])
def test_a_server_without_one_of_its_libraries_says_which_and_how_it_is_had(tmp_path, module, library):
    """As where podium was put into a model's environment, of which the worker's side needs numpy alone."""
    ended = run(tmp_path, module, "ModuleNotFoundError(f'No module named {name!r}', name=name)", "serve", "-m", "no/model")

    assert ended.returncode == 1
    assert ended.stderr == (
        f"error: This needs {library}, which is not installed in {sys.executable}. "
        f"Run: {sys.executable} -m pip install {library}\n"
    )


@pytest.mark.parametrize("error", ["RuntimeError", "ModuleNotFoundError"])
def test_what_nobody_thought_of_is_told_with_its_place_and_no_password(tmp_path, error):
    """Whoever reports it needs the place."""
    ended = run(tmp_path, "podium.cli.status", f"{error}('http://joe:sesame@host/m')", "status")

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: podium failed as it should not; please report this.\nTraceback")
    assert f"{error}: http://***@host/m" in ended.stderr
    assert "sesame" not in ended.stderr


def test_every_library_that_podium_requires_has_its_name():
    """Or a missing one would look like a mistake of podium's."""
    project = tomllib.loads((SOURCES.parent / "pyproject.toml").read_text())["project"]
    required = {each.partition(">")[0].partition(";")[0].strip() for each in project["dependencies"]}

    assert set(LIBRARIES.values()) == required
