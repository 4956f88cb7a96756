"""Workers that are forked: who dies with whom, who is waited for by whom, and what is said of it."""

import os
import signal
from pathlib import Path

import pytest
from tinyhouse import Load, until

DAEMON = """
    import os, pathlib
    def start():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                pathlib.Path(os.environ["LC_TEST_HOME"], "daemon").write_text(str(os.getpid()))
                import time
                time.sleep(600)
            os._exit(0)
    start()
""".strip()


@pytest.fixture
def two(house):
    """`tiny`, which has a version in Production and a second one, and another model."""
    house.register(1)
    house.register(2)
    house.promote(1)
    return house


def fork_servers(house):
    return [pid for pid, command in house.processes().items() if "podium.worker.forking" in command.split()]


def starts(server):
    return [replica["start"] for replica in server.status["replicas"] if replica["state"] == "ready"]


@pytest.mark.slow
def test_a_killed_fork_server_costs_nothing_and_the_next_start_makes_another(two):
    """Its workers serve on and drain as ever; a swap and a worker's death go the same way as before it."""
    with two.serving("-w", "2", "--poll-interval", "0.1") as server:
        until(lambda: len(server.workers()) == 2, "both serve")
        [first] = fork_servers(two)
        assert {each["is_forked"] for each in starts(server)} == {True}
        assert all(f"process {first}" in each["said"] for each in starts(server))
        before = server.workers()
        with Load(server) as load:
            os.kill(first, signal.SIGKILL)
            log = two.home / "logs" / "tiny" / "supervisor.log"
            until(lambda: f"fork server {first} ended" in log.read_text(), "its end is seen")
            assert fork_servers(two) == []
            assert server.workers() == before
            two.promote(2)
            until(lambda: server.status["is_settled"] and server.status["serving"] == "2", "version 2 serves")
            until(lambda: len(server.workers()) == 2 and not set(before) & set(server.workers()), "version 1 drained")
            [second] = fork_servers(two)
            assert all(f"process {second}" in each["said"] for each in starts(server))
            os.kill(server.workers()[0], signal.SIGKILL)
            until(lambda: server.status["restarts"]["workers"] == 1, "the killed worker is started again")
            until(lambda: len(server.workers()) == 2, "both serve")
        assert load.failed == []
        assert fork_servers(two) == [second]
        assert server.stop() == 0
    assert "It was ended by SIGKILL" in server.said()
    assert two.processes() == {}


def test_all_end_with_a_killed_supervisor(two):
    """Fork server, workers, gateways: each sees end-of-file."""
    with two.serving() as server:
        assert len(fork_servers(two)) == 1
        server.process.kill()
        server.process.wait(120)
        until(lambda: two.processes() == {}, "nothing runs any more")


@pytest.mark.slow
def test_what_a_model_has_forked_and_hidden_ends_with_its_worker(house):
    """A daemon that was never exec'ed has the variables of whoever the worker was forked by; it is found all the same."""
    folder = house.model(1, DAEMON)
    with house.serving(uri=str(folder)) as server:
        written = house.home / "daemon"
        until(lambda: written.exists() and written.read_text(), "the daemon has said who it is")
        daemon = int(written.read_text())
        [server_pid] = fork_servers(house)
        (house.home / "daemon").unlink()
        os.kill(server.workers()[0], signal.SIGKILL)
        until(lambda: not Path(f"/proc/{daemon}").exists(), "it is ended")
        until(lambda: server.ask()[0] == 200, "another worker serves")
        assert fork_servers(house) == [server_pid]


def test_an_interpreter_of_its_own_can_be_asked_for_and_is_said(two):
    with two.serving("--worker-start", "fresh") as server:
        said = two.command("status", "-p", str(server.port))
        assert fork_servers(two) == []
        assert starts(server) == [{"is_forked": False, "said": "in an interpreter of its own: worker_start is fresh"}]
    assert "worker_start is fresh" in said.stdout


@pytest.mark.slow
def test_twenty_workers_hold_a_fraction_of_the_memory_of_twenty_of_their_own(house):
    """What they share is held once."""
    model = house.model(1)
    names = [f"m{number}" for number in range(20)]
    flags = [part for name in names[1:] for part in ("-m", f"{name}={model}")]
    with house.serving(*flags, "--max-loading", "2", uri=f"m0={model}") as server:
        until(lambda: all(server.workers(name) for name in names), "all serve")
        pids = [server.workers(name)[0] for name in names]
        memory = [private_bytes(pid) for pid in pids]
        resident = [replica["rss_bytes"] for name in names for replica in server.status["endpoints"][name]["replicas"]]
        own = private_bytes(fork_servers(house)[0]) + sum(map(shared_bytes, fork_servers(house)))
    assert sum(memory) < 20 * own / 2
    assert sum(resident) < 20 * own
    assert len(resident) == 20


def private_bytes(pid):
    return sum(amounts(pid, "Private_Clean", "Private_Dirty"))


def shared_bytes(pid):
    return sum(amounts(pid, "Shared_Clean", "Shared_Dirty"))


def amounts(pid, *names):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    found = {line.partition(":")[0]: int(line.split()[1]) << 10 for line in lines}
    return [found[name] for name in names]
