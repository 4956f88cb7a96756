"""Models that answer in parts, by server-sent events; each stream ends whole, with an error, or by the client's leave."""

import contextlib
import http.client
import json
import queue
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from driven import Podium, Server, wait_until
from tritonclient import grpc as triton

ROUTE = b"/v2/models/count/generate_stream"
_MAKE = """
import os, podium.pyfunc
class Count(podium.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return "all of " + model_input
    def predict_stream(self, context, model_input, params=None):
        word, _, count = str(model_input).partition(" ")
        made = 0
        try:
            for made in range(int(count or 3)):
                if word == "wait" and made == 2:
                    while not os.path.exists("%(go)s"):
                        pass
                if word == "die" and made == 2:
                    os._exit(9)
                if word == "fail" and made == 2:
                    raise RuntimeError("secret")
                yield "x" * 4096 if word == "big" else {"made": made} if word == "object" else f"{word}{made}"
        finally:
            with open("%(ended)s", "a") as file:
                file.write(f"{word} {made}\\n")
podium.pyfunc.save_model("count", python_model=Count())
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A model that counts, in parts."""
    podium = Podium(tmp_path_factory.mktemp("stream"))
    podium.python(_MAKE % {"go": podium.folder / "go", "ended": podium.folder / "ended"})
    running = podium.serve(
        str(podium.folder / "count"),
        *["--gateways", "1", "-w", "1", "--timeout", "60", "--drain-timeout", "300", "--grpc-port", "0"],
    )
    try:
        yield running
        if running.has_ended() is None:
            assert running.stop() == 0
    finally:
        podium.end()


def ask(server: Server, body: Any, route: str = "generate_stream") -> tuple[int, str, list[Any]]:
    """Status, content type, and the events or the one object."""
    status, headers, text = server.post(body, f"/v2/models/count/{route}")
    kind = headers["content-type"]
    if kind != "text/event-stream":
        return status, kind, [json.loads(text)]
    parts = text.decode().split("\n\n")
    assert parts.pop() == ""
    assert all(part.startswith("data: ") and "\n" not in part for part in parts)
    return status, kind, [json.loads(part[6:]) for part in parts]


@contextlib.contextmanager
def begun(server: Server, text: str) -> Iterator[socket.socket]:
    """A client that asked for a stream and reads no more than its first bytes, nor has room for much."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", server.port))
        body = json.dumps({"text_input": text}).encode()
        client.sendall(b"POST %s HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s" % (ROUTE, len(body), body))
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        yield client


def ended(server: Server) -> list[str]:
    """What each generator that ended wrote down."""
    file = server.podium.folder / "ended"
    return file.read_text().splitlines() if file.exists() else []


def test_each_part_is_an_event_with_the_names_of_who_made_it(server: Server):
    """Text under text_output, an object as it is; the id is echoed where there is one."""
    status, kind, texts = ask(server, {"text_input": "a 3", "id": "7"})
    *_, objects = ask(server, {"text_input": "object 2"})

    assert (status, kind) == (200, "text/event-stream")
    assert [(each["text_output"], each["id"]) for each in texts] == [("a0", "7"), ("a1", "7"), ("a2", "7")]
    assert {"count"} == {each["model_name"] for each in texts}
    assert [each["made"] for each in objects] == [0, 1]
    assert "id" not in objects[0]


def test_parts_come_while_the_next_is_not_made(server: Server):
    """The model waits for a file that is written only once two parts are here; meanwhile others are served."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)) as connection:
        connection.request("POST", "/v2/models/count/generate_stream", json.dumps({"text_input": "wait 3"}))
        response = connection.getresponse()

        first = [response.readline() for _ in range(4)]
        (server.podium.folder / "go").touch()
        rest = response.read()

    assert [json.loads(line[6:])["text_output"].encode() for line in first[::2]] == [b"wait0", b"wait1"]
    assert b"wait2" in rest


def test_generate_gives_exactly_one_object(server: Server):
    """What predict returns."""
    status, kind, [told] = ask(server, {"text_input": "it", "id": "3"}, "generate")

    assert (status, kind, told["text_output"], told["id"]) == (200, "application/json", "all of it", "3")


def test_tensors_are_answered_in_parts_too(server: Server):
    """An answer of inference for each part."""
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["b 2"]}
    *_, told = ask(server, {"inputs": [tensor], "id": "q"}, "infer_stream")

    assert [each["outputs"][0]["data"] for each in told] == [["b0"], ["b1"]]
    assert {"q"} == {each["id"] for each in told}


@pytest.mark.parametrize(
    ("body", "status"),
    [({"parameters": {}}, 400), ({"text_input": "a", "parameters": 3}, 400), ([], 400), ("a", 400)],
)
def test_what_is_wrong_before_the_first_part_has_a_status_of_its_own(server: Server, body: Any, status: int):
    """And a JSON body, as of any other route."""
    got, kind, [told] = ask(server, body)

    assert (status, "application/json") == (got, kind)
    assert isinstance(told["error"], str)


