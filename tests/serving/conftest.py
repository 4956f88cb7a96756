"""A real gateway process, with the test as its supervisor and as its workers, speaking the real frames and messages."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

from podium.domain.traffic import RoutingTable, Rules, Target, table_to_json
from podium.telemetry.backlog import open_channel
from podium.telemetry.slots import Slots, create_slots
from podium.transport import frames
from podium.transport.board import BoardWriter, create_board
from podium.transport.control import ControlSocket
from podium.transport.frame_reader import Frame, FrameReader
from podium.transport.messages import Acknowledge, AddReplica, Drain, DropReplica, Publish, Started, Tell

LIMIT_S = 240.0  # a process that is starved begins after a minute
ENDPOINT = "iris"


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition; its value."""
    ends = time.monotonic() + LIMIT_S
    while not (value := condition()):
        assert time.monotonic() < ends, f"waited {LIMIT_S} s for {what}"
        time.sleep(0.005)
    return value


class ScriptedWorker:
    """A worker's end of a data socket: the test takes requests and says what is answered."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.sock, self.theirs = socket.socketpair()
        self.sock.settimeout(LIMIT_S)
        self.board_fd = create_board()
        self.board = BoardWriter(self.board_fd)
        self._reader = FrameReader()
        self._frames: list[Frame] = []

    def frame(self) -> Frame:
        while not self._frames:
            data = self.sock.recv(1 << 18)
            assert data, "the gateway closed the data socket"
            self._frames.extend(self._reader.feed(data))
        return self._frames.pop(0)

    def take(self) -> frames.RequestFrame:
        frame = self.frame()
        assert frame.kind == frames.REQUEST
        return frames.decode_request(frame.flags, frame.id, frame.payload)

    def take_group(self) -> frames.Rows:
        frame = self.frame()
        assert frame.kind == frames.ROWS
        return frames.decode_rows(frame.flags, frame.id, frame.payload)

    def answer(self, group: frames.Rows, *bodies: bytes, is_first: bool = True, form: int = 0) -> None:
        answers = frames.Answers(group.first, list(bodies), group.rows, 20, 100, is_first, form)
        self.sock.sendall(frames.encode_answers(answers))

    def reply(self, request: frames.RequestFrame | int, body: bytes = b'{"predictions": [1]}', **changes: Any) -> None:
        identity = request if isinstance(request, int) else request.id
        fields: dict[str, Any] = {
            "id": identity, "status": 200, "content_type": "application/json", "body": body, "rows": 1, "batch_rows": 1,
            "queued_us": 20, "predict_us": 100, "is_first_of_batch": True,
        }  # fmt: skip
        self.sock.sendall(frames.encode_reply(frames.Reply(**(fields | changes))))

    def refuse(self, request: frames.RequestFrame, reason: int) -> None:
        self.sock.sendall(frames.encode_refused(request.id, reason))

    def announce(self, *requests: frames.RequestFrame) -> None:
        self.board.announce([(self.serial, request.id) for request in requests], time.monotonic_ns())

    def die(self) -> None:
        """Close as the kernel closes a dead process's socket: what was not read is a reset for nobody, just the end."""
        self.sock.close()

    def serve(self, body: bytes = b'{"predictions": [1]}') -> None:
        """Answer everything at once, in a thread, until the socket closes."""

        def work() -> None:
            # The test may have ended, and closed it, before this thread begins.
            with contextlib.suppress(OSError, AssertionError):
                self.sock.settimeout(None)  # a test that asks nothing for long does not end it
                while True:
                    frame = self.frame()
                    if frame.kind == frames.REQUEST:
                        self.reply(frame.id, body)

        threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.theirs.close()
        with contextlib.suppress(OSError):
            os.close(self.board_fd)


class Process:
    """One gateway process and the supervisor's end of its control socket."""

    def __init__(
        self,
        listener: socket.socket,
        slots_fd: int,
        slot: int,
        settings: dict[str, Any],
        log: Path,
        grpc: str | None = None,
        handing: dict[str, int] | None = None,
    ) -> None:
        handed = handing or {}
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT_S)
        self.control = ControlSocket(ours)
        self.sock = ours
        self.log = log
        self._messages: list[Any] = []
        with log.open("ab") as stderr, theirs:
            self.popen = subprocess.Popen(
                [
                    sys.executable, "-W", "error", "-m", "podium.serving",
                    "--control-fd", str(theirs.fileno()), "--listen-fd", str(listener.fileno()),
                    "--slots-fd", str(slots_fd), "--slot", str(slot), "--settings", json.dumps(settings),
                    *([] if grpc is None else ["--grpc-address", grpc]),
                    *(text for flag, number in handed.items() for text in (flag, str(number))),
                ],
                pass_fds=(theirs.fileno(), listener.fileno(), slots_fd, *handed.values()),
                stderr=stderr,
            )  # fmt: skip
        self.expect(Started)

    def message(self) -> Any:
        while not self._messages:
            received = self.control.receive()
            assert received is not None, f"the gateway ended: {self.log.read_text()}"
            self._messages.extend(message for message, _ in received)
        return self._messages.pop(0)

    def expect(self, kind: type[Any]) -> Any:
        message = self.message()
        assert isinstance(message, kind), message
        return message

    def wait(self) -> int:
        return self.popen.wait(LIMIT_S)

    def close(self) -> None:
        self.control.close()
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(LIMIT_S)


