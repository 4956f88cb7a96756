"""podium under somebody else's ASGI server: the same answers, and nothing left behind."""

import gzip
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from driven import Podium, Server, Versions, wait_until
from ports import free_port

SERVERS = {
    "uvicorn": ("uvicorn", "--host", "127.0.0.1", "--log-level", "warning", "--port", "{port}"),
    "uvicorn-h11": ("uvicorn", "--host", "127.0.0.1", "--http", "h11", "--loop", "asyncio", "--port", "{port}"),
    "hypercorn": ("hypercorn", "--workers", "0", "-b", "127.0.0.1:{port}"),
}
Start = Callable[..., Server]


@pytest.fixture(params=["uvicorn"])
def start(request: pytest.FixtureRequest, podium: Podium) -> Iterator[Start]:
    """Start the application under a server; whatever happens, the process ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(uri: str, **settings: str) -> Server:
        port = free_port()
        log = podium.folder / f"asgi-{port}.log"
        command = [part.format(port=port) for part in SERVERS[request.param]]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, "podium.serving.asgi:app"],
                env={**podium.environment, "PODIUM_SERVE_MODEL_URI": uri, **settings},
                cwd=podium.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return Server(podium, process, port, log)

    yield begin
    for process in started:
        process.terminate()
        process.wait(150)
    wait_until(lambda: not podium.processes(), 150, "nothing of it runs any more")


@pytest.fixture
def server(start: Start, versions: Versions) -> Server:
    """Serving what is in Production, bodies of 100 KiB at most."""
    running = start(versions.uri, PODIUM_LIMITS_MAX_BODY="100KiB")
    wait_until(lambda: running.answers("/readyz"), 150, "it is ready", running.has_ended)
    # What is not seen now would not be missed at the end either.
    assert running.children("podium.worker")
    return running


def ask(server: Server, *message: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are, and read the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=240) as sock:
        for part in message:
            sock.sendall(part)
        method = message[0].split(b" ")[0].decode()
        response = http.client.HTTPResponse(sock, method=method)
        response.begin()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


def post(body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{line}\r\n" for line in ("Content-Type: application/json", *headers))
    return f"POST /invocations HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode() + body


@pytest.mark.parametrize("start", SERVERS, indirect=True)
def test_the_same_application_answers_under_a_foreign_server(server: Server, versions: Versions):
    """Scoring, a swap, pages, refusals: one walk, since each start loads a model. And then it leaves nothing."""
    body = json.dumps(versions.body).encode()
    status, headers, answer = server.post(versions.body)
    assert (status, json.loads(answer)) == (200, versions.expected["1"])
    assert headers["x-podium-version"] == "1"
    assert len(headers["x-request-id"]) == 24

    chunks = b"".join(b"%x\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\n\r\n"
    status, _, answer = ask(server, post(b"", "Transfer-Encoding: chunked"), chunks)
    assert (status, json.loads(answer)) == (200, versions.expected["1"])

    packed = gzip.compress(body)
    status, _, answer = ask(server, post(packed, f"Content-Length: {len(packed)}", "Content-Encoding: gzip"))
    assert (status, json.loads(answer)) == (200, versions.expected["1"])

    status, headers, _ = ask(server, post(b"x", "Content-Length: 1", "Content-Encoding: br"))
    assert (status, "gzip" in headers["accept-encoding"]) == (415, True)
    bomb = gzip.compress(bytes(1_000_000))
    assert ask(server, post(bomb, f"Content-Length: {len(bomb)}", "Content-Encoding: gzip"))[0] == 413
    assert ask(server, post(b"", "Content-Length: 999999"))[0] == 413
    endless = [b"8000\r\n" + b"x" * 0x8000 + b"\r\n"] * 4
    assert ask(server, post(b"", "Transfer-Encoding: chunked"), *endless)[0] == 413

    status, headers, answer = ask(server, b"HEAD /ping HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (status, headers["content-length"], answer) == (200, "1", b"")
    assert [server.get(path)[0] for path in ("/ping", "/metrics", "/version", "/nowhere", "/invocations")] == [
        200, 200, 200, 404, 405,
    ]  # fmt: skip

    with socket.create_connection(("127.0.0.1", server.port), timeout=240) as leaving:
        leaving.sendall(post(b"", "Content-Length: 1000"))

    # podium's own commands see it, at the port that the gateway listens on itself.
    status, _, page = server.get("/status")
    own = Server(server.podium, server.process, json.loads(page)["port"], server.podium.folder / "none")
    assert (status, own.status()["serving"]) == (200, "1")
    assert json.loads(own.post(versions.body)[2]) == versions.expected["1"]
    server.podium.run("models", "promote", versions.name, "2")
    wait_until(lambda: json.loads(server.post(versions.body)[2]) == versions.expected["2"], 150, "version 2 serves")

    server.process.send_signal(signal.SIGTERM)
    server.process.wait(150)
    wait_until(lambda: not server.podium.processes(), 150, "nothing of it runs any more")


def test_nothing_outlives_a_foreign_server_that_is_killed(server: Server, versions: Versions):
    assert server.post(versions.body)[0] == 200

    server.process.kill()

    server.process.wait(120)
    wait_until(lambda: not server.podium.processes(), 150, "nothing of it runs any more")


def test_a_gateway_that_is_taken_away_is_handed_over_again(server: Server, versions: Versions):
    """The process that stands in its place dies; the supervisor starts another, and requests go on."""
    [before] = server.children("podium.serving.asgi_host.handover")

    os.kill(before, signal.SIGKILL)

    wait_until(
        lambda: server.children("podium.serving.asgi_host.handover") not in ([], [before]), 150, "another stands there"
    )
    wait_until(lambda: server.answers("/readyz"), 150, "it is ready again", server.has_ended)
    assert server.post(versions.body)[0] == 200


def test_a_model_that_does_not_load_stops_the_server_with_its_reason(start: Start, podium: Podium):
    (podium.folder / "broken").mkdir()
    (podium.folder / "broken" / "MLmodel").write_text("flavors: {}\n")

    server = start(str(podium.folder / "broken"))

    server.process.wait(150)
    assert server.process.returncode != 0
    assert "podium serve ended with status" in server.said()
    wait_until(lambda: not podium.processes(), 150, "nothing of it runs any more")
