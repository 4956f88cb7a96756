"""What hostile clients send, from a seed; and a client that sends it, many connections at a time."""

import asyncio
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_QUIET_S = 0.15
_CONNECT_S = 60.0
_LARGE = 200_000
_INSERTS = (b"\0", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b":", b"\x80", b"\xff", b"%00", b"0", b"-1", b"\t")
_HEADERS = (
    b"Content-Length: 0", b"Content-Length: 99", b"Content-Length: -1", b"Content-Length: 18446744073709551617",
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Expect: 100-continue", b"Expect: nothing",
    b"Content-Encoding: gzip", b"Content-Encoding: zstd", b"Content-Encoding: br", b"Host: other", b"Host: a b",
    b"Content-Type: text/csv", b"Content-Type: application/json; charset=latin-1", b"Content-Type: ", b"Connection: close",
    b"Connection: Upgrade\r\nUpgrade: h2c", b'X-Request-ID: "><script>', b" folded: x", b"bad name: x",
    b"X: " + b"y" * 9000,
)  # fmt: skip
_VALUES = (
    None, True, "text", "", "NaN", [], {}, [[]], 1e308, -1e308, 10**400, 2**63, 2**64, 0.1, "\ud800", "\0", "x" * 5000,
    [1] * 2000, {"a": {"b": [None]}}, float("nan"), float("inf"),
)  # fmt: skip
_BODIES = (
    b"", b"null", b"[]", b"{}", b"1", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"\xef\xbb\xbf{}",
    b"nan",
    b'{"inputs": [1e999]}', b'{"inputs": ' + b"9" * 5000 + b"}", b'{"instances": [[1], [1, 2]]}', b'{"inputs": "\\ud800"}',
    b'{"dataframe_split": {"columns": ["age"], "data": [[1, 2, 3]]}}', b'{"dataframe_split": {"data": []}}',
    b'{"dataframe_records": [{"age": 1}, 2, null]}', b'{"inputs": [1], "inputs": [2]}', b'{"messages": []}', b"a,b\n1,2\n",
    b'{"params": {"x": 1}, "inputs": {}}', b'{"inputs": {"age": {"b64": "!"}}}', b"PAR1" + b"\0" * 40 + b"PAR1",
)  # fmt: skip


def post(body: bytes, *headers: bytes, kind: bytes = b"application/json") -> bytes:
    """A valid request, as far as its headers let it be."""
    lines = b"".join(b"%s\r\n" % header for header in headers)
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
    return head % (kind, len(body), lines) + body


def attacks(valid: dict[str, Any], seed: int) -> Iterator[tuple[bytes, ...]]:
    """Endless: each the parts that one connection sends, with a moment between them."""
    chance = random.Random(seed)
    body = json.dumps(valid).encode()
    whole = post(body)
    cuts = iter(range(1, len(whole)))
    splits = iter(range(1, len(whole)))
    kinds: tuple[Callable[[], tuple[bytes, ...]], ...] = (
        lambda: (whole[: next(cuts, chance.randrange(1, len(whole)))],),
        lambda: _split(whole, next(splits, chance.randrange(1, len(whole)))),
        lambda: (_mutated(chance, whole),),
        lambda: (_mutated(chance, whole) + whole,),
        lambda: (_with_headers(chance, body),),
        lambda: (post(_json_mutated(chance, valid)),),
        lambda: (post(_mutated(chance, body)),),
        lambda: (post(chance.choice(_BODIES), kind=chance.choice((b"application/json", b"text/csv", b"text/html"))),),
        lambda: (_chunked(chance, body),),
        lambda: (_oversized(chance),),
        lambda: (chance.randbytes(chance.randrange(1, 2000)),),
        lambda: (whole * chance.randrange(2, 20),),
    )
    while True:
        yield chance.choice(kinds)()


def _split(whole: bytes, at: int) -> tuple[bytes, ...]:
    return whole[:at], whole[at:]


