"""The cache between processes: killed in the middle, two at once, and a disk that takes no more."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hosts import Handler, hosting
from test_web import FILES, contents, packed

from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.fetch import Remotes
from podium.settings.mlflow import MlflowSettings

KEY = "0" * 64
FETCH = """
import resource, sys
from pathlib import Path
from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.fetch import Remotes
from podium.errors import RegistryError
from podium.settings.mlflow import MlflowSettings
if len(sys.argv) > 4:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
remotes = Remotes(Cache(Path(sys.argv[1])), MlflowSettings(None, None, "a test", timeout_s=240))
try:
    print(remotes.fetch(sys.argv[2], sys.argv[3]))
except RegistryError as error:
    sys.exit(f"told: {error.message}")
"""


def fetching(cache: Path, url: str, *more: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", FETCH, str(cache), url, KEY, *more], text=True, **pipes)


def fetched(cache: Path, url: str) -> dict[str, bytes]:
    return contents(Remotes(Cache(cache), MlflowSettings(None, None, "a test", timeout_s=240)).fetch(url, KEY))


@pytest.fixture
def halfway():
    """A host that stops in the middle of the first whole answer until it is told to go on."""
    content = packed()
    is_there, go_on = threading.Event(), threading.Event()

    def route(handler: Handler):
        if handler.headers["Range"] or is_there.is_set():
            return handler.file(content)
        status, headers, body = handler.file(content)
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:200_000])
        is_there.set()
        go_on.wait(120)
        handler.wfile.write(body[200_000:])
        return None

    with hosting({"/m.tar.gz": route}) as host:
        yield host, is_there, go_on
        go_on.set()


def waited_for(path: Path, size: int) -> None:
    """Until a file that another process writes has grown: nothing tells us of it."""
    pause = threading.Event()
    for _ in range(4000):
        if path.is_file() and path.stat().st_size >= size:
            return
        pause.wait(0.025)
    raise AssertionError(f"{path} did not grow")


def test_a_killed_download_goes_on_where_it_stopped(halfway, tmp_path):
    """SIGKILL: its lock ends with it, and its bytes are used."""
    host, is_there, _ = halfway
    process = fetching(tmp_path, f"{host.url}/m.tar.gz")
    assert is_there.wait(120)
    waited_for(tmp_path / KEY / "incoming/parts/0", 65_536)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=550)

    assert fetched(tmp_path, f"{host.url}/m.tar.gz") == FILES

    start = int(host.asked[-1][1]["Range"].removeprefix("bytes=").rstrip("-"))
    assert start >= 65_536


def test_two_processes_fetch_it_once(halfway, tmp_path):
    """The second waits for the first and uses what it fetched."""
    host, is_there, go_on = halfway
    first = fetching(tmp_path, f"{host.url}/m.tar.gz")
    assert is_there.wait(120)
    second = fetching(tmp_path, f"{host.url}/m.tar.gz")
    go_on.set()

    answers = [process.communicate(timeout=550) for process in (first, second)]

    assert [first.returncode, second.returncode] == [0, 0], answers
    assert answers[0] == answers[1]
    assert len([headers for _, headers in host.asked if headers["Range"] is None]) == 1


def test_a_disk_that_takes_no_more_is_told_and_what_came_is_used_later(tmp_path):
    """A limit on the size of files stands for it: writing fails half way."""
    with hosting({"/m.tar.gz": packed()}) as host:
        process = fetching(tmp_path, f"{host.url}/m.tar.gz", "150000")
        _, errors = process.communicate(timeout=550)
        assert f"told: The cache {tmp_path} failed: File too large." in errors

        assert fetched(tmp_path, f"{host.url}/m.tar.gz") == FILES
