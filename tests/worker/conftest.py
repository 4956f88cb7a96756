"""Real worker processes on socket pairs, with small real models."""

import contextlib
import itertools
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium.transport import frames
from podium.transport.board import BoardReader, create_board
from podium.transport.control import ControlSocket
from podium.transport.fork_messages import Fork, Forked, Preload, Preloaded
from podium.transport.frame_reader import Frame, FrameReader
from podium.transport.frames import Reply, RequestFrame
from podium.transport.messages import Attach, Drain, Load, LoadError, Message, Ready

PATIENCE_S = 120.0
MARK = "PODIUM_CHILD"
SOURCE = str(Path(__file__).parents[2] / "src")


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, politely, with a deadline."""
    deadline = time.monotonic() + PATIENCE_S
    pause = select.poll()
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        pause.poll(5)


@dataclass
class Gateway:
    """A gateway's end of a data socket."""

    sock: socket.socket
    serial: int
    reader: FrameReader = field(default_factory=FrameReader)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    seen: list[Frame] = field(default_factory=list)

    def request(
        self, body: Any, deadline_ns: int = 0, is_solo: bool = False, content_type: str = "application/json"
    ) -> bytes:
        self.last = next(self.ids)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        asked = RequestFrame(self.last, data, content_type, f"r-{self.last}", deadline_ns, is_solo)
        return b"".join(frames.request_parts(asked))

    def send(self, body: Any, **options: Any) -> int:
        self.sock.sendall(self.request(body, **options))
        return self.last

    def receive(self, count: int) -> list[Frame]:
        """The next frames, so many."""
        self.sock.settimeout(PATIENCE_S)
        while len(self.seen) < count:
            data = self.sock.recv(1 << 20)
            assert data, "the worker closed the socket"
            self.seen += self.reader.feed(data)
        found, self.seen = self.seen[:count], self.seen[count:]
        return found

    def replies(self, count: int) -> dict[int, Reply]:
        found = [frames.decode_reply(f.flags, f.status, f.id, f.payload) for f in self.receive(count)]
        return {reply.id: reply for reply in found}

    def ask(self, body: Any, **options: Any) -> Reply:
        identity = self.send(body, **options)
        return self.replies(1)[identity]


