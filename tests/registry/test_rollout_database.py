"""Rollouts in a PostgreSQL database: one of its own for these tests, where its programs and its driver are there."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from postgresql import PROGRAMS, postgresql

from podium.domain.rollouts.schedule import MarkKind
from podium.errors import Misconfigured, RegistryError
from podium.registry.mlflow.contract import NotWritable
from podium.registry.rollout_edits import Note, RolloutOrder, begin, note
from podium.registry.rollout_sides import SideBook, side_of

pytest.importorskip("sqlalchemy", reason="podium[sql] is not installed")
pytest.importorskip("psycopg2", reason="podium[sql] is not installed")
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed")
SECRET = "open-sesame"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """`ann` may do anything, `bob` only read."""
    with postgresql() as address:
        yield address


def book_of(address: str, user: str = "ann") -> SideBook:
    return SideBook(side_of(address + user, 120), lambda _name, _follows: "1")


def start(book: SideBook, name: str, rollout_id: str = "a") -> None:
    asked = RolloutOrder(rollout_id, name, "production", "2", (5, 100), 10.0, "ann")
    book.change(name, lambda page: begin(asked, page))


def mark(book: SideBook, name: str, kind: MarkKind) -> None:
    book.change(name, lambda page: note(Note(kind, "node", "because"), "production", name, book.may_move, page))


def test_a_rollout_is_kept_with_the_clock_of_the_database(address):
    """Nothing is there before the first one; of each model what is its own."""
    side, book = side_of(address + "ann", 120), book_of(address)
    assert side.read("fraud")[0] == {}

    start(book, "fraud")
    mark(book, "fraud", MarkKind.VETO)

    notices, reading = book.read("fraud")
    [entry] = notices.entries
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
