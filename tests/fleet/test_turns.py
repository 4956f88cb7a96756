"""Loading in turns: who waits, who comes next, and that nobody keeps the turn for ever."""

import asyncio

from podium.fleet.workers.turns import Turns


def test_so_many_load_at_a_time_and_the_next_comes_when_one_is_ready():
    """Two places, four models; given back twice is given back once."""

    async def scene():
        turns, began = Turns(2), []

        async def load(replica, endpoint):
            await turns.take(replica, endpoint, is_awaited=False)
            began.append(replica)

        tasks = [asyncio.create_task(load(replica, name)) for replica, name in enumerate("abcd")]
        await settle()
        first = list(began)
        turns.give_back(0)
        turns.give_back(0)
        await settle()
        second = list(began)
        turns.give_back(1)
        await asyncio.gather(*tasks)
        return first, second, began

    assert asyncio.run(scene()) == ([0, 1], [0, 1, 2], [0, 1, 2, 3])


def test_what_serves_meanwhile_loads_one_after_the_other_where_two_may():
    """And what does not serve takes the other place."""

    async def scene():
        turns, began = Turns(2), []

        async def load(replica, endpoint, is_beside):
            await turns.take(replica, endpoint, is_awaited=False, is_beside=is_beside)
            began.append(replica)

        tasks = [asyncio.create_task(load(*each)) for each in ((0, "a", True), (1, "b", True), (2, "c", False))]
        await settle()
        first = list(began)
        turns.give_back(0)
        await asyncio.gather(*tasks)
        return first, began

    assert asyncio.run(scene()) == ([0, 2], [0, 2, 1])


def test_who_is_cancelled_holds_no_place():
    """Waiting or just called: the next one comes."""

    async def scene():
        turns = Turns(1)
        await turns.take(0, "a", is_awaited=False)
        waiting, called = (asyncio.create_task(turns.take(each, "b", is_awaited=False)) for each in (1, 2))
        await settle()
        waiting.cancel()
        turns.give_back(0)
        called.cancel()
        await settle()
        async with asyncio.timeout(60):
            await turns.take(3, "c", is_awaited=False)
        return True

    assert asyncio.run(scene())


def test_a_load_that_hangs_holds_up_nobody_for_ever():
    """After its time it counts no more."""

    async def scene():
        turns = Turns(1, longest_s=0.01)
        await turns.take(0, "hangs", is_awaited=False)
        async with asyncio.timeout(60):
            await turns.take(1, "a", is_awaited=False)
        return True

    assert asyncio.run(scene())


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)
