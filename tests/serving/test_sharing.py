"""Servers that share rates through a real Redis."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import threading

import pytest
from ports import free_port
from redis import Redis as Client
from redis import RedisError

from podium.errors import Misconfigured
from podium.serving.guard.limiter import Limiter
from podium.serving.guard.shared_rates import PASSWORD_VARIABLE, Sharing, check_store
from podium.settings.limits import ClientLimits, ModelLimits
from podium.telemetry.buckets import CELLS, Buckets


class Redis:
    """A server of the test's own, with a password."""

    def __init__(self, folder) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            "redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder),
            "--requirepass", "sesame", "--daemonize", "no", "--loglevel", "warning",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def client(self) -> Client:
        return Client.from_url(self.url, password="sesame")

    def answers(self) -> bool:
        with self.client() as client, contextlib.suppress(RedisError):
            return bool(client.ping())
        return False

    def calls_of(self, command: str) -> int:
        with self.client() as client:
            return int(client.info("commandstats")[f"cmdstat_{command}"]["calls"])

    def stop_for_now(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(120)


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
    rates = {"rate_per_address": "40/d", "rate_store": redis.url}
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


class Sharer:
    """One server's sharing, without the server: nobody waits but the test."""

    def __init__(self, redis, **more) -> None:
        self.clients = ClientLimits(rate_per_address="40/h", rate_store=redis.url, **more)
        self.buckets = Buckets(memoryview(bytearray(8 * CELLS)).cast("Q"), 7)
        self.limiter = Limiter(self.clients, ModelLimits(), {}, self.buckets)
        self.sharing = Sharing(redis.url, self.limiter, self.buckets, again_s=0.02)

    def take(self) -> bool:
        return isinstance(self.limiter.take(self.limiter.of_address("192.0.2.1")), bytes)


KEY = "podium:rate:address 192.0.2.1 40/h"


@pytest.fixture
def sharer(redis, until):
    """One that shares, in a thread of its own."""
    found = Sharer(redis)
    loop = asyncio.new_event_loop()
    sharing = loop.create_task(found.sharing.run())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(sharing, return_exceptions=True)))
    until(redis.answers, "Redis to answer")
    thread.start()
    yield found
    loop.call_soon_threadsafe(sharing.cancel)
    thread.join(60)
    loop.close()


@pytest.mark.parametrize("left", ["no number", "nan", "9" * 18, None])
def test_what_somebody_else_left_under_a_key_locks_nobody_out(redis, sharer, until, left):
    """It is overwritten, of whatever type it is, and believed no further than two empty buckets."""
    with redis.client() as asked:
        _ = asked.rpush(KEY, "a list") if left is None else asked.set(KEY, left)
        assert sharer.take()

        def is_a_bucket() -> bool:
            # What was taken is not told again where Redis was too slow to answer.
            if sharer.limiter.is_alone:
                sharer.take()
            return asked.type(KEY) == b"string" and asked.pttl(KEY) > 0

        until(is_a_bucket, "a bucket in the key's place")

        assert asked.pttl(KEY) <= 2 * 3_600_000 + 1
    until(lambda: not sharer.limiter.is_alone, "that it is shared")


class Swallowing(Sharing):
    """As the library does at times: of being cancelled while it closes a connection it makes an error of its own."""

    async def _exchange(self, *_) -> None:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError as error:
            raise ConnectionError from error


def test_who_is_told_to_end_ends_although_the_library_says_otherwise():
    limiter = Limiter(ClientLimits(), ModelLimits(), {}, Buckets(memoryview(bytearray(8 * CELLS)).cast("Q"), 7))

    async def scene():
        sharing = asyncio.create_task(Swallowing("redis://127.0.0.1:1/0", limiter, None).run())
        await asyncio.sleep(0)
        sharing.cancel()
        await asyncio.wait({sharing}, timeout=60)
        return sharing.cancelled()

    assert asyncio.run(scene())


def test_a_redis_that_is_full_or_stands_still_shares_nothing(redis, sharer, until):
    """Also while nobody asks: one that answers a ping and keeps nothing is none. Afterwards it is used again."""
    with redis.client() as asked:
        asked.config_set("maxmemory", 1)
        assert sharer.take()
        until(lambda: sharer.limiter.is_alone, "that Redis keeps nothing to be noticed")
        pings = redis.calls_of("evalsha")
        until(lambda: redis.calls_of("evalsha") > pings + 3 or not sharer.limiter.is_alone, "some attempts")
        assert sharer.limiter.is_alone
        asked.config_set("maxmemory", 0)
        until(lambda: not sharer.limiter.is_alone, "Redis to be used again")

    redis.stop_for_now()
    until(lambda: sharer.limiter.is_alone, "that Redis stands still to be noticed")
    redis.go_on()
    until(lambda: not sharer.limiter.is_alone, "Redis to be used again")


@pytest.mark.parametrize(
    "url",
    ["redis://:sesame@h/0", "redis://u:sesame@h", "redis://h?password=sesame", "http://h", "redis:///0", "redis://h/x"],
)
def test_an_address_that_holds_a_password_or_is_none_is_refused(url):
    """And not repeated."""
    with pytest.raises(Misconfigured) as raised:
        check_store(url)

    assert "sesame" not in raised.value.message
