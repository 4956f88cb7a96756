"""Requests that two readers could read in two ways, through the real nginx and the real Envoy: nothing gets past them.

Each proxy refuses the path `/hidden`. Where podium sees it all the same, it was smuggled: the proxy took it for a body.
"""

import contextlib
import json
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from access_lines import whole_lines
from ports import free_port

pytestmark = pytest.mark.slow

TYPE = "type.googleapis.com/envoy.extensions.filters"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\nX: "
POST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SCORED = b'{"predictions": [1]}'
SIZE = b"%d" % len(HIDDEN)
LIMIT_S, QUIET_S = 60.0, 0.5

ROWS = {
    "cl.te": b"Content-Length: %s\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (b"%d" % (len(HIDDEN) + 5)),
    "te.cl": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN),
    "te.te": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te x": b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    "te with a tab": b"Transfer-Encoding:\tchunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    "te with a vertical tab": b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te folded": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te behind a bare lf": b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te behind a bare cr": b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te before a blank": b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te in capitals": b"TRANSFER-ENCODING: CHUNKED\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "te list": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te twice in one": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "te with an underscore": b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "cl twice": b"Content-Length: 0\r\nContent-Length: %s\r\n\r\n" % SIZE,
    "cl list": b"Content-Length: 0, %s\r\n\r\n" % SIZE,
    "cl plus": b"Content-Length: +0\r\n\r\n",
    "cl hex": b"Content-Length: 0x0\r\n\r\n",
    "cl with an underscore": b"Content_Length: %s\r\nContent-Length: 0\r\n\r\n" % SIZE,
    "cl before a blank": b"Content-Length : %s\r\n\r\n" % SIZE,
    "cl of another digit": b"Content-Length: \xd9\xa0\r\n\r\n",
    "chunk size overflows": b"Transfer-Encoding: chunked\r\n\r\n100000000000000000\r\n",
    "chunk size is negative": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "chunk size in 0x": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "chunk behind a bare lf": b"Transfer-Encoding: chunked\r\n\r\n0\n\r\n",
    "chunk extension with a bare lf": b"Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n%x\r\n" % len(HIDDEN),
    "chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "trailer of a length": b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: %s\r\n\r\n" % SIZE,
    "trailer of te": b"Transfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "expect": b"Expect: 100-continue\r\nContent-Length: %s\r\n\r\n" % SIZE,
    "upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nContent-Length: %s\r\n\r\n" % SIZE,
    "connection names the length": b"Connection: Content-Length\r\nContent-Length: %s\r\n\r\n" % SIZE,
    "connection names te": b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "http/1.0 with te": b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n",
    "two hosts": b"Host: y\r\nContent-Length: 0\r\n\r\n",
    "absolute form": b"Content-Length: 0\r\n\r\n",
}  # fmt: skip


def sent(name: str, rest: bytes) -> bytes:
    """The row's request, then what hides: for whoever reads the row otherwise it is a request of its own."""
    start = POST
    if name == "http/1.0 with te":
        start = POST.replace(b"HTTP/1.1", b"HTTP/1.0")
    if name == "absolute form":
        start = POST.replace(b"/invocations", b"http://x/hidden/../invocations")
    return start + rest + HIDDEN


@pytest.fixture(scope="module")
def gateway(start_shared, tmp_path_factory):
    """An open gateway that writes down every request it sees."""
    log = tmp_path_factory.mktemp("behind") / "access.log"
    server = start_shared(access_log=str(log), head_s=60.0, body_s=60.0)
    server.log = log
    server.add(1).serve(SCORED)
    server.publish()
    return server


