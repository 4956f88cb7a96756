"""What fits the model's input plan is decoded by the gateway and travels in groups; everything else goes as it came."""

import http.client
import json
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from podium.domain.inputs.plan import Field, InputPlan
from podium.protocols.tensors import CONTENT_TYPE, Tensor, encode_tensors, form_number
from podium.telemetry.metrics import BATCH_ROWS, CRASHES, PREDICT, QUEUE, REQUESTS, RETRIES, ROWS
from podium.transport import frames
from podium.transport.messages import ReplicaLost, ReplicaReleased

PAIRS = InputPlan("tensor", (Field(None, "float64", (2,)),)).to_json()
PAIR = b'{"inputs": [[1.0, 2.5]]}'
FITTING = {"Content-Type": "application/json"}


def packed(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


@pytest.fixture
def planned(start: Callable[..., Any]) -> Any:
    """A gateway with one worker whose model takes pairs of numbers."""
    server = start()
    server.add(1, plan=PAIRS)
    server.publish()
    return server


def pipelined(server: Any, bodies: list[bytes], headers: str = "") -> socket.socket:
    sock = server.connect()
    head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    sock.sendall(b"".join(f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies))
    return sock


def answers(sock: socket.socket, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    found = []
    with sock.makefile("rb") as file:
        for _ in range(count):
            status = int(file.readline().split()[1])
            fields = dict(line.decode().rstrip().split(": ", 1) for line in iter(file.readline, b"\r\n"))
            found.append((status, fields, file.read(int(fields["content-length"]))))
    return found


def test_what_fits_goes_decoded(planned: Any) -> None:
    soon = planned.score_soon(PAIR)
    group = planned.workers[0].take_group()

    planned.workers[0].answer(group, b'{"predictions": [7]}')

    assert (1, 1, packed(1.0, 2.5)) == (group.requests, group.rows, bytes(group.block))
    answer = soon.result()
    assert (
        answer.status, answer.body, answer.headers["content-type"]
    ) == (200, b'{"predictions": [7]}', "application/json")  # fmt: skip
    assert group.names.decode() == answer.headers["x-request-id"]
    assert (answer.headers["x-podium-model"], answer.headers["x-podium-version"]) == ("iris", "1")
    assert "date" in answer.headers


def test_a_client_may_name_its_request(planned: Any) -> None:
    """As proxies do with every one: it goes decoded like any other, and feedback finds who answered it."""
    soon = planned.score_soon(PAIR, **{"X-Request-ID": "mine-1"})
    group = planned.workers[0].take_group()
    planned.workers[0].answer(group, b'{"predictions": [7]}')

    assert (group.names, soon.result().headers["x-request-id"]) == (b"mine-1", "mine-1")
    report = planned.ask("POST", "/models/iris/feedback", b'{"request_id": "mine-1", "reward": 1}')
    assert report.json["matched"] == 1


def test_an_answer_to_a_group_looks_like_any_other(planned: Any) -> None:
    """Names and order of the headers are the same on both ways."""
    decoded = planned.score_soon(PAIR)
    planned.workers[0].answer(planned.workers[0].take_group(), b"{}")
    raw = planned.score_soon(b'{"inputs": [[1.0, null]]}')
    planned.workers[0].reply(planned.workers[0].take(), b"{}")

    assert list(raw.result().headers) == list(decoded.result().headers)


@pytest.mark.parametrize(
    ("why", "body", "headers"),
    [
        ("a null", b'{"inputs": [[1.0, null]]}', FITTING),
        ("params", b'{"inputs": [[1.0, 2.0]], "params": {}}', FITTING),
        ("no JSON", b"{", FITTING),
        ("another shape", b'{"inputs": [[1.0]]}', FITTING),
        ("a large body", b'{"inputs": [%s]}' % b", ".join([b"[1.0, 2.5]"] * 40_000), FITTING),
        ("CSV", b"a,b\n1,2\n", {"Content-Type": "text/csv"}),
        ("no content type", PAIR, {}),
    ],
)
def test_what_does_not_fit_goes_as_it_came(planned: Any, why: str, body: bytes, headers: dict[str, str]) -> None:
    def ask() -> int:
        client = http.client.HTTPConnection("127.0.0.1", planned.port, timeout=240)
        client.putrequest("POST", "/invocations")
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            client.putheader(name, value)
        client.endheaders(body)
        status = client.getresponse().status
        client.close()
        return status

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        request = planned.workers[0].take()
        planned.workers[0].reply(request)

        assert asked.result(60) == 200
    assert (body, headers.get("Content-Type")) == (request.body, request.content_type)


def test_requests_of_several_connections_are_answered_each_with_its_own(planned: Any) -> None:
    """However they were grouped."""
    worker = planned.workers[0]
    soons = [planned.score_soon(json.dumps({"inputs": [[float(i), 0.0]] * (i + 1)}).encode()) for i in range(5)]
    seen = 0
    while seen < 5:
        group = worker.take_group()
        counts = group.counts or (1,) * group.requests
        bodies, position = [], 0
        for count in counts:
            (value,) = struct.unpack_from("<d", group.block, 16 * position)
            bodies.append(json.dumps({"predictions": [value] * count}).encode())
            position += count
        worker.answer(group, *bodies)
        seen += group.requests

    assert [soon.result().json for soon in soons] == [{"predictions": [float(i)] * (i + 1)} for i in range(5)]


def test_pipelined_requests_are_answered_in_order(planned: Any) -> None:
    worker = planned.workers[0]
    sock = pipelined(planned, [PAIR, b'{"inputs": [[null, 1.0]]}', PAIR])
    worker.answer(worker.take_group(), b"1")
    worker.reply(worker.take(), b"2")
    worker.answer(worker.take_group(), b"3")

    assert [body for _, _, body in answers(sock, 3)] == [b"1", b"2", b"3"]
    sock.close()


def test_a_body_with_more_rows_than_a_batch_goes_alone(start: Callable[..., Any]) -> None:
    server = start()
    worker = server.add(1, plan=PAIRS, group_rows=2)
    server.publish()
    soon = server.score_soon(json.dumps({"inputs": [[1.0, 2.0]] * 5}).encode())

    group = worker.take_group()
    worker.answer(group, b"{}")

    assert (group.requests, group.rows) == (1, 5)
    assert soon.result().status == 200


def test_everything_is_counted_once(planned: Any, until: Any) -> None:
    worker = planned.workers[0]
    for rows in (1, 3):
        soon = planned.score_soon(json.dumps({"inputs": [[1.0, 2.0]] * rows}).encode())
        worker.answer(worker.take_group(), b"{}")
        assert soon.result().status == 200

    assert until(lambda: planned.counted()[ROWS.offset] == 4, "both to be counted, of which the rows are the last")
    counted = planned.counted()
    assert counted[REQUESTS.cell("200")] == 2
    assert sum(counted[QUEUE.offset : QUEUE.offset + len(QUEUE.bounds) + 1]) == 2
    assert sum(counted[BATCH_ROWS.offset : BATCH_ROWS.offset + len(BATCH_ROWS.bounds) + 1]) == 2
    assert counted[PREDICT.sum] == 200


def test_a_client_that_leaves_is_cancelled_and_the_others_are_answered(planned: Any, until: Any) -> None:
    worker = planned.workers[0]
    sock = pipelined(planned, [PAIR])
    gone = worker.take_group()
    sock.close()
    frame = worker.frame()

    assert (frames.CANCEL, gone.first) == (frame.kind, frame.id)
    soon = planned.score_soon(PAIR)
    stays = worker.take_group()
    worker.answer(gone, b"nobody reads this")
    worker.answer(stays, b"{}", is_first=False)
    assert soon.result().body == b"{}"
    assert until(lambda: planned.counted()[REQUESTS.cell("499")] == 1, "who left to be counted")


def test_a_refused_request_of_a_group_goes_elsewhere_as_it_came(start: Callable[..., Any]) -> None:
    """It may have been refused because the plan changed under it; the raw body is always right."""
    server = start()
    first = server.add(1, plan=PAIRS)
    server.publish()
    soon = server.score_soon(PAIR)
    group = first.take_group()
    second = server.add(2, plan=PAIRS)
    server.publish({"1": (100, [1, 2])})

    first.sock.sendall(frames.encode_refused(group.first, frames.DRAINING))
    request = second.take()
    second.reply(request)

    assert request.body == PAIR
    assert soon.result().status == 200


def test_what_ran_when_a_worker_died_is_sent_again_alone_and_raw(start: Callable[..., Any], until: Any) -> None:
    server = start()
    first = server.add(1, plan=PAIRS)
    server.publish()
    soon = server.score_soon(PAIR)
    group = first.take_group()
    first.board.announce([(first.serial, group.first)], 1)

    first.die()
    server.gateway.expect(ReplicaLost)
    second = server.add(2, plan=PAIRS)
    server.publish({"1": (100, [2])})
    request = second.take()
    second.reply(request)

    assert (request.body, request.is_solo) == (PAIR, True)
    assert soon.result().status == 200
    assert until(lambda: server.counted()[REQUESTS.cell("200")] == 1, "the answer to be counted")
    assert [server.counted()[CRASHES.offset], server.counted()[RETRIES.offset]] == [1, 1]


def test_a_dropped_replica_is_released_when_its_groups_are_answered(planned: Any) -> None:
    worker = planned.workers[0]
    soon = planned.score_soon(PAIR)
    group = worker.take_group()
    planned.drop(1)

    worker.answer(group, b"{}")

    assert soon.result().status == 200
    assert planned.gateway.expect(ReplicaReleased).replica == 1


@pytest.mark.parametrize("first", [0, 7], ids=["no id", "an id that was never given"])
def test_answers_to_what_was_never_asked_break_the_socket(planned: Any, first: int) -> None:
    worker = planned.workers[0]

    worker.sock.sendall(frames.encode_answers(frames.Answers(first, [b"{}"], 1, 0, 0, True)))

    assert planned.gateway.expect(ReplicaLost).replica == 1


def test_a_plan_that_is_none_costs_only_speed(start: Callable[..., Any]) -> None:
    server = start()
    worker = server.add(1, plan={"kind": "table", "fields": []})
    server.publish()
    soon = server.score_soon(PAIR)

    worker.reply(worker.take())

    assert soon.result().status == 200
    assert "input plan" in server.gateway.log.read_text()


def test_an_old_client_gets_what_it_asked_for(planned: Any) -> None:
    """HTTP/1.0 does not keep a connection that nobody asked it to keep."""
    worker = planned.workers[0]
    sock = planned.connect()
    head = f"POST /invocations HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(PAIR)}\r\n\r\n"
    sock.sendall(head.encode() + PAIR)
    worker.answer(worker.take_group(), b"{}")

    ((status, fields, body),) = answers(sock, 1)
    assert (status, fields["connection"], body) == (200, "close", b"{}")
    assert sock.recv(1) == b""
    sock.close()


def test_a_lone_client_is_answered_while_the_gateway_looks_for_its_answers(start: Callable[..., Any]) -> None:
    """One request after another, and in between a worker that answers late and a client that leaves."""
    server = start(busy_wait_us=2000)
    worker = server.add(1, plan=PAIRS)
    server.publish()
    sock = server.connect()
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(PAIR)}\r\n\r\n"
    for number in range(40):
        sock.sendall(head.encode() + PAIR)
        worker.answer(worker.take_group(), b"%d" % number)
        assert answers(sock, 1)[0][2] == b"%d" % number
    sock.sendall(head.encode() + PAIR)
    gone = worker.take_group()
    sock.close()

    assert (frames.CANCEL, gone.first) == (worker.frame().kind, gone.first)
    soon = server.score_soon(PAIR)
    worker.answer(worker.take_group(), b"{}")
    assert soon.result().status == 200


V2_BODY = b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}]}'


