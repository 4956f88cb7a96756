"""Rollouts in a PostgreSQL database: one of its own for these tests, where its programs and its driver are there."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podium.domain.rollouts.schedule import MarkKind
from podium.errors import Misconfigured, RegistryError
from podium.registry.mlflow.contract import NotWritable
from podium.registry.rollout_edits import Beginning, Note, begin, note
from podium.registry.rollout_sides import SideBook, side_of

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None) or (
    Path(found).resolve().parent if (found := shutil.which("postgres")) else None
)
pytest.importorskip("sqlalchemy", reason="podium[sql] is not installed")
pytest.importorskip("psycopg2", reason="podium[sql] is not installed")
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")
SECRET = "open-sesame"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """A server on a socket in a folder; `ann` may do anything, `bob` only read."""
    assert PROGRAMS is not None
    folder = tmp_path_factory.mktemp("pg")
    # PostgreSQL refuses to run as root.
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if as_nobody:
        for each in (folder, *folder.parents[:3]):
            each.chmod(0o755)
        os.chown(folder, 65534, 65534)

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*as_nobody, str(PROGRAMS / program), *arguments], check=True, cwd=folder, capture_output=True)

    data = folder / "data"
    run("initdb", "-D", str(data), "-U", "ann", "--auth=trust", "--no-sync")
    run("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses=", "start")
    try:
        run("psql", "-h", str(folder), "-U", "ann", "-d", "postgres", "-c", "CREATE ROLE bob LOGIN")
        yield f"postgresql:///postgres?host={folder}&user="
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


def book_of(address: str, user: str = "ann") -> SideBook:
    return SideBook(side_of(address + user), lambda _name, _follows: "1")


def start(book: SideBook, name: str, rollout_id: str = "a") -> None:
    asked = Beginning(rollout_id, name, "production", "2", (5, 100), 10.0, "ann")
    book.change(name, lambda page: begin(asked, page))


def mark(book: SideBook, name: str, kind: MarkKind) -> None:
    book.change(name, lambda page: note(Note(kind, "node", "because"), "production", name, book.may_move, page))


def test_a_rollout_is_kept_with_the_clock_of_the_database(address):
    """Nothing is there before the first one; of each model what is its own."""
    side, book = side_of(address + "ann"), book_of(address)
    assert side.read("fraud")[0] == {}

    start(book, "fraud")
    mark(book, "fraud", MarkKind.VETO)

    board, reading = book.read("fraud")
    [entry] = board.entries
    assert [each.kind for each in entry.marks] == [MarkKind.VETO]
    assert entry.rollout.started_at <= entry.marks[0].at <= reading.least
    assert [*side.read_all()[0]] == ["fraud"]
    assert book.read("churn")[0].entries == ()


def test_of_many_nodes_that_write_at_once_one_does(address):
    """Eight vetoes and finishes at the same time: one end, which all of them see."""
    start(book_of(address), "many")
    together = threading.Barrier(8)

    def write(number: int) -> None:
        mine = book_of(address)
        together.wait()
        mark(mine, "many", MarkKind.VETO if number % 2 else MarkKind.FINISH)

    with ThreadPoolExecutor(8) as nodes:
        list(nodes.map(write, range(8)))

    assert len(book_of(address).read("many")[0].entries[0].marks) == 1


def test_who_may_only_read_is_told_so(address):
    """And so is who asks for another database; the password is in no message."""
    start(book_of(address), "seen")
    reader = book_of(address, "bob")

    with pytest.raises(RegistryError, match="permission denied"):
        reader.read("seen")
    with pytest.raises(NotWritable, match="permission denied"):
        start(reader, "seen", "b")
    with pytest.raises(RegistryError) as caught:
        side_of(f"postgresql://ann:{SECRET}@127.0.0.1:1/postgres").read("fraud")
    assert SECRET not in str(caught.value)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(Misconfigured, match="postgresql://USER@HOST/DATABASE"):
        side_of("mysql://ann@host/db")
