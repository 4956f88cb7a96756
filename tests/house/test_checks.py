"""The four checks of `tasks.py check`, so that one run of the tests says everything."""

import subprocess
import sys

import pytest
from tree import ROOT

pytestmark = pytest.mark.slow

_FLOORS = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["-m", "ruff", "check", "."], id="ruff"),
        pytest.param(["-m", "ruff", "format", "--check", "."], id="format"),
        pytest.param(["-m", "mypy"], id="types"),
        pytest.param(["-c", _FLOORS], id="floors"),
    ],
)
def test_the_check_finds_nothing(command: list[str]):
    """ruff, its formatter, mypy --strict and import-linter all pass on what is here."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=550, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_an_unknown_task_is_named():
    """After the list of those that there are."""
    done = subprocess.run([sys.executable, "tasks.py", "tset"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "python3 tasks.py test " in done.stdout
    assert "there is no task 'tset'" in done.stderr