def test_a_second_request_of_the_open_inference_protocol_goes_as_records(start):
    """The first answer, as tensors, shows what answers look like; then MLflow's text is made into them."""
    server = start()
    worker = server.add(1, plan=PAIRS)
    server.publish()
    outputs = encode_tensors([Tensor("y", "INT64", (1,), struct.pack("<q", 7))], {"form": form_number("INT64", 1)})

    def ask(body=V2_BODY):
        return server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", body))

    first = ask()
    request = worker.take()
    assert request.content_type == CONTENT_TYPE
    worker.reply(request, outputs, content_type=CONTENT_TYPE)
    second = ask()
    group = worker.take_group()
    assert bytes(group.block) == struct.pack("<2d", 1, 2)
    worker.answer(group, b'{"predictions": [7]}', form=form_number("INT64", 1))

    assert second.result().json == first.result().json
    assert second.result().headers["x-podium-version"] == "1"

    for _ in range(3):  # and then it is believed that they look otherwise now
        unlike = ask()
        worker.answer(worker.take_group(), b'{"predictions": [7.5]}', form=form_number("FP64", 1))
        again = worker.take()
        outputs = encode_tensors([Tensor("y", "FP64", (1,), struct.pack("<d", 7.5))])
        worker.reply(again, outputs, content_type=CONTENT_TYPE)
        assert unlike.result().json["outputs"] == [{"name": "y", "datatype": "FP64", "shape": [1], "data": [7.5]}]

    after = ask()
    request = worker.take()
    worker.reply(request, b'{"error_code": "BAD_REQUEST", "message": "no"}', status=400)
    assert (after.result().status, after.result().json) == (400, {"error": "no"})


