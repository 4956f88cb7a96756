"""What is lost when a process dies, and what is not: real processes, killed."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

import pytest
from tinyhouse import PRODUCTION, Load, Server, until

CAN_UNSHARE = (
    subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False).returncode == 0
)


@pytest.fixture
def one(house):
    """A house with one version in Production."""
    house.register(1)
    house.promote(1)
    return house


def test_a_killed_worker_costs_no_request_and_is_back_at_once(one):
    """SIGKILL of the only replica under load: each request is answered, by the old process or by its successor."""
    with one.serving() as server, Load(server, milliseconds=20) as load:
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        until(lambda: (now := server.workers()) and now != before, "another one is ready")
        until(lambda: load.answers[-1][1][1] == server.workers()[0], "it answers")

    assert load.failed == []
    assert server.status == {}
    assert "died (killed): It was ended by SIGKILL" in server.said()


def test_a_request_that_kills_its_worker_twice_gets_500_and_nobody_else_does(one):
    """The guilty one is tried once more, alone; the others are answered."""
    with one.serving("-w", "2") as server, Load(server, milliseconds=20) as load:
        guilty = server.ask(-1)
        until(lambda: len(server.workers()) == 2, "both replicas are back")

    assert guilty[0] == 500
    assert load.failed == []


def test_a_killed_gateway_is_back_on_the_same_port_with_its_counts(one):
    """SIGKILL of the only gateway: a connection that comes meanwhile waits, and the counters go on."""
    with one.serving() as server:
        for _ in range(3):
            assert server.ask()[0] == 200
        until(lambda: _answered(server) == 3, "the three are counted")
        before = server.gateways()
        os.kill(before[0], signal.SIGKILL)

        assert server.ask()[0] == 200
        until(lambda: server.gateways() != before and server.gateways(), "status names the new one")
        until(lambda: _answered(server) == 4, "all four are counted")
        assert server.status["restarts"] == {"workers": 0, "gateways": 1}


def test_a_killed_gateway_leaves_the_others_alone(one):
    """With two gateways, connections of the other one notice nothing."""
    with one.serving("--gateways", "2") as server, contextlib.ExitStack() as stack:
        kept = [stack.enter_context(_Connection(server)) for _ in range(8)]
        homes = [connection.gateway() for connection in kept]
        victim = homes[0]
        os.kill(server.gateways()[victim], signal.SIGKILL)
        until(lambda: server.status["restarts"]["gateways"] == 1 and len(server.gateways()) == 2, "it is back")

        for connection, home in zip(kept, homes, strict=True):
            if home != victim:
                assert connection.is_answered()


@pytest.mark.slow
def test_connections_for_a_gateway_that_is_dead_are_answered_by_the_other(one):
    """The kernel goes on spreading them over the sockets of both; killed so often that the next waits, it is not missed."""
    with one.serving("--gateways", "2") as server:
        [victim, other] = server.gateways()
        for death in itertools.count(1):
            os.kill(victim, signal.SIGKILL)
            until(lambda dead=death: server.status["restarts"]["gateways"] == dead, "the death is counted")
            answers = [server.get("/ping")[0] for _ in range(12)]
            assert answers == [200] * 12
            if death >= 4 and server.gateways() == [other]:
                break  # It was not there while they were answered: each wait for the next is longer than the one before.
            until(lambda: len(server.gateways()) == 2, "the next one is there")
            [victim] = set(server.gateways()) - {other}
        until(lambda: len(server.gateways()) == 2, "it is back")
        assert [server.get("/ping")[0] for _ in range(12)] == [200] * 12


def test_a_killed_supervisor_leaves_nothing_behind(one):
    """Gateways and workers drain and end; the next server sweeps the run folder and says so."""
    with one.serving("-w", "2", "--gateways", "2") as server:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(60)
        until(lambda: one.processes() == {}, "nothing runs any more")
        left = list((one.home / "run").iterdir())
        with one.serving() as next_one:
            now = list((one.home / "run").iterdir())

            assert next_one.ask()[0] == 200

    assert len(left) == 1
    assert len(now) == 1
    assert left != now
    assert list((one.home / "run").iterdir()) == []
    assert "left when it died" in (one.home / "logs" / "tiny" / "supervisor.log").read_text()


def test_sigterm_finishes_what_is_in_flight_and_exits_0(one):
    """Requests that were accepted are answered; nothing is left, neither process nor file."""
    with one.serving("-w", "2") as server, Load(server, milliseconds=100) as load:
        status = server.stop()

    assert status == 0
    assert [answer for answer in load.answers if answer[0] not in {200, 503}] == []
    assert all(isinstance(error, ConnectionError) for error in load.errors)
    assert one.processes() == {}
    assert list((one.home / "run").iterdir()) == []


def test_a_slow_request_outlives_sigterm(house):
    """What is in flight is waited for, and answered."""
    gate = house.gate("answer")
    house.register(1, before_answer=gate.wait)
    house.promote(1)
    with house.serving("--drain-timeout", "120") as server, _Connection(server) as connection:
        gate.close()
        connection.send(0)
        until(partial(_busy, server), "it runs")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.status.get("state") == "stopping", "it drains")
        gate.open()

        assert connection.is_answered(sent=True)
        assert server.process.wait(120) == 0


def test_a_second_signal_ends_at_once(one):
    """Whoever presses Ctrl-C twice does not want to wait for a request of ten minutes."""
    with one.serving("--drain-timeout", "600", "--timeout", "600") as server, _Connection(server) as connection:
        connection.send(600_000)
        until(partial(_busy, server), "it runs")
        server.process.send_signal(signal.SIGINT)
        until(lambda: server.status.get("state") == "stopping", "it drains")
        server.process.send_signal(signal.SIGINT)

        assert server.process.wait(120) == 0
    assert one.processes() == {}


def test_a_worker_that_cannot_be_loaded_again_is_tried_with_back_off_and_not_vetoed(house):
    """The stable version is never given up: once what was missing is there again, it is back."""
    flag = house.folder / "flag"
    flag.touch()
    house.register(1, f"open({str(flag)!r}).close()")
    house.promote(1)
    with house.serving() as server:
        flag.unlink()
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: "load_error" in server.said(), "the restart has failed")
        failed, state = server.status["failed"], server.status["state"]
        flag.touch()
        until(server.workers, "it is back")

        assert (failed, state) == ([], "down")
        assert server.ask()[1][0] == 1


def test_the_first_version_does_not_load(house):
    """`podium serve` says why and exits 1; nothing is left."""
    house.register(1, "import nowhere_to_be_found")
    house.promote(1)

    done = house.command("serve", "-m", PRODUCTION, "-p", "0")

    assert done.returncode == 1
    assert "Version 1 did not load" in done.stderr
    assert "nowhere_to_be_found" in done.stderr
    assert "What its process wrote: podium logs tiny" in done.stderr
    assert "requests in flight" not in done.stderr
    assert "nowhere_to_be_found" in house.command("logs", "tiny").stdout
    assert house.processes() == {}
    assert list((house.home / "run").iterdir()) == []


def _answered(server: Server) -> int:
    found = re.search(r'podium_requests_total\{model="tiny",version="1",code="200"\} (\d+)', server.get("/metrics")[1])
    return int(found[1]) if found else 0


def _busy(server: Server) -> bool:
    metrics = server.get("/metrics")[1]
    return 'podium_requests_in_flight{model="tiny",version="1"} 1' in metrics


class _Connection:
    """One kept connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._sock = socket.create_connection(("127.0.0.1", server.port), timeout=240)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def send(self, milliseconds):
        body = json.dumps({"inputs": [[milliseconds]]}).encode()
        head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._sock.sendall(b"POST /invocations HTTP/1.1\r\n" + head.encode() + body)

    def is_answered(self, *, sent=False):
        if not sent:
            self.send(0)
        with contextlib.suppress(ConnectionError):
            return b" 200 " in self._sock.recv(65536).split(b"\r\n")[0]
        return False

    def gateway(self):
        """The slot of the gateway that holds this connection, by whose descriptors the kernel lists."""
        assert self.is_answered()
        mine, found = self._sock.getsockname()[1], []

        def is_held() -> bool:
            # The kernel's list may lack a line while others come and go.
            found[:] = [slot for slot, pid in enumerate(self._server.gateways()) if mine in _remote_ports(pid)]
            return bool(found)

        until(is_held, "a gateway holds the connection")
        return found[0]


