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
from tinyhouse import is_ending
from wheels import offline, repack, write_wheel

from podium.environments.build import build, existing
from podium.environments.interpreters import find_interpreter
from podium.environments.kept import kept
from podium.environments.resolve import EnvironmentRequest
from podium.environments.running import BuildJob, Stopped
from podium.environments.spec import EnvironmentSpec
from podium.environments.tools import Tools, find_uv, tool_environ
from podium.errors import LoadFailed
from podium.settings.environments import EnvironmentSettings

pytestmark = pytest.mark.slow
OURS = find_interpreter(None, os.environ)
UV = find_uv(os.environ)
BY_PIP, BY_UV = Tools(OURS), Tools(OURS, uv=UV)
needs_uv = pytest.mark.skipif(UV is None, reason="no uv")
# In a process of its own, which is killed half-way: while a tool works, and an interpreter is there already.
BUILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_build import job_of, request_of
from podium.environments.build import build
root = Path(sys.argv[2])
def is_stopped():
    if list(root.glob("*/*/bin/python")):
        os.kill(os.getpid(), signal.SIGKILL)
    return False
build(root, request_of(*sys.argv[3:]), job_of(root, dict(os.environ), is_stopped=is_stopped))
"""


def request_of(*lines, tools=BY_UV, **settings):
    return EnvironmentRequest(EnvironmentSpec(None, lines, lines), tools, EnvironmentSettings(**settings))


def job_of(root, environ, seconds=480.0, **more):
    return BuildJob(root / "logs" / "build.log", tool_environ(environ), time.monotonic() + seconds, **more)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """numpy, and a package of two versions."""
    folder = tmp_path_factory.mktemp("wheels")
    repack(folder, "numpy")
    write_wheel(folder, "tinydep", "1.0", "VERSION = 1\n")
    write_wheel(folder, "tinydep", "2.0", "VERSION = 2\n")
    return folder


@pytest.mark.parametrize("tools", [pytest.param(BY_PIP, id="pip"), pytest.param(BY_UV, id="uv", marks=needs_uv)])
def test_an_environment_holds_what_was_asked_for_and_is_found_again(tmp_path, shelf, tools):
    request = request_of("numpy", "tinydep==1.0", tools=tools)

    built = build(tmp_path, request, job_of(tmp_path, offline(shelf)))

    said = subprocess.run(
        [built.python, "-I", "-c", "import tinydep; print(tinydep.VERSION)"], capture_output=True, check=True
    )
    assert said.stdout == b"1\n"
    assert existing(tmp_path, request).python == built.python
    assert existing(tmp_path, request_of("numpy", tools=tools)) is None


@needs_uv
def test_requests_that_come_to_the_same_versions_share_one_environment(tmp_path, shelf):
    """Whatever their words: what is in it is its name."""
    job = job_of(tmp_path, offline(shelf))
    first = build(tmp_path, request_of("numpy", "tinydep"), job)

    second = build(tmp_path, request_of("numpy", "tinydep>=2"), job)

    assert (first.key, first.python) == (second.key, second.python)
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("tools", [pytest.param(BY_PIP, id="pip"), pytest.param(BY_UV, id="uv", marks=needs_uv)])
def test_what_cannot_be_installed_leaves_nothing_but_a_log(tmp_path, shelf, tools):
    """The message has the tool's last words, without a password, the log's place and the way out."""
    environ = {**offline(shelf), "PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://me:secret@127.0.0.1:9/", "PIP_RETRIES": "0"}
    del environ["PIP_NO_INDEX"]
    request = request_of("no-such-package-of-podiums", tools=tools)

    with pytest.raises(LoadFailed, match="no-such-package-of-podiums") as caught:
        build(tmp_path, request, job_of(tmp_path, {**environ, "UV_HTTP_RETRIES": "0"}))

    assert caught.value.cause == "environment"
    assert "--env-manager local" in caught.value.message
    assert tools is BY_PIP or "--env-wheels FOLDER" in caught.value.message  # without a retry, pip does not say why
    assert str(tmp_path / "logs" / "build.log") in caught.value.message
    assert "secret" not in caught.value.message
    assert existing(tmp_path, request) is None
    assert kept(tmp_path) == []


def test_an_environment_without_numpy_is_none(tmp_path, shelf):
    """The worker needs it; whoever asks later must not be given what cannot work."""
    with pytest.raises(LoadFailed, match="No module named 'numpy'"):
        build(tmp_path, request_of("tinydep", tools=BY_PIP), job_of(tmp_path, offline(shelf)))

    assert kept(tmp_path) == []


@needs_uv
def test_a_build_that_was_killed_is_not_used_and_made_good(tmp_path, shelf):
    """SIGKILL while uv works: no marker, and the next one builds; of the first nothing is left."""
    command = [sys.executable, "-c", BUILD, str(Path(__file__).parent), str(tmp_path), "numpy", "tinydep==2.0"]
    environ = {**offline(shelf), "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(command, env=environ, timeout=480, check=False)
    request = request_of("numpy", "tinydep==2.0")
    left = {path.parent.parent for path in tmp_path.glob("*/*/bin/python")}

    assert killed.returncode == -signal.SIGKILL
    assert existing(tmp_path, request) is None
    built = build(tmp_path, request, job_of(tmp_path, offline(shelf)))

    assert left
    assert {path.parent.parent for path in tmp_path.glob("*/*/bin/python")} == {Path(built.python).parent.parent}
    assert existing(tmp_path, request).python == built.python


@needs_uv
def test_two_who_ask_at_once_get_one_environment(tmp_path, shelf):
    built = []
    request = request_of("numpy")
    threads = [
        threading.Thread(target=lambda: built.append(build(tmp_path, request, job_of(tmp_path, offline(shelf)))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(480)

    assert len(built) == 2
    assert len({each.python for each in built}) == 1
    assert len(list(tmp_path.glob("*/*/bin/python"))) == 1


def test_a_build_ends_when_nobody_wants_it(tmp_path, shelf):
    """Its processes with it; nothing is left that could be taken for an environment."""
    wanted_until = time.monotonic() + 0.5
    job = job_of(tmp_path, offline(shelf), is_stopped=lambda: time.monotonic() > wanted_until)

    with pytest.raises(Stopped):
        build(tmp_path, request_of("numpy", tools=BY_PIP), job)

    assert list(tmp_path.glob("*/*/bin/python")) == []
    assert not [pid for pid in _processes() if str(tmp_path) in _command(pid)]


def test_a_build_has_an_end(tmp_path, shelf):
    with pytest.raises(LoadFailed, match="did not come to an end in time"):
        build(tmp_path, request_of("numpy", tools=BY_PIP), job_of(tmp_path, offline(shelf), seconds=0.3))


@needs_uv
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_is_called_one_and_the_next_try_succeeds(tmp_path, shelf):
    """On a disk of 6 MiB numpy has no room; nothing of it is used."""
    small, request = tmp_path / "small", request_of("numpy")
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(LoadFailed, match=r"the disk is full\. .* MiB left"):
            build(small / "envs", request, job_of(small / "envs", offline(shelf)))

        assert kept(small / "envs") == []
        assert list((small / "envs").glob("*/*/bin/python")) == []
        subprocess.run(["mount", "-o", "remount,size=400m", str(small)], check=True)
        assert build(small / "envs", request, job_of(small / "envs", offline(shelf))).python.startswith(str(small))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@needs_uv
def test_a_folder_of_wheels_takes_the_place_of_every_index(tmp_path, shelf):
    """No variable of ours, no index, no network."""
    environ = {name: value for name, value in offline(shelf).items() if not name.startswith("PIP_")}

    built = build(tmp_path, request_of("numpy", "tinydep", wheels=str(shelf)), job_of(tmp_path, environ))

    assert "tinydep==2.0" in built.resolution.packages


@needs_uv
def test_an_index_that_does_not_date_its_files_is_used_as_it_is_and_that_is_said(tmp_path, shelf):
    """Else every environment of such an index would fail."""
    for wheel in shelf.glob("*.whl"):
        page = tmp_path / "simple" / wheel.name.split("-")[0]
        page.mkdir(parents=True, exist_ok=True)
        with (page / "index.html").open("a") as file:
            file.write(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
    environ = {name: value for name, value in offline(shelf).items() if name != "PIP_NO_INDEX"}
    environ |= {"PIP_FIND_LINKS": "", "UV_DEFAULT_INDEX": (tmp_path / "simple").as_uri()}
    spec, told = EnvironmentSpec(None, ("numpy",), ("numpy",), created="2020-01-01T00:00:01Z"), []
    root = tmp_path / "environments"

    built = build(root, EnvironmentRequest(spec, BY_UV, EnvironmentSettings()), job_of(root, environ, tell=told.append))

    assert "does not say when its files were uploaded" in built.resolution.notice
    assert any("not as of 2020-01-01" in line for line in told)
    assert kept(root)[0].notices == (built.resolution.notice,)


def _processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _command(pid):
    """Of one that lives: who was killed may still stand there until it comes to a processor to die on."""
    place = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        return "" if is_ending(place) else (place / "cmdline").read_bytes().decode(errors="replace")
    return ""