def test_records_of_the_open_inference_protocol_that_a_worker_died_of_go_as_tensors(start):
    server = start()
    worker = server.add(1, plan=PAIRS)
    server.publish()
    first = server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", V2_BODY))
    outputs = encode_tensors([Tensor("y", "INT64", (1,), struct.pack("<q", 7))], {"form": form_number("INT64", 1)})
    worker.reply(worker.take(), outputs, content_type=CONTENT_TYPE)
    assert first.result().status == 200
    second = server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", V2_BODY))
    worker.take_group()
    other = server.add(2, plan=PAIRS)
    server.publish({"1": (100, [2])})
    worker.die()

    request = other.take()

    assert request.content_type == CONTENT_TYPE
    other.reply(request, outputs, content_type=CONTENT_TYPE)
    assert second.result().json == first.result().json


@pytest.mark.parametrize("is_quick", [False, True])
def test_a_client_of_the_open_inference_protocol_that_leaves_is_forgotten(start, is_quick):
    server = start()
    worker = server.add(1, plan=PAIRS)
    server.publish()
    if is_quick:
        first = server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", V2_BODY))
        outputs = encode_tensors([Tensor("y", "INT64", (1,), struct.pack("<q", 7))], {"form": form_number("INT64", 1)})
        worker.reply(worker.take(), outputs, content_type=CONTENT_TYPE)
        assert first.result().status == 200
    client = server.connect()
    client.sendall(
        b"POST /v2/models/iris/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(V2_BODY), V2_BODY)
    )
    taken = worker.take_group().first if is_quick else worker.take().id

    client.close()

    frame = worker.frame()
    assert (frame.kind, frame.id) == (frames.CANCEL, taken)


