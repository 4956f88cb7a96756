"""What a planned request costs a gateway, counted in calls of Python functions: the same on every machine, unlike time.

What is counted is one turn of the event loop with 16 kept connections, from the bytes of their requests to the frame for
the worker, and from the worker's frame to their answers. Whoever needs more calls here makes every request dearer, and
raises the number knowingly: `benchmarks/cost.py` says what it costs.
"""

import gc
import json
import os
import socket
import sys
import time

import pytest

from podium.access.keys import KeyFile
from podium.domain.inputs.plan import Field, InputPlan
from podium.domain.traffic import RoutingTable, Target
from podium.protocols import tensors
from podium.protocols.mlflow.fast_reading import FastReader
from podium.serving.app import App
from podium.serving.guard.protection import Protection
from podium.serving.invocations import invocation_paths
from podium.serving.open_inference.infer import RecordsDetour
from podium.serving.open_inference.paths import open_inference_paths
from podium.serving.open_inference.translated import WayBack
from podium.serving.pages import Pages
from podium.serving.recording import Recorder
from podium.serving.settings import GatewaySettings
from podium.serving.standing import Standing
from podium.serving.walks.replica import Replica
from podium.serving.walks.router import Router
from podium.serving.walks.scoring import Scoring
from podium.telemetry.slots import Slots, create_slots
from podium.transport import frames
from podium.transport.board import BoardReader, create_board
from podium.transport.frame_reader import FrameReader
from podium.transport.messages import AddReplica
from podium.web.connections import Connections
from podium.web.limits import Limits

CONNECTIONS = 16
BODY = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[5.1, 3.5]]}}'
TENSOR_BODY = b'{%s"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [5.1, 3.5]}]}'
ANSWER = tensors.Tensor("y", "INT64", (1,), bytes(8))
FORM = tensors.form_number("INT64", 1)
PLAN = InputPlan("columns", (Field("a", "double"), Field("b", "double")))


class Turns:
    """An event loop that does what is due when it is told to."""

    def __init__(self):
        self._due = []

    def time(self):
        return time.monotonic()

    def call_soon(self, call, *arguments):
        self._due.append((call, arguments))

    def add_reader(self, *_):
        pass

    remove_reader = add_reader

    def end_turn(self):
        while self._due:
            due, self._due = self._due, []
            for call, arguments in due:
                call(*arguments)


class Client:
    """What a connection is written to."""

    def __init__(self):
        self.answers = []
        self.write = self.answers.append

    def get_extra_info(self, name, default=None):
        return ("127.0.0.1", 1) if name == "peername" else default


class Gateway:
    """One gateway's parts in this process, with a worker that the test plays."""

    def __init__(self, **settings):
        self.loop = Turns()
        chosen = GatewaySettings(**settings)
        self.slots_fd = create_slots(1)
        slots = Slots(self.slots_fd)
        router, recorder = Router(), Recorder(slots, 0, None)
        scoring = Scoring(self.loop, chosen, router, recorder, lambda *_: None, lambda _: None)
        ours, self.theirs = socket.socketpair()
        self.board_fd = create_board()
        self.replica = Replica(
            self.loop,
            ours,
            BoardReader(self.board_fd),
            AddReplica(1, "m", "1", 1, 0, group_rows=256),
            max_buffer_bytes=1 << 22,
            reader=FastReader(PLAN),
        )
        scoring.add(self.replica)
        router.publish(RoutingTable(1, {"m": (Target("1", 100, (1,)),)}, "m"))
        guard = Protection(chosen, router, slots.buckets).guard
        guard.sweep()
        pages = Pages(scoring.ids, recorder)
        paths = [invocation_paths(scoring), open_inference_paths(scoring, Standing(router, recorder), pages)]
        app = App(paths, pages, recorder, chosen.max_body_bytes, guard)
        connections = Connections(self.loop, app, Limits())
        self._reader = FrameReader()
        self.clients = [(connections.accept(), Client()) for _ in range(CONNECTIONS)]
        for connection, client in self.clients:
            connection.connection_made(client)

    def ask(self, request):
        for connection, _ in self.clients:
            connection.data_received(request)
        self.loop.end_turn()

    def work(self):
        for frame in self._reader.feed(self.theirs.recv(1 << 18)):
            if frame.kind == frames.REQUEST:
                body = tensors.encode_tensors([ANSWER], {"form": FORM})
                told = frames.Reply(frame.id, 200, tensors.CONTENT_TYPE, body, 1, 1, 20, 100, True)
                self.theirs.sendall(frames.encode_reply(told))
                continue
            rows = frames.decode_rows(frame.flags, frame.id, frame.payload)
            bodies = [b'{"predictions": [0]}'] * rows.requests
            self.theirs.sendall(frames.encode_answers(frames.Answers(rows.first, bodies, rows.rows, 20, 100, True, FORM)))

    def hear(self):
        self.replica._readable()

    def close(self):
        self.replica.close()
        self.theirs.close()
        os.close(self.slots_fd)


@pytest.fixture
def gateway():
    opened = []

    def begin(**settings):
        opened.append(Gateway(**settings))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


def calls_each(gateway, headers="", path="/invocations", body=BODY):
    """Calls of Python functions for each request, once everything is known that can be known from before."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    for _ in range(4):
        gateway.ask(request)
        gateway.work()
        gateway.hear()
    assert {answer[:15] for _, client in gateway.clients for answer in client.answers} == {b"HTTP/1.1 200 OK"}
    count = 0

    def note(_, event, __):
        nonlocal count
        count += event == "call"

    # Others in this process may be called when garbage is collected, as hypothesis is.
    gc.disable()
    try:
        for step in (lambda: gateway.ask(request), gateway.work, gateway.hear):
            sys.setprofile(None if step == gateway.work else note)
            step()
    finally:
        sys.setprofile(None)
        gc.enable()
    assert {len(client.answers) for _, client in gateway.clients} == {5}
    return count / CONNECTIONS


def test_a_planned_request_takes_few_calls(gateway):
    assert 15 < calls_each(gateway()) <= 21


@pytest.mark.parametrize("identity", [b"", b'"id": "mine", '])
def test_a_request_of_another_protocol_takes_a_few_more(gateway, identity):
    """A few calls to have it read as records and answered by MLflow's text; none more for an id."""
    assert 15 < calls_each(gateway(), path="/v2/models/m/infer", body=TENSOR_BODY % identity) <= 23


def test_what_a_request_of_another_protocol_has_is_looked_up_where_python_is_quick():
    """A class that answers for attributes which it lacks is asked the slow way for those that it has, too."""
    assert not hasattr(RecordsDetour, "__getattr__")
    assert not hasattr(WayBack, "__getattr__")


def test_a_guarded_request_takes_a_few_more(gateway, tmp_path):
    """A key, and limits of keys, addresses and the model: five calls for all of it."""
    keys = tmp_path / "keys.json"
    key = KeyFile(keys).create(["score:*"], time.time())[1]
    rate = "1000000/s"
    said = {
        "access": {"requires_keys": True, "key_file": str(keys)},
        "clients": {"rate_per_key": rate, "rate_per_address": rate},
        "every_model": {"rate_per_model": rate},
    }
    settings = GatewaySettings.from_json(json.dumps(said))
    guarded = gateway(access=settings.access, clients=settings.clients, every_model=settings.every_model)

    assert 15 < calls_each(guarded, f"X-API-Key: {key}\r\n") <= 25
