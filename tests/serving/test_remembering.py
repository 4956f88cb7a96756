"""Which answers and labels a real gateway hands on to the monitor, and that it says so where it cannot."""

import contextlib
import json
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from podium.domain.inputs.plan import Field, InputPlan
from podium.protocols.tensors import CONTENT_TYPE, Tensor, encode_tensors, form_number
from podium.telemetry.backlog import receive_message
from podium.telemetry.metrics import FEEDBACK
from podium.telemetry.remembered import Labelled, Remembered, records_in
from podium.telemetry.slots import UNROUTED

PAIRS = InputPlan("tensor", (Field(None, "float64", (2,)),)).to_json()
PAIR = b'{"inputs": [[1.0, 2.5]]}'
V2 = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.5]}]}).encode()
CSV = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\na\n"
FEEDBACK_PATH = "/models/iris/feedback"


def begun(start: Callable[..., Any], rate: int = 100, **settings: Any) -> Any:
    """A gateway that hands answers on, with one worker that the test plays."""
    made = start(quality_rate=rate, **settings)
    made.handed.settimeout(60)
    made.add(1, plan=PAIRS)
    made.publish()
    return made


def next_of(server: Any) -> list[Remembered | Labelled]:
    """The next message's records."""
    message = receive_message(server.handed)
    assert message is not None
    return records_in(message.content)


def answers_of(server: Any, count: int) -> list[Remembered]:
    found: list[Remembered] = []
    while len(found) < count:
        found += [each for each in next_of(server) if isinstance(each, Remembered)]
    return found


def empty(server: Any) -> None:
    """Read whatever was handed on."""
    server.handed.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while next_of(server):
            pass


def told_of(server: Any, *reports: dict[str, Any], status: int = 200) -> list[dict[str, Any]]:
    answer = server.ask("POST", FEEDBACK_PATH, json.dumps(reports).encode())
    assert answer.status == status, answer.body
    return answer.json["items"]


def is_silent(server: Any) -> bool:
    """Whether nothing was handed on by a gateway that has ended."""
    server.drain()
    assert server.gateway.wait() == 0
    server.handed.settimeout(0)
    try:
        return not next_of(server)
    except BlockingIOError:
        return True


def test_a_decoded_request_a_raw_one_and_one_of_another_protocol_are_remembered(start: Callable[..., Any]) -> None:
    """Each as its worker answered it, whatever its client was told."""
    server, at = begun(start), time.time()
    worker = server.workers[0]
    soon = server.score_soon(PAIR, X_Request_ID="one")
    worker.answer(worker.take_group(), b'{"predictions": [7]}')
    assert soon.result().status == 200
    soon = server.score_soon(b'{"inputs": ["x"]}', X_Request_ID="two")
    worker.reply(worker.take(), b'{"predictions": [8]}')
    assert soon.result().status == 200
    tensors = encode_tensors([Tensor("y", "INT64", (1,), struct.pack("<q", 9))], {"form": form_number("INT64", 1)})
    for name in ("three", "four"):
        soon = server.soon(lambda name=name: server.ask("POST", "/v2/models/iris/infer", V2, {"X-Request-ID": name}))
        if name == "three":
            worker.reply(worker.take(), tensors, content_type=CONTENT_TYPE)
        else:
            worker.answer(worker.take_group(), b'{"predictions": [9]}', form=form_number("INT64", 1))
        assert soon.result().json["outputs"][0]["data"] == [9]

    found = answers_of(server, 4)

    assert [(each.request_id, each.path, each.content_type, each.answer) for each in found] == [
        ("one", "/invocations", "application/json", b'{"predictions": [7]}'),
        ("two", "/invocations", "application/json", b'{"predictions": [8]}'),
        ("three", "/v2/models/iris/infer", CONTENT_TYPE, tensors),
        ("four", "/v2/models/iris/infer", "application/json", b'{"predictions": [9]}'),
    ]
    assert {(each.model, each.version, each.variant) for each in found} == {("iris", "1", "")}
    assert all(at <= each.at <= time.time() for each in found)