class Server:
    """A listening socket, counters, gateways and scripted workers."""

    def __init__(self, folder: Path, gateways: int = 1, has_grpc: bool = False, **settings: Any) -> None:
        self.folder = folder
        self.grpc = f"127.0.0.1:{free_port()}" if has_grpc else None
        limits = dict.fromkeys(("drain_limit_s", "timeout_s", "pending_s"), LIMIT_S)
        self.settings = {"drain_linger_s": 0.05} | limits | settings
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.port: int = self.listener.getsockname()[1]
        self.slots_fd = create_slots(gateways)
        self.slots = Slots(self.slots_fd)
        # What gateways hand on of requests, or of answers and labels, where they are told to.
        flag = "--exports-fd" if "exports" in settings else "--remembered-fd" if "quality_rate" in settings else None
        self.handing, self.handed = open_channel() if flag else (None, None)
        self._inherited = {flag: self.handing.fileno()} if flag and self.handing else {}
        self.workers: list[ScriptedWorker] = []
        self.epoch = 0
        self._serial = 0
        self.gateways = [self.start(slot) for slot in range(gateways)]

    @property
    def gateway(self) -> Process:
        return self.gateways[0]

    def start(self, slot: int) -> Process:
        return Process(
            self.listener,
            self.slots_fd,
            slot,
            self.settings,
            self.folder / f"gateway-{slot}.log",
            self.grpc,
            self._inherited,
        )

    def add(
        self,
        replica: int,
        version: str = "1",
        series: int = 0,
        gateway: int = 0,
        plan: dict[str, Any] | None = None,
        group_rows: int = 256,
        endpoint: str = ENDPOINT,
    ) -> ScriptedWorker:
        self._serial += 1
        worker = ScriptedWorker(self._serial)
        self.workers.append(worker)
        message = AddReplica(replica, endpoint, version, worker.serial, series, plan, group_rows)
        self.gateways[gateway].control.send(message, [worker.theirs.fileno(), worker.board_fd])
        worker.theirs.close()
        return worker

    def publish(
        self,
        versions: dict[str, tuple[int, list[int]]] | None = None,
        is_ready: bool = True,
        gateway: int = 0,
        rules: Rules | None = None,
    ) -> None:
        """Publish version → (weight, replicas) and wait for the acknowledgement; several versions have rules."""
        self.epoch += 1
        chosen = {"1": (100, [1])} if versions is None else versions
        targets = tuple(Target(version, weight, tuple(ids)) for version, (weight, ids) in chosen.items())
        ruled = {ENDPOINT: rules or Rules()} if rules is not None or len(targets) > 1 else {}
        table = RoutingTable(self.epoch, {ENDPOINT: targets}, ENDPOINT, rules=ruled)
        self.gateways[gateway].control.send(Publish(table_to_json(table), is_ready))
        assert Acknowledge(self.epoch) == self.gateways[gateway].expect(Acknowledge)

    def drop(self, replica: int) -> None:
        self.gateway.control.send(DropReplica(replica))

    def drain(self, limit_s: float = LIMIT_S) -> None:
        self.gateway.control.send(Drain(limit_s))

    def wait_until_draining(self) -> None:
        """The drain has begun once new connections stay in the backlog: the gateway closed its handle on the socket."""
        folder, inode = Path(f"/proc/{self.gateway.popen.pid}/fd"), os.fstat(self.listener.fileno()).st_ino
        until(lambda: f"socket:[{inode}]" not in {link_of(each) for each in folder.iterdir()}, "the drain")

    def tell(
        self, status: dict[str, Any], series: list[dict[str, str]], metrics: list[dict[str, Any]] | None = None
    ) -> None:
        for gateway in self.gateways:
            gateway.control.send(Tell(status, {"": metrics or []}, series))

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), LIMIT_S)
        sock.settimeout(LIMIT_S)
        return sock

    def get(self, path: str, method: str = "GET") -> "Answer":
        return self.ask(method, path)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> "Answer":
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            client.request(method, path, body, headers or {})
            response = client.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            client.close()

    def runs_on_uvloop(self) -> bool:
        """Whether the first gateway's process has loaded it."""
        return "uvloop" in Path(f"/proc/{self.gateway.popen.pid}/maps").read_text()

    def score(self, body: bytes = b'{"inputs": [1]}', **headers: str) -> "Answer":
        sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/invocations", body, sent)

    def soon(self, call: Callable[[], Any]) -> "Soon":
        return Soon(call)

    def score_soon(self, body: bytes = b'{"inputs": [1]}', **headers: str) -> "Soon":
        return Soon(lambda: self.score(body, **headers))

    def counted(self, series: int = 0) -> list[int]:
        return self.slots.totals(series)

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        for gateway in self.gateways:
            gateway.close()
        self.listener.close()
        for end in filter(None, (self.handing, self.handed)):
            end.close()
        os.close(self.slots_fd)


def link_of(path: Path) -> str:
    """Where a link leads; nowhere if it is gone."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


class Answer:
    """A response that was read."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Soon:
    """A call in a thread; its result is awaited with a deadline."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:
            self._error = error

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def result(self) -> Any:
        self._thread.join(LIMIT_S)
        assert self.is_done, "no answer in time"
        if self._error is not None:
            raise self._error
        return self._result


@pytest.fixture(name="until", scope="session")
def _until() -> Callable[[Callable[[], Any], str], Any]:
    return until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with the given settings; all are stopped after the test."""
    servers: list[Server] = []

    def begin(gateways: int = 1, **settings: Any) -> Server:
        servers.append(Server(tmp_path, gateways, **settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """As `start`, for servers that all tests of a file share."""
    servers: list[Server] = []

    def begin(gateways: int = 1, **settings: Any) -> Server:
        servers.append(Server(tmp_path_factory.mktemp("gateway"), gateways, **settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """One gateway that routes version 1 of `iris` to replica 1, which the test plays: `server.workers[0]`."""
    begun = start()
    begun.add(1)
    begun.publish()
    return begun
