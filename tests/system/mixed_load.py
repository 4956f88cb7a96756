"""Open-loop load on many models at once, over several protocols; what became of each request, one JSON line each.

    python mixed_load.py --port 8000 [--grpc HOST:PORT] --targets targets.json --out samples.jsonl

Requests leave on a fixed schedule whatever the server does, and their latency counts from when they were due, as in
`load.py`. It sends until SIGTERM, or for `--seconds`, and then waits for the answers that are still due.

`targets.json` is a list of `Target`s. A model is expected to answer 1,000 times its version to each of its rows, plus the
sum of that row; which version that was, the answer says. Beside the models a tiny server of this file's own is asked at
the same rate (`echo`): what its answers take is what the machine does to anybody.
"""

import argparse
import asyncio
import dataclasses
import json
import signal
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load import Connection, read_lines

ROW = (0.5, 1.5, 2.0, 3.0)
_SUM = sum(ROW)
_MOST_CONNECTIONS = 256
# What gRPC's library says of a connection that was lost, and of no answer of ours.
_CUT = ("Socket closed", "Stream removed", "onnection reset", "recvmsg", "sendmsg")


@dataclass(frozen=True, slots=True)
class Target:
    """A model that is asked.

    Args:
        model: Public name; `echo` is this file's own server.
        protocol: `mlflow`, `v2`, `binary` or `grpc`.
        rate: Requests a second.
    """

    model: str
    protocol: str
    rate: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of one request.

    Args:
        model, protocol: Of its target.
        due, sent, done: Seconds of CLOCK_MONOTONIC; `sent` is None where no connection could be had.
        status: Of the answer, HTTP's for every protocol; None where none came.
        version: That answered; None where the answer is no model's or a wrong one.
        error: What broke, or what was answered instead.
    """

    model: str
    protocol: str
    due: float
    sent: float | None
    done: float
    status: int | None = None
    version: int | None = None
    error: str | None = None

    @property
    def is_good(self) -> bool:
        return self.status == 200 and self.version is not None

    @property
    def latency_s(self) -> float:
        return self.done - self.due


class Http:
    """Keep-alive connections to one address; each carries one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(_MOST_CONNECTIONS)

    async def ask(self, request: bytes, sent: Callable[[], None]) -> tuple[int, dict[str, str], bytes]:
        async with self._free:
            connection = await self._connect()
            sent()
            try:
                answer = await connection.ask(request)
            except BaseException:
                if connection.transport is not None:
                    connection.transport.abort()
                raise
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def _connect(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        _, made = await asyncio.get_running_loop().create_connection(lambda: Connection(0), "127.0.0.1", self._port)
        return made


def http_request(target: Target) -> bytes:
    """The whole request of a target that is asked over HTTP."""
    more = ""
    match target.protocol:
        case "mlflow":
            path, body = f"/models/{target.model}/invocations", json.dumps({"inputs": [ROW]}).encode()
        case "v2":
            path = f"/v2/models/{target.model}/infer"
            tensor = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": ROW}
            body = json.dumps({"inputs": [tensor]}).encode()
        case _:
            path = f"/v2/models/{target.model}/infer"
            size = {"binary_data_size": 32}
            tensor = {"name": "input", "shape": [1, 4], "datatype": "FP64", "parameters": size}
            asked: dict[str, Any] = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
            head = json.dumps(asked).encode()
            body, more = head + struct.pack("<4d", *ROW), f"inference-header-content-length: {len(head)}\r\n"
    kind = "application/octet-stream" if more else "application/json"
    lines = f"POST {path} HTTP/1.1\r\nhost: podium\r\ncontent-type: {kind}\r\n{more}content-length: {len(body)}\r\n\r\n"
    return lines.encode() + body


def grpc_request(model: str) -> bytes:
    """A ModelInferRequest: model_name = 1, inputs = 5 {name = 1, datatype = 2, shape = 3}, raw_input_contents = 7."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    tensor = field(1, b"input") + field(2, b"FP64") + field(3, bytes([1, 4]))
    return field(1, model.encode()) + field(5, tensor) + field(7, struct.pack("<4d", *ROW))


def answer_of(protocol: str, headers: dict[str, str], body: bytes) -> float:
    """The one number in an answer.

    Raises:
        ValueError, LookupError, struct.error: There is none.
    """
    match protocol:
        case "mlflow":
            return float(json.loads(body)["predictions"][0])
        case "v2":
            return float(json.loads(body)["outputs"][0]["data"][0])
        case "binary":
            [number] = struct.unpack("<d", body[int(headers["inference-header-content-length"]) :])
            return float(number)
        case _:
            # raw_output_contents = 6 is the last field.
            [number] = struct.unpack("<d", body[-8:])
            return float(number)


def version_of(number: float) -> int | None:
    """Which version answers this; None: none does."""
    version, rest = divmod(number - _SUM, 1000)
    return int(version) if rest == 0 and version >= 1 else None


class MixedLoad:
    """Sends to all targets, each on its own schedule.

    Args:
        port: Of HTTP.
        echo_port: Of this file's own server.
        call: Sends a request over gRPC; None where no target asks so.
        timeout_s: Of each request, from when it was due.
    """

    def __init__(self, port: int, echo_port: int, call: Any, timeout_s: float) -> None:
        self._http, self._echo = Http(port), Http(echo_port)
        self._call = call
        self._timeout_s = timeout_s
        self.heard: list[Heard] = []

    async def run(self, targets: Sequence[Target], seconds: float, is_over: asyncio.Event) -> None:
        """Send until told, or for so long; returns once each is answered or broken."""
        start = time.monotonic() + 0.2
        async with asyncio.TaskGroup() as tasks:
            for number, target in enumerate(targets):
                # Not all on the same beat.
                offset = number / len(targets) / target.rate
                tasks.create_task(self._drum(target, start + offset, seconds, is_over, tasks))

    async def _drum(
        self, target: Target, start: float, seconds: float, is_over: asyncio.Event, tasks: asyncio.TaskGroup
    ) -> None:
        request = grpc_request(target.model) if target.protocol == "grpc" else http_request(target)
        for index in range(round(target.rate * seconds)):
            due = start + index / target.rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            if is_over.is_set():
                return
            tasks.create_task(self._one(target, request, due))

    async def _one(self, target: Target, request: bytes, due: float) -> None:
        sent: list[float] = []
        status, version, error = None, None, None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers, body = await self._send(target, request, lambda: sent.append(time.monotonic()))
        except (OSError, TimeoutError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        done = time.monotonic()
        if status == 200:
            try:
                version = 1 if target.model == "echo" else version_of(answer_of(target.protocol, headers, body))
            except (ValueError, LookupError, struct.error) as failure:
                error = f"{type(failure).__name__}: {failure}"
        if status is not None and version is None:
            error = error or body[:200].decode(errors="replace")
        sent_at = sent[0] if sent else None
        self.heard.append(Heard(target.model, target.protocol, due, sent_at, done, status, version, error))

    async def _send(self, target: Target, request: bytes, sent: Callable[[], None]) -> tuple[int, dict[str, str], bytes]:
        if target.model == "echo":
            return await self._echo.ask(request, sent)
        if target.protocol != "grpc":
            return await self._http.ask(request, sent)
        sent()
        return await self._call(request)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 200 to whatever comes, as fast as Python can."""
    while await reader.read(4096):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    writer.close()


def _caller(address: str, timeout_s: float) -> Any:
    """Calls over gRPC with statuses of HTTP's; waits for a connection as a client does that outlives its server."""
    import grpc

    channel = grpc.aio.insecure_channel(address)
    infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    async def call(request: bytes) -> tuple[int, dict[str, str], bytes]:
        try:
            return 200, {}, await infer(request, timeout=timeout_s, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            details = str(error.details())
            if error.code() is grpc.StatusCode.UNAVAILABLE and any(each in details for each in _CUT):
                raise ConnectionResetError(error.details()) from None
            return 503, {}, f"{error.code().name}: {error.details()}".encode()

    return call


def read_heard(path: Path) -> list[Heard]:
    """What a run wrote."""
    return [Heard(**each) for each in read_lines(path)]


async def _main(chosen: argparse.Namespace) -> None:
    if chosen.echo is not None:
        server = await asyncio.start_server(_echo, "127.0.0.1", chosen.echo)
        async with server:
            await asyncio.sleep(chosen.seconds)
        return
    is_over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    targets = [Target(**each) for each in json.loads(chosen.targets.read_text())]
    call = _caller(chosen.grpc, chosen.timeout) if chosen.grpc else None
    load = MixedLoad(chosen.port, chosen.echo_port, call, chosen.timeout)
    await load.run(targets, chosen.seconds, is_over)
    chosen.out.write_text("".join(json.dumps(dataclasses.asdict(each)) + "\n" for each in load.heard))


def main(arguments: Sequence[str]) -> None:
    """Run it; what was heard goes to a file when all is in."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--grpc")
    parser.add_argument("--echo", type=int)
    parser.add_argument("--echo-port", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--targets", type=Path)
    parser.add_argument("--out", type=Path)
    asyncio.run(_main(parser.parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