def test_requests_that_are_answered_together_are_each_remembered_with_their_own_answer(start: Callable[..., Any]) -> None:
    server = begun(start)
    worker = server.workers[0]
    with server.connect() as one, server.connect() as two:
        for name, sock in ((b"one", one), (b"two", two)):
            head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: %s\r\n" % name
            sock.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(PAIR), PAIR))
        names: list[str] = []
        while len(names) < 2:
            group = worker.take_group()
            worker.answer(group, *[b'{"predictions": ["%s"]}' % each for each in group.names.split(b"\n")])
            names += group.names.decode().split()

        found = answers_of(server, 2)

    assert {(each.request_id, each.answer) for each in found} == {
        (name, b'{"predictions": ["%s"]}' % name.encode()) for name in ("one", "two")
    }


def test_errors_answers_in_parts_and_large_ones_are_not_remembered(start: Callable[..., Any]) -> None:
    server = begun(start)
    worker = server.workers[0]
    for changes in ({"status": 400}, {"body": b'{"predictions": ["%s"]}' % (b"x" * (64 << 10))}):
        soon = server.score_soon(b'{"inputs": ["x"]}')
        worker.reply(worker.take(), **changes)
        assert soon.result().status == changes.get("status", 200)
    soon = server.soon(lambda: server.ask("POST", "/v2/models/iris/generate_stream", b'{"text_input": "a"}'))
    worker.reply(worker.take(), b"", status=204)
    assert soon.result().status == 200

    assert is_silent(server)
    assert [server.slots.exported(f"answers_{each}") for each in ("kept", "large")] == [0, 1]


def test_a_gateway_whose_rate_is_0_hands_nothing_on(start: Callable[..., Any]) -> None:
    server = begun(start, rate=0)
    worker = server.workers[0]
    soon = server.score_soon(PAIR)
    worker.answer(worker.take_group(), b'{"predictions": [7]}')
    identity = soon.result().headers["x-request-id"]
    (item,) = told_of(server, {"request_id": identity, "label": 1})

    assert (item["request_id"], item["result"]) == (identity, "matched")
    assert is_silent(server)


def test_above_the_rate_answers_are_skipped_and_counted(start: Callable[..., Any]) -> None:
    """Ten a second, so a hundred at once; of the rest a part by lot, from the second on in which it is known how many come.

    Where that begins after some sixty of them, a hundred and ten are to be expected, and no fewer wherever it begins.
    """
    server = begun(start, rate=10)
    worker = server.workers[0]
    worker.serve()
    began = time.monotonic()
    with server.connect() as client:
        file = client.makefile("rb")
        for _ in range(400):
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\na\n"
            )
            while (line := file.readline()) != b"\r\n":
                assert line
            file.read(len(b'{"predictions": [1]}'))
    server.drain()
    assert server.gateway.wait() == 0
    passed = time.monotonic() - began
    kept, skipped = (server.slots.exported(f"answers_{each}") for each in ("kept", "skipped"))

    assert kept + skipped == 400
    assert 60 <= kept <= 100 + 10 * passed + 1  # six deviations and a half below what is to be expected


def test_of_several_versions_a_request_that_names_none_is_a_sample_of_its_variant(start: Callable[..., Any]) -> None:
    server = start(quality_rate=100)
    server.handed.settimeout(60)
    for number, version in enumerate(("1", "2"), 1):
        server.add(number, version, series=number).serve()
    server.publish({"1": (50, [1]), "2": (50, [2])})
    answers = [server.score(x_podium_version="2")] + [server.score() for _ in range(8)]
    assert {answer.status for answer in answers} == {200}

    found = answers_of(server, 9)

    assert (found[0].version, found[0].variant) == ("2", "")
    assert all(each.variant == each.version for each in found[1:])