def test_a_version_in_the_path_is_the_one_that_answers_while_several_have_traffic(start):
    server = start()
    first, second = server.add(1), server.add(2, version="2")
    server.publish({"1": (95, [1]), "2": (5, [2])})
    outputs = encode_tensors([Tensor("y", "INT64", (1,), struct.pack("<q", 7))], {"form": form_number("INT64", 1)})

    for version, worker in (("1", first), ("2", second)) * 5:
        asked = server.soon(lambda path=f"/v2/models/iris/versions/{version}/infer": server.ask("POST", path, V2_BODY))
        worker.reply(worker.take(), outputs, content_type=CONTENT_TYPE)
        assert (asked.result().status, asked.result().json["model_version"]) == (200, version)
        path = f"/v2/models/iris/versions/{version}/generate"
        made = server.soon(lambda path=path: server.ask("POST", path, b'{"text_input": "a"}'))
        worker.reply(worker.take(), b'{"text_output": "b"}')
        assert (made.result().status, made.result().json["model_version"]) == (200, version)

    assert server.ask("POST", "/v2/models/iris/versions/3/infer", V2_BODY).status == 404
    server.publish({"1": (100, [1]), "2": (0, [2])})
    dark = server.ask("POST", "/v2/models/iris/versions/2/infer", V2_BODY)
    assert (dark.status, "no traffic" in dark.json["error"]) == (403, True)


