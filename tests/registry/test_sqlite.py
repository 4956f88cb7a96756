"""The registry's file: how it is made, guarded, migrated and shared."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from podium.domain.references import parse_reference
from podium.domain.stages import Stage
from podium.errors import NotFound, RegistryBusy, RegistryError
from podium.registry.contract import Action
from podium.registry.migrations import MIGRATIONS, SCHEMA
from podium.registry.observe import RegistryObserver
from podium.registry.record import replay
from podium.registry.service import RegistryService
from podium.registry.sqlite import SqliteStore, create

SCHEMA_1 = (Path(__file__).parent / "schema_1.sql").read_text()


@pytest.fixture
def old(home) -> Path:
    """A registry as the first podium left it."""
    connection = sqlite3.connect(home.registry)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA_1)
    connection.close()
    return home.registry


def schema_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    connection.close()
    return int(found)


def test_the_file_is_private_and_in_wal_mode_and_nothing_else_is_left(fraud, home):
    assert stat.S_IMODE(home.registry.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert sorted(os.listdir(home.root)) == ["artifacts", "logs", "registry.db", "run"]
    connection = sqlite3.connect(home.registry)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_creating_a_registry_that_is_there_leaves_it_alone(fraud, home):
    create(home.registry)

    assert len(fraud.versions("fraud")) == 3


def test_two_that_create_it_at_once_agree_on_one(home, artifacts, folder):
    digest = artifacts.put(folder)
    services = [RegistryService(SqliteStore(home.registry, f"user{i}"), artifacts) for i in range(8)]
    barrier = threading.Barrier(8)
    numbers = []

    def register(service):
        barrier.wait(timeout=550)
        numbers.append(service.register_digest(digest, "fraud", "x").version)

    threads = [threading.Thread(target=register, args=[service]) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=550)

    assert sorted(numbers) == list(range(1, 9))


def test_what_a_killed_creation_left_is_removed_by_the_next(home):
    (home.root / ".registry.db.draft").write_text("half")
    (home.root / ".registry.db.draft-wal").write_text("half")

    create(home.registry)

    assert sorted(os.listdir(home.root)) == ["artifacts", "logs", "registry.db", "run"]


def test_a_registry_in_a_home_that_is_absent_says_where(tmp_path, artifacts):
    store = SqliteStore(tmp_path / "absent/registry.db", "ann")

    with pytest.raises(RegistryError, match=r"absent/registry.db"), store.writing(may_create=True):
        pass


def test_a_transaction_that_fails_leaves_nothing(fraud, home):
    before = (fraud.versions(), fraud.changes())
    store = SqliteStore(home.registry, "ann")

    with contextlib.suppress(KeyError), store.writing() as writer:
        writer.apply(Action.TAG, "fraud", {"tags": {"a": "b"}})
        raise KeyError

    assert before == (fraud.versions(), fraud.changes())


def test_a_writer_that_waits_too_long_says_who_is_to_blame(fraud, home):
    holder = sqlite3.connect(home.registry, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    impatient = SqliteStore(home.registry, "ann", busy_timeout_s=0.05)

    with pytest.raises(RegistryBusy, match="another process is writing"), impatient.writing():
        pass

    holder.close()
    with impatient.writing():
        pass


def test_readers_do_not_wait_for_a_writer(fraud, home):
    store = SqliteStore(home.registry, "ann", busy_timeout_s=0.05)

    with store.writing() as writer:
        writer.apply(Action.TAG, "fraud", {"tags": {"a": "b"}})
        assert fraud.model("fraud").tags == {}

    assert fraud.model("fraud").tags == {"a": "b"}


def test_an_alias_cannot_outlive_its_version_unrecorded(fraud, home):
    """The foreign key stops a patch that forgets the alias, and the whole transaction with it."""
    fraud.set_alias("fraud", "champ", 2)
    store = SqliteStore(home.registry, "ann")

    with pytest.raises(RegistryError, match="FOREIGN KEY"), store.writing() as writer:
        writer.apply(Action.DELETE_VERSION, "fraud", {"versions": {"2": None}})

    assert fraud.version("fraud", 2).aliases == ("champ",)


@pytest.mark.parametrize("statement", ["UPDATE changes SET actor = 'eve'", "DELETE FROM changes"])
def test_the_change_record_cannot_be_rewritten(fraud, home, statement):
    connection = sqlite3.connect(home.registry)

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)

    connection.close()


def test_the_dump_of_the_first_schema_is_what_the_first_migration_makes(old):
    """Otherwise a released migration was edited."""
    select = "SELECT name, sql FROM sqlite_schema WHERE sql NOTNULL"
    with contextlib.closing(sqlite3.connect(":memory:")) as new, contextlib.closing(sqlite3.connect(old)) as dumped:
        for statement in MIGRATIONS[0]:
            new.execute(statement)
        made, found = {*new.execute(select)}, {*dumped.execute(select)}

    assert {name: " ".join(sql.split()) for name, sql in made} == {name: " ".join(sql.split()) for name, sql in found}


def test_an_old_registry_is_read_as_it_is_and_migrated_by_the_first_write(old, home, service, artifacts, folder):
    champion = service.version("fraud", 2)
    assert (champion.stage, champion.aliases, dict(champion.tags)) == (Stage.PRODUCTION, ("champion",), {"data": "2026"})
    assert champion.description == "it's the n°1"
    before = (service.models(), service.versions(), service.changes())
    assert schema_of(old) == 1
    with pytest.raises(NotFound, match="No model was logged"):
        service.logged("m-" + "0" * 32)

    logged = service.log(folder)

    assert schema_of(old) == SCHEMA
    assert service.logged(logged.model_id) == logged
    assert before == (service.models(), service.versions(), service.changes()[:-1])
    assert service.register(folder, "fraud").version == 4
    assert service.rollback("fraud").version.version == 1


def test_the_record_of_an_old_registry_replays_to_its_state(old, service):
    documents = replay(service.changes()).models

    assert {document["name"] for document in documents.values()} == {"fraud", "leavers"}
    assert {number: part["stage"] for number, part in documents[1]["versions"].items()} == {
        "1": "Archived",
        "2": "Production",
    }


def test_an_observer_reads_an_old_registry_without_migrating_it(old, home, artifacts):
    (home.artifacts / "sha256" / ("1" * 64)).mkdir(parents=True)

    assert RegistryObserver(home).resolve(parse_reference("models:/fraud/production")).version == 2
    assert schema_of(old) == 1


def test_a_registry_of_a_newer_podium_is_refused_and_left_alone(fraud, home, folder):
    connection = sqlite3.connect(home.registry)
    connection.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")
    connection.commit()
    connection.close()

    for ask in (
        fraud.models,
        lambda: fraud.register(folder, "fraud"),
        lambda: RegistryObserver(home).resolve(parse_reference("models:/fraud/1")),
    ):
        with pytest.raises(RegistryError, match=f"schema 999 and this podium knows schemas up to {SCHEMA}"):
            ask()
    assert schema_of(home.registry) == 999


def test_another_sqlite_file_is_refused_and_left_alone(service, home, folder):
    connection = sqlite3.connect(home.registry)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()

    with pytest.raises(RegistryError, match="not a podium registry"):
        service.register(folder, "fraud")

    with contextlib.closing(sqlite3.connect(home.registry)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]


REGISTER = """
import sys
from pathlib import Path
from podium.api.registering import Registry
print(Registry(Path(sys.argv[1])).register(Path(sys.argv[2]), "fraud").version, flush=True)
"""


@pytest.mark.parametrize("sign", ["artifacts/incoming/*", "artifacts/sha256/*", "registry.db", "registry.db-wal"])
def test_a_register_that_is_killed_happened_whole_or_not_at_all(home, folder, artifacts, service, wait_until, sign):
    """Killed as soon as each trace of its progress shows: copying, stored, created, writing."""
    (folder / "weights").write_bytes(os.urandom(5_000_000))
    process = subprocess.Popen([sys.executable, "-c", REGISTER, home.root, folder], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: any(home.root.glob(sign)) or process.poll() is not None)
    process.kill()
    said, _ = process.communicate(timeout=550)

    versions = service.versions()
    assert [version.version for version in versions] in ([], [1])
    assert not said or versions
    assert all(artifacts.contains(version.digest) for version in versions)
    assert len([change for change in service.changes() if change.action is Action.REGISTER]) == len(versions)
    assert service.register(folder, "fraud").version == len(versions) + 1
    service.clean()
    assert os.listdir(home.artifacts / "incoming") == []
    assert len(artifacts.list()) == 1
