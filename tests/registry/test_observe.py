"""What a server sees of a registry that is locked, moved, replaced, damaged and put back."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from podium.domain.references import parse_reference
from podium.domain.stages import Stage
from podium.errors import InvalidModel, NotFound, PodiumError, RegistryBusy, RegistryError
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.registry.snapshot import file_state
from podium.registry.sqlite import create

LIVE = parse_reference("models:/fraud/production")

LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("INSERT INTO numbers VALUES ('locked', 1)")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def live(fraud):
    fraud.transition("fraud", 1, Stage.PRODUCTION)
    return fraud


@pytest.fixture
def observer(live, home) -> Iterator[RegistryObserver]:
    observer = RegistryObserver(home)
    assert observer.resolve(LIVE).version == 1
    yield observer
    observer.close()


@pytest.fixture
def lock(home) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the registry exclusively until its stdin is closed."""
    process = subprocess.Popen([sys.executable, "-c", LOCK, home.registry], stdin=-1, stdout=-1, text=True)
    assert process.stdout.readline() == "locked\n"
    yield process
    process.communicate()


def settle(home) -> None:
    """Make the registry look as if nobody had written to it for a minute."""
    then = time.time() - 60
    os.utime(home.registry, (then, then))


def test_a_move_is_seen_at_the_next_question(observer, live):
    for number in (2, 3, 1):
        live.transition("fraud", number, Stage.PRODUCTION)

        assert observer.resolve(LIVE).version == number


def test_observing_creates_nothing_beside_the_registry(observer, home):
    before = sorted(os.listdir(home.root))

    observer.resolve(LIVE)
    settle(home)
    observer.resolve(LIVE)

    assert before == sorted(os.listdir(home.root))
    assert "registry.db-wal" not in before


def test_a_settled_registry_is_not_even_opened(observer, home):
    """The answer comes from memory as long as the files look the same: opening would fail here."""
    settle(home)
    state = file_state(home.registry)
    answer = observer.resolve(LIVE)
    content = home.registry.read_bytes()
    with home.registry.open("r+b") as file:
        file.write(b"\0" * len(content))
    os.utime(home.registry, ns=(state.files[0][2], state.files[0][2]))

    # ctime gives the overwriting away, whatever the writer does to the time of change.
    with pytest.raises(RegistryError):
        observer.resolve(LIVE)
    assert answer.version == 1


def test_changes_are_seen_while_a_writer_keeps_the_registry_open(observer, live, home):
    """Then the newest content is in the -wal file."""
    other = sqlite3.connect(home.registry)
    other.execute("SELECT * FROM meta").fetchall()
    try:
        live.transition("fraud", 2, Stage.PRODUCTION)
        assert (home.root / "registry.db-wal").stat().st_size > 0

        assert observer.resolve(LIVE).version == 2
        live.transition("fraud", 3, Stage.PRODUCTION)
        assert observer.resolve(LIVE).version == 3
    finally:
        other.close()


