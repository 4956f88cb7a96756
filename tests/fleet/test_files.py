"""Run files, logs and ports: what a server leaves on disk and takes from the machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from podium.domain.planning import Failure
from podium.errors import Misconfigured
from podium.fleet.host import ports
from podium.fleet.host.logs import rotate
from podium.fleet.host.ports import holder_of, listen
from podium.fleet.host.runfiles import RunFolder, find_servers, sweep
from podium.fleet.journal import JournalKeeper
from podium.fleet.telling.series import SeriesBook
from podium.fleet.workers.orphans import reap_orphans
from podium.settings.home import Home
from podium.telemetry.slots import Slots, create_slots


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def test_a_living_server_is_found(home):
    """By the lock that it holds, with what it wrote."""
    folder = RunFolder.create(home)
    folder.write_server({"port": 5000, "started_at": 1.0})

    [found] = find_servers(home)
    folder.remove()

    assert (found.id, found.facts["port"]) == (folder.id, 5000)
    assert find_servers(home) == []


def test_a_server_that_has_written_nothing_yet_is_not_found(home):
    """It is starting."""
    folder = RunFolder.create(home)

    assert find_servers(home) == []
    folder.remove()


def test_a_dead_servers_folder_is_swept_and_a_living_ones_is_not(home):
    """The kernel lets go of the lock when a process dies, however it dies."""
    script = (
        "import os, sys; from pathlib import Path; from podium.settings.home import Home\n"
        "from podium.fleet.host.runfiles import RunFolder\n"
        "RunFolder.create(Home(Path(sys.argv[1]))).write_server({'pid': 1, 'endpoint': 'x'}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(home.root)], check=False)
    living = RunFolder.create(home)
    living.write_server({"port": 1})

    found = find_servers(home)
    swept = sweep(home)
    left = [path.name for path in home.run.iterdir()]
    living.remove()

    assert [server.id for server in found] == [living.id]
    assert swept == [{"pid": 1, "endpoint": "x"}]
    assert left == [living.id]


def test_one_that_gets_its_name_while_others_are_swept_is_a_living_servers(home, monkeypatch):
    """Two servers start at the same moment: as one looks at what is there, the other's folder is still hidden."""
    beside = RunFolder.create(home)
    hidden = beside.folder.with_name(f".{beside.id}")
    beside.folder.rename(hidden)
    is_dir = Path.is_dir

    def look_and_name(path):
        found = is_dir(path)
        if path == hidden:
            hidden.rename(beside.folder)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_dir", look_and_name)
        swept = sweep(home)

    assert swept == []
    assert beside.folder.exists()
    beside.remove()


def test_the_run_folder_is_private(home):
    """0700, and its files 0600: they name processes and hold models."""
    folder = RunFolder.create(home)
    folder.write_server({})
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder.folder, *folder.folder.iterdir())}
    folder.remove()

    assert modes == {folder.id: 0o700, "lock": 0o600, "server.json": 0o600, "endpoints": 0o700}


def test_a_reader_never_sees_half_a_file(home):
    """It is replaced whole; no draft is left."""
    folder = RunFolder.create(home)
    folder.write_server({"a": "x" * 100_000})
    folder.write_server({"a": 1})
    names = sorted(path.name for path in folder.folder.iterdir())
    folder.remove()

    assert names == ["endpoints", "lock", "server.json"]


def test_a_home_that_cannot_be_written_to_is_explained(tmp_path):
    """The way out is PODIUM_HOME."""
    (tmp_path / "file").write_text("")

    with pytest.raises(Misconfigured, match="Set PODIUM_HOME"):
        RunFolder.create(Home(tmp_path / "file"))


def test_the_journal_is_on_disk_after_each_change(home):
    """For whoever looks after a crash."""
    folder = RunFolder.create(home)
    keeper = JournalKeeper(folder.endpoint("fraud"))
    keeper.wanted("6")
    keeper.settled("6")
    keeper.wanted("7")
    keeper.ended("7", Failure("signal", "SIGSEGV", 5.0), None, is_routed=False, now=1.0)
    text = (folder.folder / "endpoints" / "fraud" / "journal.json").read_text()
    folder.remove()

    assert '"stable": "6"' in text
    assert '"vetoed": ["7"]' in text
    assert "SIGSEGV" in text


def test_a_failure_stays_on_the_list_when_its_veto_is_lifted(home):
    """Status tells what happened; whether it still counts is another matter."""
    folder = RunFolder.create(home)
    keeper = JournalKeeper(folder.endpoint("fraud"))
    keeper.wanted("7")
    keeper.ended("7", Failure("signal", "SIGSEGV", 5.0), None, is_routed=False, now=1.0)
    keeper.wanted("8")
    folder.remove()

    assert [version for version, _ in keeper.failures] == ["7"]
    assert keeper.journal.vetoed == {}


