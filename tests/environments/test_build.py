"""Building an environment: whole or not at all, once for all who ask, ended when nobody wants it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from wheels import offline, repack, write_wheel

from podium.environments.build import Stopped, Tools, build, existing
from podium.environments.interpreters import Interpreter, find_interpreter, find_uv, version_of
from podium.environments.spec import EnvironmentSpec
from podium.errors import LoadFailed, Misconfigured

OURS = find_interpreter(None, os.environ)
UV = find_uv(os.environ)
HERE = Path(__file__).parent
# In a process of its own, so that it can be killed half-way.
BUILD = """
import os, sys
from pathlib import Path
from podium.environments.build import Tools, build
from podium.environments.interpreters import find_interpreter
from podium.environments.spec import EnvironmentSpec
spec = EnvironmentSpec(None, tuple(sys.argv[2:]), tuple(sys.argv[2:]))
build(Path(sys.argv[1]), spec, Tools(find_interpreter(None, os.environ)), os.environ)
"""


def spec_of(*lines):
    return EnvironmentSpec(None, lines, lines)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """numpy, and a package of two versions."""
    folder = tmp_path_factory.mktemp("wheels")
    repack(folder, "numpy")
    write_wheel(folder, "tinydep", "1.0", "VERSION = 1\n")
    write_wheel(folder, "tinydep", "2.0", "VERSION = 2\n")
    return folder


@pytest.mark.parametrize("uv", [None, pytest.param(UV, marks=pytest.mark.skipif(UV is None, reason="no uv"))])
def test_an_environment_holds_what_was_asked_for_and_is_found_again(tmp_path, shelf, uv):
    spec, tools = spec_of("numpy", "tinydep==1.0"), Tools(OURS, uv=uv)

    python = build(tmp_path, spec, tools, offline(shelf))

    said = subprocess.run([python, "-I", "-c", "import tinydep; print(tinydep.VERSION)"], capture_output=True, check=True)
    assert said.stdout == b"1\n"
    assert existing(tmp_path, spec, tools) == python
    assert existing(tmp_path, spec_of("numpy"), tools) is None


def test_what_cannot_be_installed_leaves_nothing_but_a_log(tmp_path, shelf):
    """The message has the tool's last words, without a password, the log's place and the way out."""
    environ = {**offline(shelf), "PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://me:secret@127.0.0.1:9/", "PIP_RETRIES": "0"}
    spec, tools = spec_of("no-such-package-of-podiums"), Tools(OURS)

    with pytest.raises(LoadFailed, match="no-such-package-of-podiums") as caught:
        build(tmp_path, spec, tools, environ)

    assert caught.value.cause == "environment"
    assert "--env-manager local" in caught.value.message
    assert "secret" not in caught.value.message
    assert existing(tmp_path, spec, tools) is None
    assert {path.suffix for path in tmp_path.iterdir()} == {".log", ".lock"}


def test_an_environment_without_numpy_is_none(tmp_path, shelf):
    """The worker needs it; whoever asks later must not be given what cannot work."""
    with pytest.raises(LoadFailed, match="No module named 'numpy'"):
        build(tmp_path, spec_of("tinydep"), Tools(OURS), offline(shelf))


def test_a_build_that_was_killed_is_not_used_and_made_good(tmp_path, shelf):
    """SIGKILL while pip runs: no marker, and the next one builds."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path), "numpy", "tinydep==2.0"], env=offline(shelf), start_new_session=True
    )
    spec, tools = spec_of("numpy", "tinydep==2.0"), Tools(OURS)
    folder = tmp_path / spec.key(tools.identity)
    _until(lambda: list(folder.glob("*/bin/python")), process)
    process.kill()
    process.wait(20)

    assert existing(tmp_path, spec, tools) is None
    left = {path.name for path in folder.iterdir() if path.is_dir()}
    python = build(tmp_path, spec, tools, offline(shelf))

    assert existing(tmp_path, spec, tools) == python
    assert left
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {Path(python).parent.parent.name}


def test_two_who_ask_at_once_get_one_environment(tmp_path, shelf):
    pythons: list[str] = []
    spec, tools = spec_of("numpy"), Tools(OURS)
    threads = [
        threading.Thread(target=lambda: pythons.append(build(tmp_path, spec, tools, offline(shelf)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert len(pythons) == 2
    assert len(set(pythons)) == 1


def test_a_build_ends_when_nobody_wants_it(tmp_path, shelf):
    """Its processes with it; nothing is left that could be taken for an environment."""
    wanted_until = time.monotonic() + 0.5

    with pytest.raises(Stopped):
        build(tmp_path, spec_of("numpy"), Tools(OURS), offline(shelf), lambda: time.monotonic() > wanted_until)

    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert not [pid for pid in _processes() if str(tmp_path) in _command(pid)]


def test_a_build_has_an_end(tmp_path, shelf):
    with pytest.raises(LoadFailed, match="did not come to an end in time"):
        build(tmp_path, spec_of("numpy"), Tools(OURS), offline(shelf), limit_s=0.3)


def test_a_python_that_is_not_there_is_named_with_the_way_out():
    with pytest.raises(Misconfigured, match=r"wants Python 3\.99.*uv python install 3\.99.*--env-manager local"):
        find_interpreter("3.99", {"PATH": "/nonexistent"})


def test_a_python_that_podium_cannot_run_in_is_named():
    with pytest.raises(Misconfigured, match=r"saved with Python 3\.8, and podium's worker.* needs 3\.11 or newer"):
        find_interpreter("3.8", os.environ)


def test_a_python_of_pyenvs_is_found_where_path_has_none(tmp_path):
    """Whatever stands there is asked for its version: a folder's name proves nothing."""
    for version in ("3.77.1", "3.78.0"):
        (tmp_path / "versions" / version / "bin").mkdir(parents=True)
    python = tmp_path / "versions/3.77.1/bin/python"
    python.write_text("#!/bin/sh\necho 3.77.1\n")
    python.chmod(0o755)

    assert find_interpreter("3.77", {"PATH": "", "PYENV_ROOT": str(tmp_path)}) == Interpreter(str(python), "3.77.1")
    assert version_of(str(tmp_path / "versions/3.78.0/bin/python")) is None


def _processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _command(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _until(holds, process):
    deadline = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, "the build was over before it could be killed"
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError("the build did not begin within 60 s")
        time.sleep(0.01)
