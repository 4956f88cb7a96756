"""The supervisor with limits of a second: what does not answer, boot, fit or end in time."""

import asyncio
import contextlib
import ctypes
import os
import signal
import struct
import time
from pathlib import Path

import pytest
from tinyhouse import NAME, PRODUCTION

from podium.domain.lifecycle import ReplicaState
from podium.domain.references import parse_reference
from podium.errors import LoadFailed, Unavailable
from podium.fleet.bell import Bell
from podium.fleet.host.machine import available_memory
from podium.fleet.site import EndpointOrder, Programs, ServerOrder
from podium.fleet.sources import Wish
from podium.fleet.supervisor import Supervisor
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.serve import ServeSettings


@pytest.fixture
def supervised(house, monkeypatch):
    """Run a supervisor in this process while a coroutine looks on; then it is stopped."""
    monkeypatch.setenv("PODIUM_HOME", str(house.home))
    monkeypatch.setenv("PYTHONPATH", house.environment["PYTHONPATH"])

    def run(look, programs=None, memory=available_memory, **settings):
        async def scene():
            home, reference = Home(house.home), parse_reference(PRODUCTION)
            events = []
            first = Wish(resolve(reference, home))
            endpoint = EndpointOrder(NAME, reference, first, ModelSettings(), RegistryObserver(home))
            settled = ServeSettings(port=0, **{"poll_s": 0.1, "drain_timeout_s": 30.0, **settings})
            order = ServerOrder(home, (endpoint,), NAME, settled, {})
            supervisor = Supervisor(order, events.append, programs, memory=memory)
            serving = asyncio.create_task(supervisor.run())
            looking = asyncio.create_task(look(supervisor, events))
            await asyncio.wait({serving, looking}, return_when=asyncio.FIRST_COMPLETED, timeout=500)
            supervisor.stop()
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await serving
            return await looking

        return asyncio.run(scene())

    return run


async def until(holds, what: str, limit_s: float = 120.0) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.02)


def test_a_gateway_that_does_not_take_a_table_over_is_killed_and_the_swap_goes_on(house, supervised):
    """One of two gateways is stopped (SIGSTOP): after the deadline it is replaced, and the old version is drained."""
    house.register(1)
    house.register(2)
    house.promote(1)

    async def look(supervisor, events):
        await until(lambda: supervisor.status.get("is_settled"), "1 serves")
        stuck = supervisor.status["gateways"][0]["pid"]
        os.kill(stuck, signal.SIGSTOP)
        house.promote(2)
        await until(lambda: supervisor.status["serving"] == "2", "2 is published")
        before = [replica["version"] for replica in supervisor.status["replicas"] if replica["state"] == "ready"]
        await until(lambda: supervisor.status["is_settled"] and supervisor.status["wanted"] == "2", "2 serves")
        await until(lambda: len(supervisor.status["replicas"]) == 1, "1 is gone")
        return stuck, before, supervisor.status["gateways"], [event.kind for event in events]

    stuck, before, gateways, kinds = supervised(look, gateways=2, acknowledge_s=3.0)

    assert before == ["1", "2"]
    assert stuck not in [gateway["pid"] for gateway in gateways]
    assert kinds.index("gateway_died") < kinds.index("swapped")


def test_a_request_need_not_wait_for_whoever_keeps_the_server(house, supervised):
    """The supervisor, and with it a fork server, takes long slices of a processor, which whoever serves interrupts."""

    house.register(1)
    house.promote(1)
    usual = slice_ns(0)

    async def look(supervisor, _):
        await until(lambda: supervisor.status.get("is_settled"), "it serves")
        gateway, worker = supervisor.status["gateways"][0]["pid"], supervisor.status["replicas"][0]["pid"]
        return slice_ns(0), [slice_ns(pid) for pid in (gateway, worker)]

    supervisors, serving = supervised(look)

    assert supervisors == (20_000_000 if usual else 0)  # before Linux 6.12 there are none to be had
    assert serving == [usual, usual]
    assert slice_ns(0) == usual


def slice_ns(pid):
    """How long Linux lets a process run before others have their turn."""
    found = ctypes.create_string_buffer(48)
    call = {"x86_64": 315, "aarch64": 275}[os.uname().machine]
    assert ctypes.CDLL(None).syscall(call, pid, found, 48, 0) == 0
    return struct.unpack("=IIQiIQQQ", found.raw)[5]


def test_a_gateway_that_never_boots_ends_the_start_with_its_reason(house, supervised):
    """It dies three times before it ever listened: an error instead of a loop."""
    house.register(1)
    house.promote(1)

    async def look(supervisor, events):
        await until(lambda: False, "nothing", 480)

    with pytest.raises(
        Unavailable, match=r"The gateway does not start. It ended by itself with status 1. See .*gateway-0.log"
    ):
        supervised(look, programs=Programs(gateway=("podium.no_such_module",)))


