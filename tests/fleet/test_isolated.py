"""What holds for every worker holds in a sandbox too: swaps, deaths, drains; and limits that end one worker alone."""

import json
import os
import shutil
import signal
import subprocess

import pytest
from tinyhouse import House, until

LOOK = """
    import json, os, resource
    places = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    held = [os.readlink(place) for place in places if os.path.lexists(place)]
    raise RuntimeError("SEEN " + json.dumps({"held": held, "names": sorted(os.environ), "pid": os.getpid()}))
""".strip()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


@pytest.fixture(params=["none", "sandbox"])
def isolation(request):
    if request.param == "sandbox" and not can_sandbox():
        pytest.skip("bubblewrap is not installed, or this machine allows no user namespaces")
    return request.param


@pytest.mark.slow
def test_a_sandboxed_worker_dies_recovers_is_swapped_and_drains(house):
    """Killed from outside, started again, and replaced by another version; nothing is left behind."""
    if not can_sandbox():
        pytest.skip("bubblewrap is not installed, or this machine allows no user namespaces")
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving("--isolation", "sandbox") as server:
        assert server.ask()[1][0] == 1
        assert server.status["replicas"][0]["rss_bytes"] > 0
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        until(lambda: (now := server.workers()) and now != before, "another worker is ready")
        assert server.ask()[1][0] == 1
        house.promote(2)
        until(lambda: server.ask()[1][0] == 2, "version 2 answers")
        assert server.stop() == 0


@pytest.mark.slow
def test_a_worker_holds_its_own_descriptors_and_no_variable_of_the_servers(house, isolation):
    """Nothing, its log, its board, its control socket: no listener, and nothing of another worker's."""
    house.environment |= {"AWS_SECRET_ACCESS_KEY": "s", "MLFLOW_TRACKING_TOKEN": "s", "TOKEN": "t"}
    folder = house.model(1, LOOK)

    said = house.command("serve", "-m", str(folder), "-p", "0", "--isolation", isolation, "--worker-env", "TOKEN")
    seen = said.stderr.partition("SEEN ")[2].partition("}")[0] + "}"

    found = json.loads(seen)
    files = {held for held in found["held"] if held.startswith("/") and "memfd" not in held}
    memories = {held for held in found["held"] if "memfd" in held}
    assert {"null", "log"} == {name.rpartition("/")[2].rpartition(".")[2] for name in files}
    assert memories == {"/memfd:podium-board (deleted)"}
    # The control socket, and the pair by which its own threads wake each other.
    assert sum("socket:" in held for held in found["held"]) == 3
    assert "TOKEN" in found["names"]
    assert not {name for name in found["names"] if name.startswith(("AWS_", "MLFLOW_", "PODIUM_"))} - {"PODIUM_CHILD"}


@pytest.mark.slow
def test_a_version_beyond_its_memory_is_ended_alone_and_the_cause_is_said(house, isolation):
    """What serves goes on; the version is not tried again."""
    house.register(1)
    house.register(2, "globals().update(kept=b'1' * (300 << 20))")
    house.promote(1)
    with house.serving("--isolation", isolation, "--worker-memory", "200MiB") as server:
        house.promote(2)
        until(lambda: server.status["failed"], "version 2 has failed")
        failed = server.status["failed"][0]

        assert (failed["version"], failed["cause"], failed["is_vetoed"]) == ("2", "out_of_memory", True)
        assert "worker_memory" in failed["message"]
        assert server.ask()[1][0] == 1


@pytest.mark.slow
def test_a_worker_that_asks_for_far_too_much_at_once_is_refused_it(house):
    """As a MemoryError of its own, before the machine is short of memory."""
    folder = house.model(1, "globals().update(kept=bytearray(20 << 30))")

    said = house.command("serve", "-m", str(folder), "-p", "0", "--worker-memory", "200MiB")

    assert said.returncode == 1
    assert "ran out of memory" in said.stderr


def can_sandbox() -> bool:
    if shutil.which("bwrap") is None:
        return False
    command = ["bwrap", "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
