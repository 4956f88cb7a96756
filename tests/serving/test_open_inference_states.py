"""What clients of the field hear of a server that loads, is full or has no time: rows R1, R8, R30, G7 and G11 of the list.

The server is a gateway whose workers the test plays; the clients are Triton's, over HTTP and gRPC.
"""

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.utils import InferenceServerException

from podium.protocols.tensors import CONTENT_TYPE, Tensor, encode_tensors
from podium.transport import frames

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Clients:
    """Triton's two, of one server."""

    def __init__(self, server) -> None:
        self.http = triton_http.InferenceServerClient(f"127.0.0.1:{server.port}", connection_timeout=60, network_timeout=60)
        self.grpc = triton_grpc.InferenceServerClient(server.grpc)
        self._channel = grpc.insecure_channel(server.grpc)

    def close(self) -> None:
        self.http.close()
        self.grpc.close()
        self._channel.close()

    def health(self):
        return health_pb2_grpc.HealthStub(self._channel).Check(health_pb2.HealthCheckRequest(), timeout=240).status

    def infer(self, name: str, kind: str = "grpc", **more):
        module = triton_grpc if kind == "grpc" else triton_http
        x = module.InferInput("x", [1, 1], "FP64")
        x.set_data_from_numpy(np.ones((1, 1)))
        return getattr(self, kind).infer(name, [x], **more).as_numpy("y").tolist()

    def refused(self, name: str, kind: str = "grpc", **more) -> str:
        with pytest.raises(InferenceServerException) as raised:
            self.infer(name, kind, **more)
        return raised.value.status().removeprefix("StatusCode.")


def begun(server, until) -> Iterator[tuple[Any, Clients]]:
    clients = Clients(server)
    until(lambda: _is_there(clients), "gRPC is there")
    yield server, clients
    clients.close()


@pytest.fixture(scope="module")
def served(start_shared, until):
    """A server for all tests; each adds its own replica, in place of the one before."""
    yield from begun(start_shared(has_grpc=True, pending_s=0.2), until)


@pytest.fixture
def small(start, until):
    """A server that takes one request at a time."""
    yield from begun(start(has_grpc=True, max_in_flight=1), until)


def _is_there(clients: Clients) -> bool:
    try:
        return clients.grpc.is_server_live()
    except InferenceServerException:
        return False


def answer(worker, request) -> None:
    body = encode_tensors([Tensor("y", "FP64", (1,), np.ones(1).tobytes())])
    worker.reply(request, body, content_type=CONTENT_TYPE)


def test_a_model_that_loads_is_known_and_not_ready_and_the_server_lives(served):
    """503 and UNAVAILABLE until it has a replica; nobody else's name is known at any time."""
    server, clients = served
    server.publish({}, is_ready=False)

    assert (clients.http.is_server_live(), clients.grpc.is_server_live()) == (True, True)
    assert (clients.http.is_server_ready(), clients.grpc.is_server_ready(), clients.health()) == (
        False,
        False,
        _NOT_SERVING,
    )
    assert (clients.http.is_model_ready("iris"), clients.grpc.is_model_ready("iris")) == (False, False)
    assert (server.get("/v2/models/iris/ready").status, server.get("/v2/models/nobody/ready").status) == (503, 404)
    assert (clients.refused("iris", "http"), clients.refused("iris")) == ("503", "UNAVAILABLE")
    assert (clients.refused("nobody", "http"), clients.refused("nobody")) == ("404", "NOT_FOUND")
    for ask in (clients.grpc.is_model_ready, clients.grpc.get_model_metadata):
        with pytest.raises(InferenceServerException) as raised:
            ask("nobody")
        assert raised.value.status() == "StatusCode.NOT_FOUND"

    server.add(1)
    server.publish()

    assert (clients.http.is_server_ready(), clients.grpc.is_server_ready(), clients.health()) == (True, True, _SERVING)
    assert (clients.http.is_model_ready("iris"), clients.grpc.is_model_ready("iris")) == (True, True)
    assert server.get("/v2/models/iris/ready").json == {"name": "iris", "ready": True}


def test_a_full_server_says_so_and_lives(small):
    """Whoever comes beyond the bound gets 429 or RESOURCE_EXHAUSTED; who was there before is answered."""
    server, clients = small
    worker = server.add(1)
    server.publish()
    soon = server.soon(lambda: clients.infer("iris", "http"))
    request = worker.take()

    assert clients.refused("iris") == "RESOURCE_EXHAUSTED"
    other = Clients(server)
    assert other.refused("iris", "http") == "429"
    assert (other.http.is_server_live(), other.grpc.is_server_live(), other.health()) == (True, True, _SERVING)
    other.close()
    answer(worker, request)
    assert soon.result() == [1.0]


@pytest.mark.parametrize("is_left", [False, True], ids=["deadline", "cancelled"])
def test_work_that_nobody_waits_for_any_more_is_taken_back(served, is_left: bool):
    """The worker hears of a deadline that has passed, or of a client that has left, and the next call is answered."""
    server, clients = served
    worker = server.add(1)
    server.publish()
    if is_left:
        x = triton_grpc.InferInput("x", [1, 1], "FP64")
        x.set_data_from_numpy(np.ones((1, 1)))
        call = clients.grpc.async_infer("iris", [x], lambda **_: None)
        request = worker.take()
        call.cancel()
    else:
        soon = server.soon(lambda: clients.refused("iris", client_timeout=3.0))
        request = worker.take()
        assert soon.result() == "DEADLINE_EXCEEDED"

    frame = worker.frame()
    assert (frame.kind, frame.id) == (frames.CANCEL, request.id)
    again = server.soon(lambda: clients.infer("iris"))
    answer(worker, worker.take())
    assert again.result() == [1.0]


def test_a_model_that_fails_is_an_internal_error(served):
    """Told by the worker's answer, whose words do not reach the client."""
    server, clients = served
    worker = server.add(1)
    server.publish()
    soon = server.soon(lambda: clients.refused("iris"))
    body = b'{"error_code": "INTERNAL_ERROR", "message": "The model failed."}'
    worker.reply(worker.take(), body, status=500)

    assert soon.result() == "INTERNAL"
