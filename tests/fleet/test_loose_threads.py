"""Threads for work that may hang."""

import asyncio
import threading

import pytest

from podium.errors import NotFound
from podium.fleet.loose_threads import LooseThreads


def test_work_is_done_elsewhere_and_its_result_or_error_comes_back():
    """In a thread that the interpreter's end does not wait for."""

    async def ask():
        threads = LooseThreads(2, "asking")
        found = await threads.run(threading.current_thread)
        with pytest.raises(NotFound, match="nothing"):
            await threads.run(fail)
        return found

    def fail():
        raise NotFound("nothing")

    found = asyncio.run(ask())

    assert (found.name, found.daemon) == ("asking", True)
    assert found is not threading.current_thread()


def test_no_more_work_than_is_allowed_is_under_way():
    """Who comes beyond waits until one is done."""
    begun, may_end = threading.Semaphore(0), threading.Event()
    under_way, most = [], []

    def work():
        under_way.append(1)
        most.append(len(under_way))
        begun.release()
        may_end.wait(30)
        under_way.pop()

    async def ask():
        threads = LooseThreads(2, "asking")
        asked = [asyncio.create_task(threads.run(work)) for _ in range(6)]
        await asyncio.to_thread(lambda: (begun.acquire(), begun.acquire()))
        may_end.set()
        await asyncio.gather(*asked)

    asyncio.run(ask())

    assert (len(most), max(most)) == (6, 2)


def test_whoever_stops_waiting_is_not_held_up():
    """What comes of the work later is nobody's any more."""
    begun, may_end = threading.Event(), threading.Event()

    def hang():
        begun.set()
        may_end.wait(30)

    async def ask():
        task = asyncio.create_task(LooseThreads(1, "asking").run(hang))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(ask())
    may_end.set()