def test_a_model_that_fails_in_the_middle_ends_with_an_error(server: Server):
    """After the parts that were made, without the model's words."""
    status, _, told = ask(server, {"text_input": "fail 9"})

    assert status == 200
    assert [each["text_output"] for each in told[:-1]] == ["fail0", "fail1"]
    assert "secret" not in told[-1]["error"]


def test_a_worker_that_dies_in_the_middle_ends_its_stream_with_an_error(server: Server):
    """It is not begun again: who reads has the first parts already. The next request is answered by the next worker."""
    *_, told = ask(server, {"text_input": "die 9"})

    assert [each["text_output"] for each in told[:-1]] == ["die0", "die1"]
    assert "ended in the middle" in told[-1]["error"]
    assert ask(server, {"text_input": "a"})[0] == 200


def test_a_client_that_leaves_ends_the_generator(server: Server):
    """Whose own clean-up runs; a million parts are never made."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=240) as client:
        body = json.dumps({"text_input": "left 1000000"}).encode()
        client.sendall(
            b"POST /v2/models/count/generate_stream HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        client.sendall(body)
        assert client.recv(100).startswith(b"HTTP/1.1 200")

    wait_until(lambda: any(line.startswith("left ") for line in ended(server)), 150, "the generator is closed")


def test_a_client_that_does_not_read_holds_the_generator_back(server: Server):
    """Others are answered meanwhile, and what is kept for it is bounded: of 40 MB it made only what buffers take."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=240) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = json.dumps({"text_input": "big 10000"}).encode()
        client.sendall(
            b"POST /v2/models/count/generate_stream HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        client.sendall(body)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(200):
            assert ask(server, {"text_input": "a"})[0] == 200

    wait_until(lambda: any(line.startswith("big ") for line in ended(server)), 150, "the generator is closed")
    [made] = [int(line.split()[1]) for line in ended(server) if line.startswith("big ")]
    assert made < 5000


def test_streams_and_requests_share_a_worker(server: Server):
    """A stream that is long keeps nobody waiting for its end."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)
    connection.request("POST", "/v2/models/count/generate_stream", json.dumps({"text_input": "long 100000"}))
    response = connection.getresponse()
    response.readline()

    assert ask(server, {"text_input": "it"}, "generate")[2][0]["text_output"] == "all of it"
    response.close()
    connection.close()


def test_http_1_0_gets_the_parts_without_chunks(server: Server):
    """The end of the connection is the end of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=240) as client:
        body = b'{"text_input": "old 2"}'
        client.sendall(
            b"POST /v2/models/count/generate_stream HTTP/1.0\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        got = b""
        while data := client.recv(1 << 16):
            got += data

    head, _, events = got.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert [json.loads(part[6:])["text_output"].encode() for part in events.split(b"\n\n")[:-1]] == [b"old0", b"old1"]


@contextlib.contextmanager
def conversing(server: Server) -> Iterator[tuple[triton.InferenceServerClient, "queue.Queue[Any]"]]:
    """A gRPC stream of tritonclient's, and what it hears: results and errors, as they come."""
    heard: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(server.status()["grpc_address"]) as client:
        client.start_stream(lambda result, error: heard.put(error if result is None else result.get_response()))
        yield client, heard
        client.stop_stream(cancel_requests=True)


def text(value: str) -> list[triton.InferInput]:
    tensor = triton.InferInput("x", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([value], dtype=object))
    return [tensor]


def test_a_grpc_stream_answers_each_request_in_parts_and_in_order(server: Server):
    """Of several requests on one call; what is wrong with one is told, and the call goes on."""
    with conversing(server) as (client, heard):
        client.async_stream_infer("count", text("p 2"), request_id="1")
        client.async_stream_infer("nope", text("p 2"), request_id="2")
        client.async_stream_infer("count", text("fail 3"), request_id="3")
        client.async_stream_infer("count", text("q 1"), request_id="4", enable_empty_final_response=True)
        told = [heard.get(timeout=240) for _ in range(8)]

    assert [getattr(each, "id", None) for each in told] == ["1", "1", None, "3", "3", None, "4", "4"]
    assert "NOT_FOUND" in str(told[2])
    assert "INTERNAL" in str(told[5])
    assert [each.parameters["triton_final_response"].bool_param for each in told[6:]] == [False, True]
    assert len(told[7].outputs) == 0


def test_a_grpc_client_that_leaves_ends_the_generator(server: Server):
    """Cancelled, or gone."""
    with conversing(server) as (client, heard):
        client.async_stream_infer("count", text("gone 1000000"))
        assert heard.get(timeout=240).outputs

    wait_until(lambda: any(line.startswith("gone ") for line in ended(server)), 150, "the generator is closed")


def test_a_server_that_stops_ends_open_streams_after_what_was_asked(server: Server):
    """A client that asks nothing more does not hold it until the limit; last, for the server is stopped by it."""
    with conversing(server) as (client, heard):
        client.async_stream_infer("count", text("last 3"))
        told = [heard.get(timeout=240) for _ in range(3)]

        assert len(told) == 3
        assert server.stop() == 0
