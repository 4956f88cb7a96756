"""Servers that share rates through a real Redis."""

import shutil
import socket
import subprocess

import pytest

from podium.errors import Misconfigured
from podium.serving.guard.shared_rates import PASSWORD_VARIABLE, check_store


class Redis:
    """A server of the test's own, with a password."""

    def __init__(self, folder) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
            "--requirepass", "sesame", "--daemonize", "no", "--loglevel", "warning",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def redis(tmp_path, monkeypatch):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt install redis-server")
    monkeypatch.setenv(PASSWORD_VARIABLE, "sesame")
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.mark.slow
def test_servers_share_a_rate_and_go_on_without_redis_as_was_said(start, redis, until):
    """What one has let through the other refuses; without Redis one counts alone, and the other lets nobody pass."""
    rates = {"rate_per_address": "40/h", "rate_store": redis.url}
    first = start(clients=rates)
    second = start(clients=rates | {"rate_store_down": "refuse"})
    for server in (first, second):
        server.publish()

    assert [first.get("/version").status for _ in range(40)] == [200] * 40
    assert first.get("/version").status == 429
    until(lambda: second.get("/version").status == 429, "the second server to hear of it")
    redis.stop()
    until(lambda: second.get("/version").status == 503, "the second server to refuse")
    assert first.get("/version").status == 429
    assert second.get("/ping").status == 200
    redis.start()
    until(lambda: second.get("/version").status == 429, "Redis to be used again")
    assert "sesame" not in first.gateway.log.read_text() + second.gateway.log.read_text()


@pytest.mark.parametrize(
    "url",
    ["redis://:sesame@h/0", "redis://u:sesame@h", "redis://h?password=sesame", "http://h", "redis:///0", "redis://h/x"],
)
def test_an_address_that_holds_a_password_or_is_none_is_refused(url):
    """And not repeated."""
    with pytest.raises(Misconfigured) as raised:
        check_store(url)

    assert "sesame" not in raised.value.message