DIE = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE versions SET stage = 'Archived' WHERE version = 1")
connection.execute("UPDATE versions SET stage = 'Production' WHERE version = 2")
os.kill(os.getpid(), 9)
"""


def test_what_a_killed_writer_committed_is_seen(observer, home):
    """It is in the -wal file alone, with nobody left to fold it in."""
    subprocess.run([sys.executable, "-c", DIE, home.registry], check=False)
    assert (home.root / "registry.db-wal").stat().st_size > 0

    assert observer.resolve(LIVE).version == 2


def test_a_locked_registry_is_an_error_and_not_an_empty_answer(live, home, lock):
    """The lock is only given back afterwards, so an answer at all shows that the wait has an end."""
    observer = RegistryObserver(home)

    with pytest.raises(RegistryBusy, match="locked"):
        observer.resolve(LIVE)

    lock.communicate()
    assert observer.resolve(LIVE).version == 1


def test_a_lock_does_not_change_what_is_known(observer, home, lock):
    """Locked in the middle of the life of an observer: an error or the old answer, never another one."""
    for _ in range(2):
        with contextlib.suppress(RegistryError):
            assert observer.resolve(LIVE).version == 1
    lock.communicate()
    assert observer.resolve(LIVE).version == 1


def test_a_registry_that_was_moved_away_is_missing_until_it_is_back(observer, live, home):
    home.registry.rename(home.root / "away.db")

    with pytest.raises(RegistryError, match="moved or removed"):
        observer.resolve(LIVE)
    assert not home.registry.exists()

    (home.root / "away.db").rename(home.registry)
    assert observer.resolve(LIVE).version == 1
    live.transition("fraud", 2, Stage.PRODUCTION)
    assert observer.resolve(LIVE).version == 2


def test_another_registry_in_its_place_is_refused_until_the_right_one_is_back(observer, home):
    home.registry.rename(home.root / "away.db")
    create(home.registry)

    with pytest.raises(RegistryError, match="another registry"):
        observer.resolve(LIVE)

    (home.root / "away.db").replace(home.registry)
    assert observer.resolve(LIVE).version == 1


def test_a_copy_of_the_same_registry_in_its_place_is_accepted(observer, home):
    """A restored backup has another inode and the same id."""
    shutil.copy(home.registry, home.root / "backup.db")
    (home.root / "backup.db").replace(home.registry)

    assert observer.resolve(LIVE).version == 1


@pytest.mark.parametrize("left_bytes", [0, 100, 4096, 5000])
def test_a_truncated_registry_is_an_error_until_it_is_restored(observer, home, left_bytes):
    content = home.registry.read_bytes()
    os.truncate(home.registry, left_bytes)

    with pytest.raises(RegistryError):
        observer.resolve(LIVE)

    home.registry.write_bytes(content)
    assert observer.resolve(LIVE).version == 1


def test_something_else_at_its_place_is_an_error(observer, home):
    home.registry.write_text("not a database " * 1000)
    with pytest.raises(RegistryError, match="not a registry"):
        observer.resolve(LIVE)

    home.registry.unlink()
    home.registry.mkdir()
    with pytest.raises(RegistryError):
        observer.resolve(LIVE)

    home.registry.rmdir()
    with contextlib.closing(sqlite3.connect(home.registry)) as connection:
        connection.executescript("CREATE TABLE other (x); VACUUM")
    with pytest.raises(RegistryError, match="not a podium registry"):
        observer.resolve(LIVE)


def test_what_the_registry_answers_to_be_absent_is_not_found(observer, live):
    live.transition("fraud", 1, Stage.ARCHIVED)

    with pytest.raises(NotFound, match="no version of 'fraud' is in stage Production"):
        observer.resolve(LIVE)


def test_an_observer_may_be_there_before_the_registry(home, service, folder):
    observer = RegistryObserver(home)
    with pytest.raises(RegistryError, match="no registry"):
        observer.resolve(LIVE)
    assert not home.registry.exists()

    service.register(folder, "fraud")
    service.transition("fraud", 1, Stage.PRODUCTION)

    assert observer.resolve(LIVE).version == 1


def test_an_artifact_that_is_gone_is_an_error_and_not_an_absent_version(observer, home):
    settle(home)
    folder = observer.resolve(LIVE).folder
    folder.rename(home.root / "away")

    with pytest.raises(RegistryError, match="folder is gone"):
        observer.resolve(LIVE)

    (home.root / "away").rename(folder)
    assert observer.resolve(LIVE).version == 1


def test_a_folders_label_changes_once_its_new_content_has_come_to_rest(home, folder):
    observer = RegistryObserver(home)
    reference = parse_reference(str(folder))
    first = observer.resolve(reference)

    (folder / "weights").write_text("half")
    assert observer.resolve(reference) == first
    (folder / "weights").write_text("whole")
    assert observer.resolve(reference) == first
    second = observer.resolve(reference)
    assert second.label != first.label
    assert (second.digest, second.folder) == (None, folder)
    assert second == resolve(reference, home)

    (folder / "MLmodel").unlink()
    with pytest.raises(InvalidModel, match="no MLmodel"):
        observer.resolve(reference)


WRITE = """
import itertools, select, sys
from pathlib import Path
from podium.api.registering import Registry
registry = Registry(Path(sys.argv[1]))
for i in itertools.count():
    registry.promote("fraud", i % 3 + 1)
    registry.set_tag("fraud", "round", str(i))
    if i >= int(sys.argv[2]) and select.select([sys.stdin], [], [], 0)[0]:
        break
"""


def test_reading_while_others_write_is_never_torn(live, home):
    """Every answer is one that a committed transaction left: exactly one version is ever in Production."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, home.root, "60"], stdin=subprocess.PIPE) for _ in range(2)]
    observer = RegistryObserver(home)
    answers, seen, deadline = 0, set(), time.monotonic() + 240
    # They write until they are told to end: an observer that stands still for a while misses nothing.
    while answers < 100 or len(seen) < 3:
        with contextlib.suppress(RegistryBusy):
            seen.add(observer.resolve(LIVE).version)
            answers += 1
        assert time.monotonic() < deadline, (answers, seen)
        assert [writer.poll() for writer in writers] == [None, None]
    for writer in writers:
        writer.communicate(timeout=550)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen == {1, 2, 3}


def test_only_podiums_own_errors_come_out(live, home):
    """Whatever bytes stand in the file, nobody sees sqlite3's errors."""
    content = home.registry.read_bytes()
    for place in range(0, len(content), 997):
        home.registry.write_bytes(content[:place] + b"\xff" * 64 + content[place + 64 :])
        try:
            RegistryObserver(home).resolve(LIVE)
        except PodiumError:
            continue
