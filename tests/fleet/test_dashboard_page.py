"""A server with a dashboard: there as long as the server is, back when it dies, and missed by nobody who is served."""

import os
import re
import signal
import socket
import urllib.error
import urllib.request

import pytest
from tinyhouse import PRODUCTION, House, until

pytestmark = pytest.mark.slow


def page_of(house: House, other_than: int = 0) -> int:
    """The process of the one there is."""

    def found() -> list[int]:
        return [pid for pid, line in house.processes().items() if "podium.dashboard" in line and pid != other_than]

    until(lambda: bool(found()), "a dashboard")
    return found()[0]


def look(url: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"accept": "text/html", **headers})
    try:
        with urllib.request.urlopen(request, timeout=240) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_server_has_a_dashboard_that_dies_comes_back_and_ends_with_it(house: House) -> None:
    """On a port of its own that is kept while the process is started again; requests are answered meanwhile."""
    house.register(1)
    house.promote(1)
    with house.serving("--dashboard-port", "0") as server:
        [url] = re.findall(r"the dashboard is at (http://127\.0\.0\.1:\d+)", server.said())
        assert ">serving</span>" in look(url)[1]
        assert look(f"{url}/alerts/test")[0] == 403, "it only reads"
        first = page_of(house)
        os.kill(first, signal.SIGKILL)
        assert server.ask()[0] == 200
        # The socket is the supervisor's: who comes meanwhile waits in its line.
        assert ">serving</span>" in look(url)[1]
        page_of(house, other_than=first)
        os.kill(server.process.pid, signal.SIGKILL)
        until(lambda: not house.processes(), "the end of all with their supervisor")


def test_a_server_that_asks_for_keys_has_a_dashboard_that_does(house: House) -> None:
    """Also on this machine; and a port that is taken is said before anything is served."""
    house.register(1)
    house.promote(1)
    key, admin = (house.command("keys", "create", "--scope", scope).stdout.strip() for scope in ("read", "admin"))
    with house.serving("--dashboard-port", "0", "--require-keys", "--dashboard-changes") as server:
        [url] = re.findall(r"the dashboard is at (\S+)", server.said())
        assert "Sign in" in look(url)[1]
        assert ">serving</span>" in look(url, **{"x-api-key": key})[1]
        asked = {
            scope: look(f"{url}/alerts/test", **{"x-api-key": each})[0] for scope, each in (("read", key), ("admin", admin))
        }
        assert asked == {"read": 403, "admin": 200}, "who may change something"
        assert server.stop() == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = house.command("serve", "-m", PRODUCTION, "--port", "0", "--dashboard-port", port)
        assert done.returncode == 2
        assert port in done.stderr
