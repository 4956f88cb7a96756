"""An open-loop load generator: requests leave on a fixed schedule, whatever the server does.

A closed loop (send, wait, send) slows down with the server and so hides its pauses; here a request's latency counts from
the moment it was *due*, so a pause is charged to everything that waited in it (no coordinated omission).

    python load.py --port 5000 --rate 300 --body request.json --expect expected.json --out samples.jsonl

It sends until SIGTERM (or for `--seconds` at most), then waits for the answers that are still due. The output is there,
and empty, as soon as the first request has ended.

`expected.json` maps a version's label to the JSON that it must answer (numbers to a part in 1e9: a batch may round its last
bit otherwise), so that an answer of one version under the label of another is found. Each line of the output is one
`Sample`; times are CLOCK_MONOTONIC, which all processes here share.
"""

import argparse
import asyncio
import dataclasses
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAX_CONNECTIONS = 512


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one request.

    Args:
        due, sent, done: Seconds; `sent` is None where no connection could be had.
        status: Of the answer, or None where none came.
        version: The answer's `x-podium-version`.
        is_right: Whether the body is what that version answers.
        error: What broke, where no answer came.
        served_by: Serial of the connection; requests of one connection share a gateway.
    """

    due: float
    sent: float | None
    done: float
    status: int | None = None
    version: str | None = None
    is_right: bool = False
    error: str | None = None
    served_by: int | None = None

    @property
    def latency_s(self) -> float:
        return self.done - self.due

    @property
    def is_good(self) -> bool:
        return self.status == 200 and self.is_right


class Connection(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection that carries one request at a time."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.is_open = True
        self.transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, dict[str, str], bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(f"closed with {len(self._buffer)} bytes of an answer"))

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, dict[str, str], bytes]]":
        assert self.transport
        self._buffer = b""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, gap, rest = self._buffer.partition(b"\r\n\r\n")
        if not gap or not self._answer or self._answer.done():
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        if headers.get("connection", "").lower() == "close":
            self.is_open = False
        self._answer.set_result((int(first.split()[1]), headers, rest[:length]))


class Generator:
    """Keeps a pool of connections and sends one request at each tick of the schedule."""

    def __init__(self, host: str, port: int, body: bytes, expected: dict[str, Any], timeout_s: float) -> None:
        self._host, self._port = host, port
        self._expected = expected
        self._timeout_s = timeout_s
        self._idle: list[Connection] = []
        self._serials = 0
        self._free = asyncio.Semaphore(_MAX_CONNECTIONS)
        head = f"POST /invocations HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def run(
        self, rate: float, seconds: float, is_over: asyncio.Event, under_way: Callable[[], object]
    ) -> list[Sample]:
        """Send `rate` requests a second until told, or for `seconds`; returns once each is answered or broken.

        `under_way` is called when the first of them is.
        """
        start = time.monotonic() + 0.2
        tasks = []
        for index in range(round(rate * seconds)):
            due = start + index / rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            if is_over.is_set():
                break
            tasks.append(asyncio.create_task(self._one(due)))
            if index == 0:
                tasks[0].add_done_callback(lambda _: under_way())
        return list(await asyncio.gather(*tasks))

    async def _one(self, due: float) -> Sample:
        sent: float | None = None
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                connection = await self._connect()
                sent = time.monotonic()
                status, headers, body = await connection.ask(self._request)
        except (OSError, TimeoutError) as error:
            if connection and connection.transport:
                connection.transport.abort()
            reason = f"{type(error).__name__}: {error}"
            serial = connection.serial if connection else None
            return Sample(due, sent, time.monotonic(), error=reason, served_by=serial)
        done = time.monotonic()
        if connection.is_open:
            self._idle.append(connection)
        version = headers.get("x-podium-version")
        return Sample(due, sent, done, status, version, self._is_right(version, body), served_by=connection.serial)

    async def _connect(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        self._serials += 1
        serial = self._serials
        _, made = await asyncio.get_running_loop().create_connection(lambda: Connection(serial), self._host, self._port)
        return made

    def _is_right(self, version: str | None, body: bytes) -> bool:
        try:
            return version in self._expected and _is_close(json.loads(body), self._expected[version])
        except ValueError:
            return False


def _is_close(got: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(got, dict) and got.keys() == expected.keys() and all(_is_close(got[k], expected[k]) for k in got)
    if isinstance(expected, list):
        return isinstance(got, list) and len(got) == len(expected) and all(map(_is_close, got, expected))
    if isinstance(expected, float):
        return isinstance(got, float | int) and math.isclose(got, expected, rel_tol=1e-9)
    return bool(got == expected)


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def read_samples(path: Path) -> list[Sample]:
    """The samples that a run wrote."""
    return [Sample(**each) for each in read_lines(path)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def main(arguments: Sequence[str]) -> None:
    """Run one schedule; the samples go to a file when all are in."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=150.0)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--body", type=Path, required=True)
    parser.add_argument("--expect", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    expected = json.loads(chosen.expect.read_text())

    async def load() -> list[Sample]:
        is_over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
        generator = Generator(chosen.host, chosen.port, chosen.body.read_bytes(), expected, chosen.timeout)
        return await generator.run(chosen.rate, chosen.seconds, is_over, chosen.out.touch)

    samples = asyncio.run(load())
    chosen.out.write_text("".join(json.dumps(dataclasses.asdict(sample)) + "\n" for sample in samples))


if __name__ == "__main__":
    main(sys.argv[1:])