def _mutated(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0 if at < len(changed):
                changed[at] = chance.randrange(256)
            case 1:
                changed[at:at] = chance.choice(_INSERTS)
            case 2:
                del changed[at : at + chance.randrange(1, 20)]
            case _:
                changed[at:at] = changed[at : at + chance.randrange(1, 40)]
    return bytes(changed)


def _with_headers(chance: random.Random, body: bytes) -> bytes:
    lines = [b"POST /invocations HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body)]
    lines += chance.choices(_HEADERS, k=chance.randrange(1, 4))
    chance.shuffle(rest := lines[1:])
    ending = chance.choice((b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"))
    return ending.join([lines[0], *rest]) + 2 * ending + body


def _json_mutated(chance: random.Random, valid: dict[str, Any]) -> bytes:
    changed = json.loads(json.dumps(valid))
    form = next(iter(changed))
    match chance.randrange(5):
        case 0:
            changed[form] = chance.choice(_VALUES)
        case 1:
            changed[chance.choice(("inputs", "instances", "params", "messages", "x"))] = chance.choice(_VALUES)
        case 2:
            changed[form][chance.choice(("columns", "data", "index"))] = chance.choice(_VALUES)
        case 3:
            row = changed[form]["data"][0]
            row[chance.randrange(len(row))] = chance.choice(_VALUES)
        case _:
            changed[form]["columns"].append(chance.choice(("age", "zzz", "")))
    return json.dumps(changed).encode()


def _chunked(chance: random.Random, body: bytes) -> bytes:
    head = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    size = chance.randrange(1, len(body))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    wire = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), chance.choice((b"", b"", b";e=1")), chunk) for chunk in chunks)
    wire += b"0\r\n" + chance.choice((b"", b"X: y\r\n", b"Content-Length: 3\r\n")) + b"\r\n"
    return head + (wire if chance.random() < 0.5 else _mutated(chance, wire))


def _oversized(chance: random.Random) -> bytes:
    line = b"POST /invocations HTTP/1.1\r\nHost: a\r\n"
    return chance.choice(
        (
            b"GET /" + b"a" * _LARGE + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            line + b"X: " + b"y" * _LARGE + b"\r\n\r\n",
            line + b"".join(b"X%d: y\r\n" % i for i in range(5000)) + b"\r\n",
            line + b"X: y\r\n" * 20_000 + b"\r\n",
            line + b"Content-Length: 999999999999\r\n\r\n",
            line + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"e" * _LARGE,
            line + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        )
    )


@dataclass
class Tally:
    """What came of it all: answers by status, and connections that ended without one."""

    sent: int = 0
    unanswered: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    first: dict[int, bytes] = field(default_factory=dict)
    """Of each status, what got it first: for the message of a test that fails."""


async def storm(port: int, valid: dict[str, Any], count: int, seed: int, connections: int = 48) -> Tally:
    """Send so many attacks."""
    tally, plan = Tally(), attacks(valid, seed)

    async def one_after_another() -> None:
        while tally.sent < count:
            tally.sent += 1
            await _attack(port, next(plan), tally)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(one_after_another())
    return tally


async def _attack(port: int, parts: tuple[bytes, ...], tally: Tally) -> None:
    async with asyncio.timeout(_CONNECT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        # Quiet for a moment: it waits for more, which never comes.
        while part := await asyncio.wait_for(reader.read(1 << 16), _QUIET_S):
            answer += part
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    found = [int(line[9:12]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    tally.unanswered += not found
    for status in found:
        if status not in tally.first:
            tally.first[status] = b"".join(parts)[:500] + b"\n->\n" + answer[:700]
        tally.statuses[status] += 1


class GoodClient:
    """Asks the same valid question on one kept connection, fifty times a second, and notes how long each answer took."""

    def __init__(self, port: int, valid: dict[str, Any]) -> None:
        self._port = port
        self._request = post(json.dumps(valid).encode())
        self.seconds: list[float] = []
        self.wrong: list[bytes] = []

    async def ask(self, until: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not until.is_set():
            begun = time.monotonic()
            writer.write(self._request)
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(size)
            self.seconds.append(time.monotonic() - begun)
            if not head.startswith(b"HTTP/1.1 200 ") or b"predictions" not in body:
                self.wrong.append(head + body)
            await asyncio.sleep(0.02)
        writer.close()

    def percentile(self, share: float) -> float:
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


def slow_head(port: int) -> socket.socket:
    """Begins a request's headers."""
    return _begun(port, b"POST /invocations HTTP/1.1\r\nHost: a\r\nX-A: b")


def slow_body(port: int) -> socket.socket:
    """Sends a request whose body stops after its first byte."""
    return _begun(port, b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n{")


def slow_reader(port: int) -> socket.socket:
    """Asks for far more than it will ever read."""
    return _begun(port, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 2000, receive_buffer=4096)


def _begun(port: int, data: bytes, receive_buffer: int | None = None) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT of ours stays
    sock.settimeout(_CONNECT_S)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    sock.send(data)
    return sock
