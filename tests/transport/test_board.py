"""The board tells the truth about what runs, also after its writer died, and reading it is safe whatever it holds."""

import mmap
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.transport.board import CAPACITY, BoardReader, BoardWriter, create_board


@pytest.fixture
def page() -> Iterator[int]:
    descriptor = create_board()
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def reader(page: int) -> Iterator[BoardReader]:
    reader = BoardReader(page)
    yield reader
    reader.close()


@pytest.fixture
def writer(page: int) -> Iterator[BoardWriter]:
    writer = BoardWriter(page)
    yield writer
    writer.close()


def test_a_new_board_is_idle(reader: BoardReader) -> None:
    assert (reader.busy_since_ns, reader.queued_rows, reader.running()) == (0, 0, [])


def test_a_batch_is_announced_and_cleared(writer: BoardWriter, reader: BoardReader) -> None:
    writer.announce([(1, 10), (2, 2**64 - 1)], 77)
    assert (reader.busy_since_ns, reader.running()) == (77, [(1, 10), (2, 2**64 - 1)])

    writer.clear()
    assert (reader.busy_since_ns, reader.running()) == (0, [])


def test_a_shorter_batch_replaces_a_longer_one(writer: BoardWriter, reader: BoardReader) -> None:
    writer.announce([(1, 1), (1, 2), (1, 3)], 5)
    writer.announce([(2, 9)], 6)

    assert reader.running() == [(2, 9)]


def test_one_request_is_pointed_at(writer: BoardWriter, reader: BoardReader) -> None:
    writer.announce([(1, 1), (1, 2)], 5)
    writer.point(3, 4, 6)

    assert (reader.busy_since_ns, reader.running()) == (6, [(3, 4)])


def test_the_queue_is_told_beside_the_batch(writer: BoardWriter, reader: BoardReader) -> None:
    writer.set_queued(9)
    writer.announce([(1, 1)], 5)

    assert (reader.queued_rows, reader.running()) == (9, [(1, 1)])


def test_a_full_board_holds_its_capacity_and_no_more(writer: BoardWriter, reader: BoardReader) -> None:
    full = [(1, number) for number in range(CAPACITY)]
    writer.announce(full, 5)

    with pytest.raises(ValueError, match=f"holds {CAPACITY} requests"):
        writer.announce([*full, (1, 1)], 6)
    assert full == reader.running()


def test_the_board_outlives_its_writer_killed_in_mid_batch(page: int, reader: BoardReader) -> None:
    child = os.fork()
    if child == 0:
        BoardWriter(page).announce([(4, 5), (4, 6)], 123)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)

    assert (reader.busy_since_ns, reader.running()) == (123, [(4, 5), (4, 6)])


def test_the_page_cannot_be_resized_under_a_reader(page: int) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(page, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_page_can_be_read(page: int, reader: BoardReader, content: bytes) -> None:
    with mmap.mmap(page, 64 * 1024) as written:
        written[8 : 8 + len(content)] = content

    assert len(reader.running()) <= CAPACITY


def test_a_page_that_is_not_a_board_holds_nothing(page: int, writer: BoardWriter, reader: BoardReader) -> None:
    writer.announce([(1, 1)], 5)
    with mmap.mmap(page, 64 * 1024) as written:
        written[:8] = b"\0" * 8

    assert (reader.busy_since_ns, reader.running()) == (0, [])