def test_labels_are_handed_on_before_their_report_is_answered(start: Callable[..., Any]) -> None:
    """Known or not, first or again: the monitor knows more, and for longer."""
    server = begun(start)
    worker = server.workers[0]
    soon = server.score_soon(PAIR)
    worker.answer(worker.take_group(), b'{"predictions": [7]}')
    identity = soon.result().headers["x-request-id"]
    (remembered,) = answers_of(server, 1)
    now = time.time()
    items = told_of(
        server,
        {"request_id": identity, "label": 1},
        {"request_id": identity, "actual": [0, None], "reward": 1, "weight": 2},
        {"request_id": identity, "row": 3, "label": {"a": "é"}, "at": "2026-01-01T00:00:00Z"},
        {"request_id": identity, "row": 3, "label": 4, "at": 9e9},
        {"request_id": "long-ago", "ground_truth": False},
        {"request_id": "no answer's: \n", "label": 1},
        {"request_id": identity, "label": 1, "weight": -1},
        {"request_id": identity, "reward": 1},
    )
    server.handed.settimeout(0)
    labels = next_of(server)
    assert all(isinstance(each, Labelled) and each.model == "iris" for each in labels)
    told = [(each.request_id, each.row, each.label, each.weight) for each in labels]

    assert remembered.request_id == identity
    assert told == [
        (identity, None, "1", 1), (identity, None, "[0,null]", 2), (identity, 3, '{"a":"é"}', 1), (identity, 3, "4", 1),
        ("long-ago", None, "false", 1),
    ]  # fmt: skip
    assert labels[2].at == 1767225600
    assert now <= labels[3].at <= time.time()  # nobody knows what will be
    results = [(item["result"], item.get("label"), item.get("row")) for item in items]
    assert results == [
        ("matched", None, None), ("matched", None, None), ("matched", None, 3), ("duplicate", "kept", 3),
        ("unmatched", "kept", None), ("unmatched", None, None), ("invalid", None, None), ("duplicate", None, None),
    ]  # fmt: skip


def test_a_label_that_finds_no_room_is_full_and_may_be_sent_again(start: Callable[..., Any]) -> None:
    """Its reward counts once, and so does the label."""
    server = begun(start)
    worker = server.workers[0]
    soon = server.score_soon(PAIR)
    worker.answer(worker.take_group(), b'{"predictions": [7]}')
    identity = soon.result().headers["x-request-id"]
    while told_of(server, {"request_id": "else", "label": "x" * 40_000})[0]["result"] != "full":
        pass
    before = server.counted(UNROUTED)[FEEDBACK.cell("full")]
    full = told_of(server, {"request_id": identity, "label": 1, "reward": 1}, {"request_id": "else", "label": 1})
    assert [item["result"] for item in full] == ["full", "full"]
    assert server.counted(UNROUTED)[FEEDBACK.cell("full")] == before + 1
    # By one small message less there need not be any room.
    empty(server)
    again = told_of(server, {"request_id": identity, "label": 1, "reward": 1})

    assert again[0]["result"] == "matched"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"items": 1}', 400, "items: expected"),
        (b'{"items": [], "model": "x"}', 400, "model: unknown"),
        (b'{"items": [{"request_id": "a", "label": NaN}]}', 400, "not JSON"),
        (b'{"items": [{"request_id": "a", "label": 1e999}]}', 400, "not JSON"),
        (b'[{"request_id": "a", "label": %s1%s}]' % (b"[" * 2000, b"]" * 2000), 400, "not JSON"),
        (b'[{"request_id": "a", "label": %s1%s}]' % (b"[" * 500, b"]" * 500), 400, "8 deep"),
        (b'[{"request_id": "a", "label": "%s"}]' % (b"x" * (64 << 10)), 400, "at most 65536"),
        (b'[{"request_id": "a", "label": 1, "row": 100000}]', 400, "0 to 99999"),
        (b'{"items": []}', 200, "matched"),
    ],
)
def test_what_is_no_label_is_refused_and_nothing_of_it_handed_on(hostile: Any, body: bytes, status: int, said: str) -> None:
    answer = hostile.ask("POST", FEEDBACK_PATH, body)

    assert (answer.status, said in answer.body.decode()) == (status, True), answer.body
    hostile.handed.settimeout(0)
    with pytest.raises(BlockingIOError):
        receive_message(hostile.handed)


@pytest.fixture(scope="module")
def hostile(start_shared: Callable[..., Any]) -> Any:
    made = start_shared(quality_rate=10)
    made.publish({"1": (100, [])})
    return made
