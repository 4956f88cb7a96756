"""The queue of a worker is bounded in rows and bytes, and gives out batches oldest first."""

import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.batching import BatchPolicy, LatencyModel, Previous, Wait
from podium.worker.inbox import Inbox, Job
from podium.worker.link import Link

MakeJob = Callable[..., Job]


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    left, right = socket.socketpair()
    link = Link(left, 1)
    yield link
    link.close()
    right.close()


@pytest.fixture(scope="module")
def job(link: Link) -> MakeJob:
    def make(identity: int, rows: int = 1, key: int | None = 0, deadline_ns: int = 0, size_bytes: int = 10) -> Job:
        made = Job(link, identity, "", deadline_ns, 0, size_bytes)
        made.rows, made.merge_key = rows, key
        return made

    return make


def batch(inbox: Inbox, **limits: int) -> list[int]:
    found = inbox.next_batch(0, LatencyModel(), BatchPolicy(**limits), None)
    assert isinstance(found, list)
    return [each.id for each in found]


def test_others_keep_their_place(job: MakeJob) -> None:
    inbox = Inbox(100)
    for identity, key in enumerate([0, 1, 0, None, 1, 0]):
        inbox.put(job(identity, key=key))

    assert [batch(inbox) for _ in range(3)] == [[0, 2, 5], [1, 4], [3]]
    assert (len(inbox), inbox.rows) == (0, 0)


def test_it_is_full_in_rows(job: MakeJob) -> None:
    inbox = Inbox(10)
    inbox.put(job(1, rows=7))

    assert inbox.has_room(3, 0)
    assert not inbox.has_room(4, 0)


def test_it_is_full_in_bytes(job: MakeJob) -> None:
    inbox = Inbox(10, max_bytes=100)
    inbox.put(job(1, size_bytes=70))

    assert inbox.has_room(1, 30)
    assert not inbox.has_room(1, 31)


def test_an_empty_one_takes_anything() -> None:
    assert Inbox(10, max_bytes=10).has_room(10**6, 10**9)


def test_a_request_without_rows_weighs_one(job: MakeJob) -> None:
    inbox = Inbox(1)
    inbox.put(job(1, rows=0))

    assert not inbox.has_room(0, 0)


def test_expired_requests_come_out_and_only_they(job: MakeJob) -> None:
    inbox = Inbox(100)
    for identity, deadline in enumerate([50, 0, 20, 90]):
        inbox.put(job(identity, deadline_ns=deadline))

    assert [each.id for each in inbox.expired(19)] == []
    assert [each.id for each in inbox.expired(50)] == [0, 2]
    assert inbox.rows == 2
    assert [each.id for each in inbox.expired(90)] == [3]
    assert batch(inbox) == [1]


def test_waiting_leaves_everything(job: MakeJob) -> None:
    inbox = Inbox(100)
    inbox.put(job(1))
    inbox.put(job(2))

    assert inbox.next_batch(100, LatencyModel(fixed_ns=1000), BatchPolicy(), Previous(4, 4, 100)) == Wait(200)
    assert len(inbox) == 2


def test_key_numbers_are_equal_for_equal_keys_and_the_table_is_bounded() -> None:
    inbox = Inbox(1)

    assert inbox.key_number(None) is None
    assert inbox.key_number(("a",)) == inbox.key_number(("a",)) != inbox.key_number(("b",))
    numbers = {inbox.key_number((number,)) for number in range(5000)}
    assert len(numbers) == 5000
    assert len(inbox._keys) <= 1024


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, None]), st.sampled_from([0, 5, 9])), max_size=30))
def test_every_request_comes_out_once(job: MakeJob, weights: list[tuple[int, int | None, int]]) -> None:
    inbox = Inbox(1000)
    for identity, (rows, key, deadline) in enumerate(weights):
        inbox.put(job(identity, rows=rows, key=key, deadline_ns=deadline))

    seen = [each.id for each in inbox.expired(6)]
    while inbox:
        seen += batch(inbox, max_rows=7)

    assert sorted(seen) == list(range(len(weights)))
    assert (inbox.rows, inbox._size_bytes) == (0, 0)


def test_the_requests_of_a_lost_gateway_come_out(job: MakeJob, link: Link) -> None:
    left, right = socket.socketpair()
    other = Link(left, 2)
    inbox = Inbox(100)
    for identity in range(4):
        each = job(identity)
        each.link = other if identity % 2 else link
        each.link.waiting[identity] = each
        inbox.put(each)

    inbox.drop_all(other)

    assert inbox.rows == 2
    assert batch(inbox) == [0, 2]
    link.waiting.clear()
    other.close()
    right.close()
