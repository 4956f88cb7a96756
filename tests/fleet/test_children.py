"""A child process: what it says is heard, its end is seen, and whatever it started goes with it."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tinyhouse import until

from podium.fleet.host.machine import started_at
from podium.fleet.workers import children, forks, orphans
from podium.fleet.workers.children import Child, spawn
from podium.fleet.workers.forks import Forks, library_for
from podium.fleet.workers.isolation import World
from podium.transport.messages import Attach, Drain, Drained, Loading

_PREAMBLE = """
import os, signal, socket, subprocess, sys, time
from podium.transport.control import ControlSocket
from podium.transport.messages import Drained, Loading
sock = socket.socket(fileno=int(sys.argv[sys.argv.index("--control-fd") + 1]))
control = ControlSocket(sock)
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A module of the given lines, run as a child."""

    def made(lines: str) -> list[str]:
        (tmp_path / "childprogram.py").write_text(_PREAMBLE + lines)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
        return ["childprogram"]

    return made


def run(module, talk, log: Path | None = None):
    """Spawn, talk, clean up."""

    async def scene():
        child = spawn(module, {}, log)
        try:
            async with asyncio.timeout(120):
                return await talk(child)
        finally:
            await child.end()

    return asyncio.run(scene())


async def everything(child: Child):
    """All messages until the child hangs up."""
    heard = []
    while (messages := await child.receive()) is not None:
        heard += messages
    return heard


@pytest.fixture
def mark():
    """Of this test alone: whoever has it is ended, and the same tests may run beside it."""
    return secrets.token_hex(8)


async def status_of(child: Child) -> int:
    """Of one that ends by itself."""
    assert await child.over(120)
    return await child.end()


def test_what_it_said_before_it_died_is_heard(program):
    """Messages that are still in the socket when the process has ended are not lost."""
    module = program("control.send(Loading('a')); control.send(Loading('b')); os._exit(3)")

    async def talk(child):
        await child.over()
        return await everything(child), await child.end()

    assert run(module, talk) == ([Loading("a"), Loading("b")], 3)


def test_its_end_is_seen_although_a_descendant_holds_the_socket_open(program):
    """A model forked a process that inherits everything: the worker's death is seen all the same."""
    module = program("if os.fork() == 0:\n    time.sleep(600)\nos._exit(5)")

    async def talk(child):
        return await everything(child), await status_of(child)

    assert run(module, talk) == ([], 5)


def test_whatever_it_started_goes_with_it(program):
    """Descendants in its process group are killed when it has ended."""
    module = program(
        "other = subprocess.Popen(['sleep', '600'])\n"
        "control.send(Loading(str(other.pid)))\ncontrol.receive()\nos.kill(os.getpid(), 9)"
    )

    async def talk(child):
        [said] = await child.receive()
        child.send(Drain(1.0))
        return int(said.step), await status_of(child)

    pid, status = run(module, talk)

    assert status == -9
    until(lambda: not _is_alive(pid), "the descendant is gone")


def test_a_daemon_that_it_started_goes_with_it_too(program):
    """In a session of its own; the process group alone would miss it."""
    module = program(
        "other = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "control.send(Loading(str(other.pid)))\ncontrol.receive()\nos.kill(os.getpid(), 9)"
    )

    async def talk(child):
        [said] = await child.receive()
        child.send(Drain(1.0))
        return int(said.step), await status_of(child)

    pid, _ = run(module, talk)

    until(lambda: not _is_alive(pid), "the daemon is gone")


def test_a_program_that_is_just_being_started_is_looked_at_again(monkeypatch, mark):
    """It shows its environment only once it runs."""
    code = f"import os; input(); os.execve('/bin/sleep', ['sleep', '600'], {{'PODIUM_CHILD': '{mark}'}})"
    with subprocess.Popen([sys.executable, "-c", code], env={}, stdin=subprocess.PIPE) as other:

        def let_it_run(_seconds):
            monkeypatch.undo()
            other.stdin.write(b"\n")
            other.stdin.flush()
            until(Path(f"/proc/{other.pid}/environ").read_bytes, "it runs")

        monkeypatch.setattr(orphans.time, "sleep", let_it_run)
        try:
            assert orphans.end_marked(mark, limit_s=120) == 1
            assert other.wait(60) == -9
        finally:
            other.kill()


def test_what_shows_no_environment_at_all_holds_nobody_up(tmp_path, mark):
    """As the kernel does while a process's memory is locked: by then a child's end has waited long enough."""
    with subprocess.Popen(["sleep", "600"], env={"PODIUM_CHILD": mark}) as other:
        (tmp_path / "proc" / str(other.pid)).mkdir(parents=True)
        environ = tmp_path / "proc" / str(other.pid) / "environ"
        os.mkfifo(environ)  # nobody has it open, so whoever opens it waits
        try:
            assert orphans.end_marked(mark, root=tmp_path, limit_s=0.1) == 0
            assert other.poll() is None
        finally:
            os.close(os.open(environ, os.O_RDWR | os.O_NONBLOCK))
            other.kill()


