"""A process that is kept beside what serves: started again however it ended, and ended once for all."""

import asyncio
import os
import signal
import sys
from types import SimpleNamespace

import pytest

from podium.fleet.bell import Bell
from podium.fleet.companion import Companion
from podium.fleet.workers.children import spawn
from podium.transport.messages import Drain, Drained

_PROGRAM = """
import socket, sys
from podium.transport.control import ControlSocket
from podium.transport.messages import Drained
control = ControlSocket(socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1])))
control.send(Drained())
control.receive()
"""


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Runs a scene with a companion whose program says one thing and ends when it is told something."""
    (tmp_path / "companionprogram.py").write_text(_PROGRAM)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def play(scene, failures=0):
        told, heard, left = [], [], [OSError(12, "Cannot allocate memory")] * failures

        def start(log):
            if left:
                raise left.pop()
            return spawn(["companionprogram"], {}, log)

        async def run():
            site = SimpleNamespace(bell=Bell(), tell=told.append)

            def hear(_, message):
                heard.append(message)
                site.bell.ring()

            companion = Companion(site, "page", tmp_path / "page.log", start, hear)
            async with asyncio.timeout(300), asyncio.TaskGroup() as tasks:
                running = tasks.create_task(companion.run())
                await scene(companion, lambda count: site.bell.until(lambda: len(heard) >= count, 120.0))
                await running
            return companion

        return asyncio.run(run()), told, heard

    return play


def test_one_that_dies_or_cannot_be_started_is_started_again_and_it_is_said(kept):
    """Each time with the reason; what it says is heard of each."""

    async def scene(companion, has_said):
        assert await has_said(1)
        os.kill(companion.child.pid, signal.SIGKILL)
        assert await has_said(2)
        await companion.close(0.0)

    companion, told, heard = kept(scene, failures=1)

    assert [(event.kind, event.is_problem) for event in told] == [("page_died", True)] * 2
    assert told[0].text == "the page died and is started again: It could not be started: Cannot allocate memory."
    assert told[1].text.startswith("the page died and is started again: It was ended by SIGKILL")
    assert heard == [Drained(), Drained()]
    assert companion.pids == set()


def test_one_that_is_closed_may_end_by_itself_and_is_not_started_again(kept):
    """Nobody is told of a death that was meant."""

    async def scene(companion, has_said):
        assert await has_said(1)
        companion.child.send(Drain(1.0))
        child = companion.child
        await companion.close(120.0)
        assert await child.end() == 0

    companion, told, heard = kept(scene)

    assert (told, heard, companion.child) == ([], [Drained()], None)