def test_a_version_that_does_not_fit_beside_the_other_is_not_started(house, supervised):
    """The memory check: out_of_memory, in words that name both amounts; what serves keeps serving."""
    house.register(1)
    house.register(2)
    house.promote(1)
    free = [1 << 40]

    async def look(supervisor, events):
        await until(lambda: supervisor.status.get("is_settled"), "1 serves")
        free[0] = 1 << 20
        house.promote(2)
        await until(lambda: supervisor.status["wanted_failure"], "2 is given up")
        return supervisor.status

    status = supervised(look, memory=lambda: free[0])

    assert status["serving"] == "1"
    assert status["wanted_failure"]["cause"] == "out_of_memory"
    assert "which is what version 1 takes, and 1 MiB are available" in status["wanted_failure"]["message"]


def test_a_worker_that_hangs_is_killed_and_replaced(house, supervised):
    """Busy with one batch for longer than any client waits; the board says since when."""
    house.register(1)
    house.promote(1)

    async def look(supervisor, events):
        await until(lambda: supervisor.status.get("is_settled"), "1 serves")
        [replica] = supervisor.endpoints[NAME].crew.ready()
        asking = asyncio.create_task(asyncio.to_thread(_post, supervisor.status["port"], 20_000))
        await until(lambda: replica._reader.busy_since_ns, "it is busy")
        replica.check_hang(time.monotonic_ns() + int(10e9))
        patient = replica.state
        replica.check_hang(time.monotonic_ns() + int(100e9))
        await until(lambda: replica.state is ReplicaState.FAILED, "it was killed")
        os.kill(supervisor.status["gateways"][0]["pid"], signal.SIGKILL)
        await until(lambda: [other["id"] for other in supervisor.status["replicas"]] != [replica.id], "it is replaced")
        with contextlib.suppress(OSError):
            await asking
        return patient, replica.failure.cause

    assert supervised(look, timeout_s=10.0) == (ReplicaState.READY, "hang")


def test_a_worker_that_does_not_end_when_told_is_killed(house, supervised):
    """Stopped while it drains: the limit passes, it is killed, and the swap has long been done."""
    house.register(1)
    house.register(2)
    house.promote(1)

    async def look(supervisor, events):
        await until(lambda: supervisor.status.get("is_settled"), "1 serves")
        [replica] = supervisor.endpoints[NAME].crew.ready()
        os.kill(replica.pid, signal.SIGSTOP)
        house.promote(2)
        await until(lambda: supervisor.status["wanted"] == "2" and supervisor.status["is_settled"], "2 serves")
        draining = replica.state
        await until(lambda: replica.state.is_over, "it was killed")
        return draining, replica.failure.cause, supervisor.status["failed"]

    assert supervised(look, drain_timeout_s=0.5) == (ReplicaState.DRAINING, "timeout", [])


def test_the_first_version_that_does_not_load_is_raised(house, supervised):
    """With its cause, and nothing keeps running."""
    house.register(1, "raise ValueError('no')")
    house.promote(1)

    async def look(supervisor, events):
        await until(lambda: False, "nothing", 480)

    with pytest.raises(LoadFailed) as caught:
        supervised(look)
    assert caught.value.cause == "load_error"


def test_copies_of_versions_of_the_past_vanish(house, supervised):
    """Two private copies while two versions are needed, one when the swap is over, none at the end."""
    house.register(1)
    house.register(2)
    house.promote(1)

    async def look(supervisor, events):
        await until(lambda: supervisor.status.get("is_settled"), "1 serves")
        folder: Path = supervisor._folder.endpoint(NAME).models
        first = os.listdir(folder)
        house.promote(2)
        await until(lambda: len(os.listdir(folder)) == 2, "2 is copied")
        await until(lambda: len(os.listdir(folder)) == 1, "the copy of 1 is gone")
        return first, os.listdir(folder), folder

    first, last, folder = supervised(look)

    assert [[name.rpartition("-")[0] for name in names] for names in (first, last)] == [["1-1"], ["2-2"]]
    assert not folder.exists()


def test_memory_is_known_here():
    """The check has something to go by."""
    assert 1 << 20 < available_memory() < 1 << 60


def test_a_bell_wakes_whoever_waits_for_what_became_true():
    """And tells apart that it came true from that the time was over."""

    async def scene():
        bell, facts = Bell(), []
        waiting = asyncio.create_task(bell.until(lambda: bool(facts), 60))
        await asyncio.sleep(0)
        bell.ring()
        await asyncio.sleep(0)
        facts.append(1)
        bell.ring()
        return await waiting, await bell.until(lambda: False, 0.01)

    assert asyncio.run(scene()) == (True, False)


def _post(port: int, milliseconds: float) -> None:
    import http.client
    import json

    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=240)) as connection:
        connection.request(
            "POST", "/invocations", json.dumps({"inputs": [[milliseconds]]}), {"Content-Type": "application/json"}
        )
        with contextlib.suppress(http.client.HTTPException):
            connection.getresponse().read()
