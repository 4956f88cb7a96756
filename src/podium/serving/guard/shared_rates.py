"""Rates that several servers share through Redis, beside requests: none of them ever waits for it.

Each gateway decides by its own server's buckets, and ten times a second tells Redis what it took and hears how far all
servers together are; that is put into its bucket. What all let through beyond a limit is at most what comes within that
tenth of a second. The clock is Redis' own.

What Redis says is believed within a bucket's bounds only: a clock that jumps, or somebody else's value under our key, locks
nobody out for longer than two empty buckets take to be full.
"""

import asyncio
import logging
import os
import re
import time
from typing import Any
from urllib.parse import urlsplit

from podium.errors import Misconfigured
from podium.serving.guard.limiter import Limit, Limiter
from podium.telemetry.buckets import Buckets

_log = logging.getLogger("podium.gateway")
PASSWORD_VARIABLE = "PODIUM_REDIS_PASSWORD"  # noqa: S105  a variable's name
_EACH_S = 0.1
_TIMEOUT_S = 1.0
_PREFIX = "podium:rate:"

_PROBE = _PREFIX + "probe"

# Takes so many microseconds of tokens from a bucket, and says for how long it is not full now. A bucket owes no more than
# it could ever hold, so that whoever overran it is not locked out for longer than an empty one takes to be full twice.
# What is no number is nobody's bucket, and is overwritten.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local kept = redis.pcall('GET', KEYS[1])
kept = type(kept) == 'string' and tonumber(kept) or 0
if kept ~= kept then kept = 0 end
local full = math.max(kept, now) + tonumber(ARGV[1])
full = math.min(full, now + 2 * tonumber(ARGV[2]))
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
return string.format('%.0f', full - now)
"""


class Sharing:
    """Keeps a limiter's buckets level with those of other servers.

    Args:
        url: `redis://HOST:PORT/NUMBER` or `rediss://…`, without a password: that is `PODIUM_REDIS_PASSWORD`.
        limiter: Whose takings are told.
        buckets: Where what all have taken is put.
        again_s: How long to wait where it did not work.
    """

    def __init__(self, url: str, limiter: Limiter, buckets: Buckets, again_s: float = 1.0) -> None:
        self._again_s = again_s
        self._url = url
        self._limiter = limiter
        self._buckets = buckets

    async def run(self) -> None:
        """Exchange until cancelled."""
        import redis.asyncio  # noqa: PLC0415  an extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        client = redis.asyncio.Redis.from_url(
            self._url,
            password=os.environ.get(PASSWORD_VARIABLE) or None,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # The library would try again for seconds, in which nobody hears that rates are not shared; we do it below.
            retry=Retry(NoBackoff(), 0),
        )
        script = client.register_script(_SCRIPT)
        is_up = True
        try:
            while True:
                try:
                    await self._exchange(client, script, is_up)
                except Exception as error:  # noqa: BLE001 - whatever a stranger's server says, this gateway goes on
                    _be_cancelled(error)
                    if is_up:
                        _log.error("rates are not shared: Redis does not answer: %s", type(error).__name__)
                    is_up, self._limiter.is_alone = False, True
                    await asyncio.sleep(self._again_s)
                    continue
                _be_cancelled()
                if not is_up:
                    _log.info("rates are shared again")
                is_up, self._limiter.is_alone = True, False
                await asyncio.sleep(_EACH_S)
        finally:
            await client.aclose()

    async def _exchange(self, client: Any, script: Any, is_up: bool) -> None:
        taken = self._limiter.taken()
        if not is_up:
            # One that answers may still keep nothing: its memory is full, or it is another's replica.
            await script([_PROBE], [0, 1], client=client)
        if not taken:
            await client.ping()
            return
        async with client.pipeline(transaction=False) as pipeline:
            for limit, count in taken:
                rate = limit.rate
                await script([_PREFIX + limit.name], [count * rate.step_ns // 1000, rate.depth_ns // 1000], client=pipeline)
            ahead = await pipeline.execute()
        now = time.monotonic_ns()
        for (limit, _), ahead_us in zip(taken, ahead, strict=True):
            self._raise(limit, now + min(int(ahead_us) * 1000, 2 * limit.rate.depth_ns))

    def _raise(self, limit: Limit, full_at: int) -> None:
        place = self._buckets.place_of(limit.mark)
        if self._buckets.cells[place] < full_at:
            self._buckets.cells[place] = full_at


def _be_cancelled(error: Exception | None = None) -> None:
    """End a task that was cancelled, also where the library has made an error of its own of that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def check_store(url: str) -> None:
    """See that a store's address can be used, and holds no password, which would stand in command lines.

    Raises:
        Misconfigured: It cannot.
    """
    found = urlsplit(url)
    if found.scheme not in {"redis", "rediss"} or not found.hostname or not re.fullmatch(r"(/\d{0,4})?", found.path):
        raise Misconfigured("rate_store is written redis://HOST:PORT/NUMBER, or rediss:// for TLS.")
    if found.password is not None or "password" in found.query.lower():
        raise Misconfigured(f"rate_store holds a password. Put it into the variable {PASSWORD_VARIABLE}.")