@pytest.mark.parametrize("is_binary", [False, True])
def test_bytes_go_as_records_too_and_come_back_as_they_are_wanted(start, is_binary):
    server = start()
    worker = server.add(1, plan=PAIRS)
    server.publish()
    data = struct.pack("<4d", 1, 2, 3, 4)
    entry = {"name": "x", "shape": [2, 2], "datatype": "FP64", "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"id": "7", "inputs": [entry], "parameters": {"binary_data_output": is_binary}}).encode()

    def ask():
        headers = {"Inference-Header-Content-Length": str(len(text))}
        return server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", text + data, headers))

    first = ask()
    outputs = encode_tensors([Tensor("y", "FP32", (2,), struct.pack("<2f", 0.5, 0.1))], {"form": form_number("FP32", 1)})
    worker.reply(worker.take(), outputs, content_type=CONTENT_TYPE)
    second = ask()
    group = worker.take_group()
    worker.answer(group, b'{"predictions": [0.5, 0.10000000149011612]}', form=form_number("FP32", 1))

    assert (bytes(group.block), group.rows) == (data, 2)
    if is_binary:
        assert second.result().body == first.result().body
    else:
        assert second.result().json == first.result().json
    assert second.result().status == 200
    name = "Inference-Header-Content-Length"
    assert second.result().headers.get(name) == first.result().headers.get(name)


def test_what_fails_on_the_quick_way_fails_in_the_words_of_the_long_one(start):
    server = start()
    worker = server.add(1, plan=PAIRS)
    server.publish()

    def ask():
        return server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", V2_BODY))

    first = ask()
    outputs = encode_tensors([Tensor("y", "INT64", (1,), struct.pack("<q", 7))], {"form": form_number("INT64", 1)})
    worker.reply(worker.take(), outputs, content_type=CONTENT_TYPE)
    assert first.result().status == 200
    fails = ask()
    worker.reply(worker.take_group().first, b'{"error_code": "BAD_REQUEST", "message": "the model fails"}', status=400)
    worker.reply(worker.take(), b'{"error_code": "INTERNAL_ERROR", "message": "the model fails"}', status=500)

    assert (fails.result().status, fails.result().json) == (500, {"error": "the model fails"})


def test_many_rows_that_came_as_bytes_are_answered_with_tensors(start):
    server = start()
    worker = server.add(1, plan=PAIRS)
    server.publish()
    rows = 500
    data = struct.pack(f"<{2 * rows}d", *range(2 * rows))
    entry = {"name": "x", "shape": [rows, 2], "datatype": "FP64", "parameters": {"binary_data_size": len(data)}}
    text = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()

    def ask():
        headers = {"Inference-Header-Content-Length": str(len(text))}
        return server.soon(lambda: server.ask("POST", "/v2/models/iris/infer", text + data, headers))

    outputs = encode_tensors([Tensor("y", "FP64", (rows,), bytes(8 * rows))], {"form": form_number("FP64", 1)})
    first = ask()
    worker.reply(worker.take(), outputs, content_type=CONTENT_TYPE)
    second = ask()
    group = worker.take_group()
    worker.reply(group.first, outputs, content_type=CONTENT_TYPE)

    assert group.wants_tensors
    assert bytes(group.block) == data
    assert second.result().body == first.result().body
