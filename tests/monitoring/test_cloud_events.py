"""Rows as CloudEvents, received by a real HTTP server: what KServe's consumers expect, and what happens when it is down."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from receiving import Receiver

from podium.domain.payload_columns import ColumnRules
from podium.monitoring.kept_connection import KeptConnection
from podium.monitoring.payloads.cloud_events import CloudEvents
from podium.monitoring.payloads.rows import PayloadRow, Terms, digest_with, row_of
from podium.telemetry.seen import Seen

TERMS = Terms(ColumnRules(), None, 1.0, digest_with(b"key"))
WAIT_S = 60


def row(**changes: Any) -> PayloadRow:
    fields: dict[str, Any] = {
        "ended": datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp(), "duration_us": 1500, "request_id": "r1",
        "method": "POST",
        "path": "/invocations", "status": 200, "model": "iris", "version": "3", "principal": "", "error": "", "attempts": 1,
        "rows": 1, "batch_rows": 8, "queued_us": 20, "predict_us": 100, "request_type": "application/json",
        "answer_type": "application/json", "request_size": 1, "answer_size": 1, "request": b'{"inputs": [1]}',
        "answer": b'{"predictions": [0.5]}', "is_kept": True,
    }  # fmt: skip
    return row_of(Seen(**(fields | changes)), TERMS)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_request_and_its_answer_are_two_events_with_one_id(receiver: Receiver) -> None:
    counted: list[tuple[str, int]] = []
    events = CloudEvents(receiver.url, lambda *told: counted.append(told), WAIT_S)

    events.add(row())
    found = receiver.wait_for(2)
    events.close(WAIT_S)

    assert [(headers["ce-id"], headers["ce-type"], body) for headers, body in found] == [
        ("r1", "org.kubeflow.serving.inference.request", b'{"inputs": [1]}'),
        ("r1", "org.kubeflow.serving.inference.response", b'{"predictions": [0.5]}'),
    ]
    headers = found[0][0]
    assert (
        headers["ce-specversion"], headers["ce-time"], headers["ce-inferenceservicename"], headers["ce-endpoint"],
        headers["content-type"],
    ) == ("1.0", "2026-03-01T12:00:00Z", "iris", "3", "application/json")  # fmt: skip
    assert counted == [("written", 1)]


def test_many_events_share_one_connection(receiver: Receiver) -> None:
    events = CloudEvents(receiver.url, lambda *_: None, WAIT_S)

    for _ in range(50):
        events.add(row())
    receiver.wait_for(100)
    events.close(WAIT_S)

    assert len(receiver.connections) == 1


def test_what_is_not_taken_is_sent_once_more_and_then_counted(receiver: Receiver) -> None:
    counted: list[tuple[str, int]] = []
    receiver.statuses = [503, 202, 202, 500, 500]
    events = CloudEvents(receiver.url, lambda *told: counted.append(told), WAIT_S)

    events.add(row())
    events.add(row())
    receiver.wait_for(5)
    events.close(WAIT_S)

    assert counted == [("written", 1), ("failed", 1)]


def test_a_receiver_that_is_down_costs_nothing_but_its_events() -> None:
    counted: list[tuple[str, int]] = []
    events = CloudEvents("http://127.0.0.1:9/", lambda *told: counted.append(told), WAIT_S)

    for _ in range(10_050):
        events.add(row())
    events.close(0)

    assert sum(count for _, count in counted) == 10_050
    assert {"failed", "dropped"} >= {result for result, _ in counted}


def test_a_hostile_request_id_or_content_type_adds_no_header(receiver: Receiver) -> None:
    events = CloudEvents(receiver.url, lambda *_: None, WAIT_S)

    events.add(row(request_id="r\r\nx-evil: 1", request_type="text/plain\r\nx-evil: 1", model="ä\u2028"))
    (headers, _), _ = receiver.wait_for(2)
    events.close(WAIT_S)

    assert (headers["ce-id"], headers["ce-inferenceservicename"]) == ("r%0D%0Ax-evil: 1", "%C3%A4%E2%80%A8")
    assert "x-evil" not in headers


@pytest.mark.parametrize("again", [b"a", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_receiver_whose_answer_never_ends_holds_nobody_up(again: bytes) -> None:
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nx: " if again == b"a" else again)
            while not over.wait(0.01):
                connection.sendall(again)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            connection = KeptConnection(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.2)

            assert not connection.post({}, b"{}")
        finally:
            over.set()
            thread.join(60)


def test_an_answer_in_time_leaves_the_connection_for_the_next(receiver: Receiver) -> None:
    """Whatever was left of the first answer's time is not what the second has."""
    connection = KeptConnection(receiver.url, WAIT_S)

    taken = [connection.post({}, b"{}"), connection.post({}, b"{}")]
    connection.close()

    assert (taken, len(receiver.connections)) == ([True, True], 1)