class Worker:
    """A worker process and its supervisor's ends."""

    def __init__(self, folder: Path, mlmodel: dict[str, Any], log: Path, python: str = sys.executable) -> None:
        self.folder, self.mlmodel, self._log = folder, mlmodel, log
        ours, theirs = socket.socketpair()
        self.board_descriptor = create_board()
        self.control_socket = ours
        self.control = ControlSocket(ours)
        self.board = BoardReader(self.board_descriptor)
        self.steps: list[str] = []
        self.handed: list[int] = []  # descriptors that came with its messages
        self._inbox: list[Message] = []
        self._serials = itertools.count(1)
        self._gateways: list[Gateway] = []
        with log.open("ab") as errors:
            self.process = self.begin(python, theirs.fileno(), self.board_descriptor, errors.fileno())
        theirs.close()
        ours.settimeout(PATIENCE_S)

    def begin(self, python: str, control: int, board: int, log: int) -> Any:
        """Its process."""
        return subprocess.Popen(
            [python, "-m", "podium.worker", "--control-fd", str(control), "--board-fd", str(board)],
            pass_fds=(control, board),
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def hear(self) -> Message | None:
        """The next message; None at end-of-file."""
        while not self._inbox:
            heard = self.control.receive()
            if heard is None:
                return None
            self._inbox += [message for message, _ in heard]
            self.handed += [descriptor for _, descriptors in heard for descriptor in descriptors]
        return self._inbox.pop(0)

    def load(self, **options: Any) -> Ready | LoadError:
        """Send Load and wait for the outcome."""
        order: dict[str, Any] = {"endpoint": "test", "version": "1", **options}
        self.control.send(Load(str(self.folder), self.mlmodel, **order))
        while True:
            message = self.hear()
            if isinstance(message, Ready | LoadError):
                return message
            assert message is not None, self.log
            self.steps.append(message.step)  # type: ignore[union-attr]

    def ready(self, **options: Any) -> Ready:
        found = self.load(**options)
        assert isinstance(found, Ready), (found, self.log)
        return found

    def attach(self) -> Gateway:
        ours, theirs = socket.socketpair()
        gateway = Gateway(ours, next(self._serials))
        self.control.send(Attach(gateway.serial), [theirs.fileno()])
        theirs.close()
        self._gateways.append(gateway)
        return gateway

    def drain(self, limit_s: float = PATIENCE_S) -> None:
        self.control.send(Drain(limit_s))

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        for gateway in self._gateways:
            gateway.sock.close()
        self.control.close()
        self.board.close()
        for descriptor in (self.board_descriptor, *self.handed):
            os.close(descriptor)


class Process:
    """A process that is nobody's child here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it lives."""
        return 0 if select.select([self._pidfd], [], [], 0)[0] else None

    def wait(self, limit_s: float = PATIENCE_S) -> int:
        """Until its end; its status is its parent's to know."""
        assert select.select([self._pidfd], [], [], limit_s)[0], "it did not end"
        return 0

    def send_signal(self, number: int) -> None:
        """Whatever has its number meanwhile is safe from it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)


class ForkServer:
    """A fork server, and the end of its socket that is the supervisor's."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "forks.log"
        self.sock, theirs = socket.socketpair()
        self.control = ControlSocket(self.sock)
        path = os.pathsep.join([SOURCE, str(folder)])
        with self._log.open("ab") as errors, theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "podium.worker.forking", "--control-fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": path, MARK: "0123456789abcdef", "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self.sock.settimeout(PATIENCE_S)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def say(self, message: Message, descriptors: tuple[int, ...] = ()) -> Message | None:
        """The answer."""
        self.control.send(message, descriptors)
        heard = self.control.receive()
        while heard == []:
            heard = self.control.receive()
        return None if heard is None else heard[0][0]

    def ready(self, *modules: str) -> None:
        said = self.say(Preload(list(modules)))
        assert isinstance(said, Preloaded), (said, self.log)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.control.close()


@dataclass
class Workshop:
    """Makes models and workers, and ends the workers."""

    folder: Path
    workers: contextlib.ExitStack
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def function(self, code: str, example: Any = None, is_declared: bool = False) -> tuple[Path, dict[str, Any]]:
        """A models-from-code python_function; `code` defines `predict(model_input)` or a `Model` class."""
        folder = self.folder / f"model-{next(self.numbers)}"
        folder.mkdir()
        named = "Model()" if "class Model" in code else "predict"
        (folder / "model.py").write_text(
            f"from podium.flavors.python_model import PythonModel, set_model\n{code}\nset_model({named})\n"
        )
        entry = {"loader_module": "mlflow.pyfunc.model", "model_code_path": "model.py"}
        mlmodel: dict[str, Any] = {"flavors": {"python_function": entry}}
        if is_declared:
            mlmodel["metadata"] = {"podium.row_independent": True}
        self.add_example(folder, mlmodel, example)
        return folder, mlmodel

    def estimator(self, model: Any, example: Any = None) -> tuple[Path, dict[str, Any]]:
        """A pickled scikit-learn estimator."""
        folder = self.folder / f"model-{next(self.numbers)}"
        folder.mkdir()
        (folder / "model.pkl").write_bytes(pickle.dumps(model))
        entry = {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", "predict_fn": "predict"}
        library = {"pickled_model": "model.pkl", "serialization_format": "pickle"}
        mlmodel: dict[str, Any] = {"flavors": {"python_function": entry, "sklearn": library}}
        self.add_example(folder, mlmodel, example)
        return folder, mlmodel

    def add_example(self, folder: Path, mlmodel: dict[str, Any], example: Any) -> None:
        if example is not None:
            (folder / "serving_input_example.json").write_text(json.dumps(example))
            (folder / "input_example.json").write_text(json.dumps(example.get("inputs")))
            mlmodel["saved_input_example_info"] = {
                "type": "ndarray",
                "artifact_path": "input_example.json",
                "serving_input_path": "serving_input_example.json",
            }

    def logistic_regression(self) -> tuple[Any, np.ndarray[Any, Any]]:
        """A fitted model and rows to ask it."""
        from sklearn.linear_model import LogisticRegression

        rows = np.random.default_rng(3).normal(size=(200, 4))
        return LogisticRegression().fit(rows, (rows @ [1, -2, 0.5, 0] > 0).astype(int)), rows

    def worker(self, model: tuple[Path, dict[str, Any]], python: str = sys.executable) -> Worker:
        worker = Worker(*model, self.folder / f"log-{next(self.numbers)}", python)
        self.workers.callback(worker.close)
        return worker

    def serving(self, model: tuple[Path, dict[str, Any]], **options: Any) -> tuple[Worker, Gateway]:
        """A worker that is ready, and one gateway attached to it."""
        worker = self.worker(model)
        worker.ready(**options)
        return worker, worker.attach()


# Requests that begin with -1 wait for the file `go`; those that queue meanwhile make the next batch.
GATE = """
import pathlib, select
import numpy as np
GO = pathlib.Path(__file__).with_name("go")
CALLS = []

def gate(model_input):
    CALLS.append(len(model_input))
    while model_input[0][0] == -1 and not GO.exists():
        select.select([], [], [], 0.005)
"""
DOUBLE = GATE + "\ndef predict(model_input):\n    gate(model_input)\n    return model_input * 2\n"


class Held:
    """A worker that is busy until `release`, with a gateway to queue requests on.

    Args:
        code: Defines `predict`, which calls `gate(model_input)`.
    """

    def __init__(self, workshop: Workshop, code: str | None = None, is_declared: bool = True, **options: Any) -> None:
        example = {"inputs": [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]}
        self._model = workshop.function(DOUBLE if code is None else GATE + code, example, is_declared)
        self.worker, self.gateway = workshop.serving(self._model, **options)
        blocking = self.gateway.send({"inputs": [[-1.0, 0.0]]})
        until(lambda: self.worker.board.running() == [(1, blocking)], "the first request runs")

    def let_go(self) -> None:
        (self._model[0] / "go").touch()

    def release(self, count: int) -> dict[int, Reply]:
        """Let it go on; the replies to the requests that were queued."""
        self.let_go()
        replies = self.gateway.replies(count + 1)
        del replies[min(replies)]
        return replies


@pytest.fixture
def held(workshop: Workshop) -> Callable[..., Held]:
    return lambda *arguments, **options: Held(workshop, *arguments, **options)


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    with contextlib.ExitStack() as workers:
        yield Workshop(tmp_path, workers)


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[ForkServer]:
    with contextlib.closing(ForkServer(tmp_path)) as server:
        yield server


@pytest.fixture
def forked(workshop: Workshop, forks: ForkServer) -> Callable[..., Worker]:
    """A worker of a model, forked."""

    class ForkedWorker(Worker):
        def begin(self, python: str, control: int, board: int, log: int) -> Any:
            del python
            said = forks.say(Fork(f"{MARK}=fedcba9876543210"), (control, board, log))
            assert isinstance(said, Forked), (said, forks.log)
            return Process(said.pid)

    def made(model: tuple[Path, dict[str, Any]]) -> Worker:
        worker = ForkedWorker(*model, workshop.folder / f"log-{next(workshop.numbers)}")
        workshop.workers.callback(worker.close)
        return worker

    return made


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool], str], None]:
    return until
