"""Finding a Python: the very version, else the minor one; each is asked once."""

import os
import platform
import sys

import pytest

from podium.environments.interpreters import Interpreter, find_interpreter, version_of
from podium.environments.tools import find_uv, tool_environ
from podium.errors import Misconfigured


def python_in(folder, version, said=None):
    """An executable that says what a Python of this version would say, and counts how often it is asked."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin/python"
    python.write_text(f"#!/bin/sh\necho {said or version}\necho asked >> {folder}/asked\n")
    python.chmod(0o755)
    return python


def test_a_python_that_is_not_there_is_named_with_the_way_out():
    with pytest.raises(Misconfigured, match=r"wants Python 3\.99.*uv python install 3\.99.*--env-manager local"):
        find_interpreter("3.99.1", {"PATH": "/nonexistent"})


def test_a_python_that_podium_cannot_run_in_is_named():
    with pytest.raises(Misconfigured, match=r"saved with Python 3\.8, and podium's worker.* needs 3\.11 or newer"):
        find_interpreter("3.8.18", os.environ)


def test_a_python_of_pyenvs_is_found_where_path_has_none(tmp_path):
    """Whatever stands there is asked for its version: a folder's name proves nothing."""
    python = python_in(tmp_path / "versions/3.77.1", "3.77.1")
    (tmp_path / "versions/3.78.0/bin").mkdir(parents=True)

    found = find_interpreter("3.77", {"PATH": "", "PYENV_ROOT": str(tmp_path)})

    assert found == Interpreter(str(python), "3.77.1")
    assert version_of(str(tmp_path / "versions/3.78.0/bin/python")) is None


def test_the_very_version_is_preferred_and_another_one_of_the_minor_stands_in(tmp_path):
    for version in ("3.77.1", "3.77.3"):
        python_in(tmp_path / "versions" / version, version)
    environ = {"PATH": "", "PYENV_ROOT": str(tmp_path)}

    assert find_interpreter("3.77.1", environ).version == "3.77.1"
    assert find_interpreter("3.77.2", environ).version == "3.77.3"


def test_a_shim_on_path_is_passed_over(tmp_path):
    """It answers for whatever the working directory chooses."""
    shim = python_in(tmp_path, "3.77.5")
    (tmp_path / "shims").mkdir()
    shim.rename(tmp_path / "shims/python3.77")

    with pytest.raises(Misconfigured, match=r"wants Python 3\.77"):
        find_interpreter("3.77", {"PATH": str(tmp_path / "shims")})


def test_an_interpreter_is_asked_once_and_again_when_it_changed(tmp_path):
    python, memory = python_in(tmp_path / "one", "3.77.1"), tmp_path / "memory.json"
    first = [version_of(str(python), memory) for _ in range(3)]
    python.write_text("#!/bin/sh\necho 3.77.2\n")

    assert first == ["3.77.1"] * 3
    assert (tmp_path / "one/asked").read_text() == "asked\n"
    assert version_of(str(python), memory) == "3.77.2"


def test_a_python_is_fetched_only_by_who_may(tmp_path):
    environ, fetched = {"PATH": "", "PYENV_ROOT": str(tmp_path)}, []

    def fetch(version):
        fetched.append(version)
        python_in(tmp_path / "versions" / version, version)

    assert find_interpreter("3.77.1", environ, fetch=fetch).version == "3.77.1"
    assert fetched == ["3.77.1"]


def test_ours_is_taken_for_its_own_minor_version_where_the_very_one_is_missing():
    minor = ".".join(platform.python_version().split(".")[:2])

    assert find_interpreter(f"{minor}.99", {"PATH": "/nonexistent"}) == Interpreter(
        sys.executable, platform.python_version()
    ) or find_interpreter(f"{minor}.99", {"PATH": "/nonexistent"}).path.startswith("/usr")


def test_uv_is_found_beside_this_python_or_in_its_package():
    """Where PATH has none; podium[uv] brings it."""
    pytest.importorskip("uv")

    assert find_uv({"PATH": "/nonexistent"})


def test_uv_hears_what_pips_own_files_say(tmp_path):
    """A company's index stands there; uv does not read it."""
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://index.example/simple\nfind-links =\n    /a\n    /b\n")

    told = tool_environ({"PIP_CONFIG_FILE": str(file), "PATH": "/bin", "PYTHONPATH": "/ours"})

    assert told["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert told["UV_FIND_LINKS"] == "/a,/b"
    assert "PYTHONPATH" not in told
    assert tool_environ({"PIP_CONFIG_FILE": str(file), "UV_INDEX_URL": "https://mine"}).get("UV_DEFAULT_INDEX") is None