def test_who_is_older_than_a_child_is_not_looked_at(mark):
    """It cannot be the child's, whatever its environment says."""
    with subprocess.Popen(["sleep", "600"], env={"PODIUM_CHILD": mark}) as other:
        try:
            until(Path(f"/proc/{other.pid}/environ").read_bytes, "it runs")
            began = started_at(other.pid)

            assert orphans.end_marked(mark, since=began + 1, limit_s=60) == 0
            assert other.poll() is None
            assert orphans.end_marked(mark, since=began, limit_s=60) == 1
        finally:
            other.kill()


def test_a_signal_is_a_negative_status(program):
    """As subprocess says it."""
    module = program("os.kill(os.getpid(), signal.SIGTERM)")

    async def talk(child):
        return await status_of(child)

    assert run(module, talk) == -15


def test_what_it_prints_is_appended_to_its_log(program, tmp_path):
    """Standard output and error, after what stood there; readable by the owner only."""
    log = tmp_path / "logs" / "child.log"
    log.parent.mkdir()
    log.write_text("before\n")
    module = program("print('out'); print('err', file=sys.stderr)")

    run(module, status_of, log)

    assert log.read_text() == "before\nout\nerr\n"


def test_a_message_larger_than_the_sockets_buffer_arrives(program):
    """The child boots while the message is being sent."""
    module = program(
        "size = 0\nwhile not (got := control.receive()): pass\ncontrol.send(Loading(str(len(got[0][0].step))))"
    )

    async def talk(child):
        assert await child.send_large(Loading("x" * 5_000_000))
        return await everything(child)

    assert run(module, talk) == [Loading("5000000")]


def test_nothing_can_be_sent_to_who_is_gone(program):
    """False, not an exception; and again after it was closed."""
    module = program("os._exit(0)")

    async def talk(child):
        await child.over()
        return child.send(Attach(1)), child.close(), child.send(Attach(2))

    assert run(module, talk)[::2] == (False, False)


def test_it_is_reaped_although_whoever_ends_it_is_cancelled(program):
    """A server that fails cancels its tasks wherever they are, also where they end their children."""
    module = program("time.sleep(600)")

    async def talk(child):
        ending = asyncio.create_task(child.end())
        await asyncio.sleep(0)
        ending.cancel()
        await asyncio.wait({ending})
        return ending.cancelled(), await child.end(), child.send(Drain(0))

    assert run(module, talk) == (True, -signal.SIGKILL, False)


def test_it_lives_on_although_somebody_who_waits_for_its_end_is_cancelled(program):
    """And can be ended by whoever else has it."""
    module = program("time.sleep(600)")

    async def talk(child):
        waiting = asyncio.create_task(child.over())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        return waiting.cancelled(), child.is_alive, await child.end()

    assert run(module, talk) == (True, True, -signal.SIGKILL)


def test_a_fork_server_that_does_not_end_when_told_is_killed_and_reaped(program, tmp_path, monkeypatch):
    """It imports, and hears nobody."""
    module = program("time.sleep(600)")
    monkeypatch.setattr(forks, "_END_S", 0.1)

    async def scene():
        begun = []
        servers = Forks(tmp_path / "log", begun.append, program=tuple(module))
        library = library_for(World(), sys.executable, 1, ("json",), {})
        with contextlib.suppress(TimeoutError):
            # Its task is never run: the server fails meanwhile.
            await asyncio.wait_for(servers.ready(library, World(), is_low_priority=False), 0.1)
        begun.pop().close()
        pids = servers.pids
        await servers.close()
        return [_is_alive(pid) for pid in pids]

    assert asyncio.run(scene()) == [False]


def test_who_sends_rubbish_is_not_listened_to(program):
    """A broken message ends the conversation."""
    module = program("sock.sendall(b'\\xff' * 64); time.sleep(600)")

    assert run(module, everything) == []


def test_it_works_without_pidfds(program, monkeypatch):
    """Some sandboxes refuse them; then the end is polled for."""
    monkeypatch.setattr(children, "_open_pidfd", lambda pid: None)
    module = program("control.send(Drained()); os._exit(4)")

    async def talk(child):
        return await everything(child), await status_of(child)

    assert run(module, talk) == ([Drained()], 4)


def test_a_ctrl_c_at_the_terminal_does_not_reach_it(program):
    """It is in a session of its own."""
    module = program("control.send(Loading(str(os.getsid(0))))")

    async def talk(child):
        [said] = await child.receive()
        return int(said.step), child.pid

    session, pid = run(module, talk)

    assert session == pid != os.getsid(0)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False