def test_a_log_that_has_grown_is_rotated_under_its_writer(tmp_path):
    """Who appends goes on appending, to the start of the same file; three older parts are kept."""
    log = tmp_path / "gateway-0.log"
    with log.open("ab", buffering=0) as writer:
        for part in range(6):
            writer.write(b"%d\n" % part * 10)
            rotate(tmp_path, max_bytes=15)
        writer.write(b"last\n")

    assert log.read_text() == "last\n"
    kept = {path.name: path.read_text()[0] for path in tmp_path.glob("*.log.*")}
    assert kept == {"gateway-0.log.1": "5", "gateway-0.log.2": "4", "gateway-0.log.3": "3"}


def test_of_a_log_that_has_grown_beyond_measure_the_end_is_kept(tmp_path):
    """A model may print gigabytes between two looks."""
    log = tmp_path / "worker-1.log"
    log.write_bytes(b"old" * 1000 + b"the end")

    rotate(tmp_path, max_bytes=7)

    assert (tmp_path / "worker-1.log.1").read_bytes() == b"ldoldoldthe end"[-14:]


def test_the_access_log_is_left_to_the_gateways(tmp_path):
    """They rotate it themselves."""
    (tmp_path / "access.log").write_text("x" * 100)
    rotate(tmp_path, max_bytes=10)

    assert (tmp_path / "access.log").stat().st_size == 100


def test_logs_of_versions_of_long_ago_are_removed(tmp_path):
    """The newest twenty stay."""
    for version in range(25):
        path = tmp_path / f"worker-{version}.log"
        path.write_text("x")
        os.utime(path, (version, version))
    rotate(tmp_path)

    assert sorted(int(path.stem[7:]) for path in tmp_path.glob("worker-*.log")) == list(range(5, 25))


def test_a_taken_port_names_who_holds_it_and_a_way_out():
    """The process and its command line, where the system shows them."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        assert f"(pid {os.getpid()})" in (holder_of(port) or "")
        with pytest.raises(Misconfigured) as caught:
            listen("127.0.0.1", port, 1)
    assert f"Port {port} on 127.0.0.1 is taken. It is held by " in caught.value.message
    assert "-p PORT, or -p 0" in caught.value.message


def test_a_port_shared_by_another_server_is_taken_too():
    """SO_REUSEPORT among our own gateways must not let two servers share a port by accident."""
    first = listen("127.0.0.1", 0, 2)
    port = first[0].getsockname()[1]
    try:
        with pytest.raises(Misconfigured, match="is taken"):
            listen("127.0.0.1", port, 2)
    finally:
        for sock in first:
            sock.close()


def test_several_sockets_listen_on_one_free_port():
    """Port 0 with two gateways: the same port for both."""
    sockets = listen("127.0.0.1", 0, 2)
    ports = {sock.getsockname()[1] for sock in sockets}
    for sock in sockets:
        sock.close()

    assert len(sockets) == 2
    assert len(ports) == 1


def test_a_free_port_that_somebody_takes_meanwhile_is_left_to_him(monkeypatch):
    """Between being found free and being shared by the gateways it is nobody's for a moment."""
    bind, thieves = ports._bind, []

    def late(family, kind, address, *, is_shared):
        if is_shared and not thieves:
            thieves.append(bind(family, kind, address, is_shared=False))
            thieves[0].listen()
        return bind(family, kind, address, is_shared=is_shared)

    monkeypatch.setattr(ports, "_bind", late)
    sockets = listen("127.0.0.1", 0, 2)
    had = {sock.getsockname()[1] for sock in sockets}
    taken = thieves[0].getsockname()[1]
    for sock in (*sockets, *thieves):
        sock.close()

    assert len(had) == 1
    assert taken not in had


def test_a_foreign_address_is_explained():
    """Not this machine's."""
    with pytest.raises(Misconfigured, match="is not an address of this machine"):
        listen("192.0.2.1", 0, 1)


def test_a_version_keeps_its_series_and_the_longest_unused_gives_its_own_away():
    """With room for two: the third takes the first's, cleared; what is in use is not touched."""
    descriptor = create_slots(1)
    slots = Slots(descriptor)
    book = SeriesBook(slots, size=2)
    assert [book.index(("tiny", version)) for version in "121"] == [0, 1, 0]
    slots.block(0, 1)[0] = 42

    third = book.index(("tiny", "3"), in_use=frozenset({("tiny", "1")}))
    cleared = slots.block(0, 1)[0]
    slots.close()
    os.close(descriptor)

    assert (third, cleared) == (1, 0)
    assert book.labels() == [{"model": "tiny", "version": "1"}, {"model": "tiny", "version": "3"}]


def test_an_orphan_is_reaped_and_a_child_of_ours_is_not():
    """As process 1 we get the children of whoever died; ours have their owners."""
    ours = subprocess.Popen([sys.executable, "-c", ""])
    stranger = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
    reaped = 0
    for _ in range(50):
        reaped += reap_orphans({ours.pid})
    status = ours.wait()
    # Its zombie may have stood behind ours in the kernel's list; now it does not.
    reaped += reap_orphans({ours.pid})
    stranger.returncode = 0

    assert status == 0
    # Whatever other tests orphaned came to us too, since one of them made this process a supervisor that forks.
    assert reaped >= 1
    with pytest.raises(ChildProcessError):
        os.waitpid(stranger.pid, 0)