def _remote_ports(pid: int) -> set[int]:
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{entry}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[2].rpartition(":")[2], 16) for line in lines if line[9] in inodes}


@pytest.mark.skipif(not CAN_UNSHARE, reason="this user may not make a process namespace")
def test_it_works_as_process_1_of_a_container(one):
    """Orphans are reaped, SIGTERM drains, the exit status is 0, and nothing is left in the namespace."""
    one.register(2, "os.system('setsid sleep 600 & setsid sleep 600 &')")
    one.promote(2)
    with one.serving(before=["unshare", "--pid", "--fork", "--mount-proc"]) as server:
        [inner] = [pid for pid in one.processes() if _parent(pid) == server.process.pid]
        until(lambda: len(_sleepers_below(inner)) == 2, "the orphans are ours")
        for orphan in _sleepers_below(inner):
            os.kill(orphan, signal.SIGKILL)
        until(lambda: not _sleepers_below(inner), "they are reaped")
        os.kill(inner, signal.SIGTERM)

        assert server.process.wait(120) == 0


def _sleepers_below(parent: int) -> list[int]:
    """Those of a process's children that sleep for their own sake, zombies too."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(int(entry.name)) == parent:
            with contextlib.suppress(OSError):
                if (entry / "comm").read_text().strip() == "sleep":
                    found.append(int(entry.name))
    return found


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None