@pytest.fixture(scope="module", params=["nginx", "envoy"])
def proxy(request, gateway, tmp_path_factory, until) -> Iterator[int]:
    """Port of a proxy that refuses /hidden, keeps connections to podium and hands bodies on as they come."""
    folder = tmp_path_factory.mktemp(request.param)
    port = free_port()
    if request.param == "nginx":
        binary = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
        if binary is None:
            pytest.skip("nginx is not installed")
        file = folder / "nginx.conf"
        file.write_text(nginx(folder, port, gateway.port))
        command = [binary, "-c", str(file)]
    else:
        binary = str(Path(pytest.importorskip("envoy").__file__).parent / "_bin" / "envoy")
        file = folder / "envoy.json"
        file.write_text(json.dumps(envoy(port, gateway.port)))
        command = [binary, "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "off"]
    process = subprocess.Popen(command)
    try:
        until(lambda: scored(port).endswith(SCORED), f"{request.param} to answer")
        yield port
    finally:
        process.terminate()
        process.wait(LIMIT_S)


def nginx(folder: Path, port: int, upstream: int) -> str:
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{ access_log off; {paths}
  upstream podium {{ server 127.0.0.1:{upstream}; keepalive 4; }}
  server {{ listen 127.0.0.1:{port}; underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
    location ^~ /hidden {{ return 418; }}
    location / {{ proxy_pass http://podium; proxy_http_version 1.1; proxy_set_header Connection "";
                  proxy_request_buffering off; proxy_read_timeout 60s; }} }} }}
"""


def envoy(port: int, upstream: int) -> dict[str, Any]:
    routes = [
        {"match": {"prefix": "/hidden"}, "direct_response": {"status": 418}},
        {"match": {"prefix": "/"}, "route": {"cluster": "podium"}},
    ]
    manager = {
        "@type": f"{TYPE}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "http_protocol_options": {"allow_chunked_length": True, "enable_trailers": True},
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": f"{TYPE}.http.router.v3.Router"}}],
    }
    places = [{"socket_address": {"address": "127.0.0.1", "port_value": number}} for number in (port, upstream)]
    load = {"cluster_name": "podium", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": places[1]}}]}]}
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "static_resources": {
            "listeners": [{"name": "in", "address": places[0], "filter_chains": [{"filters": filters}]}],
            "clusters": [{"name": "podium", "type": "STATIC", "connect_timeout": "60s", "load_assignment": load}],
        }
    }


def scored(port: int) -> bytes:
    """A whole answer to an ordinary request."""
    body = b'{"inputs": [1]}'
    with contextlib.suppress(OSError):
        return answered(port, POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    return b""


def answered(port: int, data: bytes) -> bytes:
    """What comes back until the other side closes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), LIMIT_S) as sock:
        sock.sendall(data)
        while piece := sock.recv(1 << 16):
            received += piece
    return received


def send_all(port: int, texts: list[bytes]) -> None:
    """Each on a connection of its own, which stays open until nothing more comes back on any."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port), LIMIT_S)) for _ in texts]
        for sock, text in zip(socks, texts, strict=True):
            sock.sendall(text)
        while heard := select.select(socks, [], [], QUIET_S)[0]:
            for sock in heard:
                with contextlib.suppress(ConnectionResetError):
                    if sock.recv(1 << 16):
                        continue
                socks.remove(sock)


def test_nothing_is_smuggled_past_a_proxy(gateway, proxy: int, until):
    """What podium makes of each row is what the proxy made of it; and whoever comes next gets an answer of their own."""
    before = len(whole_lines(gateway.log))

    send_all(proxy, [sent(name, rest) for name, rest in ROWS.items()])
    answers = [scored(proxy) for _ in range(12)]

    lines = until(lambda: (found := whole_lines(gateway.log)[before:])[11:] and found, "the log's lines")
    assert all(answer.endswith(SCORED) for answer in answers)
    assert "/hidden" not in {line["path"] for line in lines}


def test_what_is_smuggled_would_be_seen(gateway, proxy: int, until):
    """The proxy refuses what podium would write down."""
    hidden = HIDDEN + b"\r\nConnection: close\r\n\r\n"

    assert b" 418 " in answered(proxy, hidden)
    assert b" 404 " in answered(gateway.port, hidden.replace(b"hidden", b"hidden/directly"))
    until(lambda: "/hidden/directly" in gateway.log.read_text(), "the log's line")
