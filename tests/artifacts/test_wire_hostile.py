"""podium as an HTTP client of servers that are slow, wrong, hostile or somebody else's."""

import base64
import ipaddress
import os
import socket
import ssl
import threading
import time

import pytest
from certificates import Issuer
from hosts import Handler, hosting

from podium.artifacts.remote.wire import Access, Unreachable, Wire, is_handing_out_credentials, origin_of
from podium.settings.mlflow import read_mlflow_settings

_BOUND_S = 60.0


def wire(url: str = "http://other", timeout_s: float = 60.0, **variables: str) -> Wire:
    """As MLflow's variables have it, with the URL as the tracking server's."""
    settings = read_mlflow_settings({"MLFLOW_TRACKING_URI": url} | variables)
    return Wire(Access.of(settings), timeout_s)


def body(client: Wire, url: str) -> bytes:
    with client.get(url) as reply:
        return reply.content()


def silent(handler: Handler) -> None:
    handler.host.asked_once.wait(120)


def dripping(before: bytes):
    """A byte every 50 ms, without end: each pause is short, and it is never over."""

    def route(handler: Handler) -> None:
        handler.wfile.write(before)
        try:
            while not handler.host.asked_once.wait(0.05):
                handler.wfile.write(b"x")
        except OSError:
            handler.close_connection = True

    return route


@pytest.fixture
def slow():
    """A host whose routes may wait for the end of the test."""
    with hosting({}) as host:
        host.asked_once = threading.Event()
        yield host
        host.asked_once.set()


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(silent, id="nothing"),
        pytest.param(dripping(b"HTTP/1.0 200 OK\r\nX-Long: "), id="a head that drips"),
        pytest.param(dripping(b"HTTP/1.0 200 OK\r\n\r\n"), id="a body that drips"),
    ],
)
def test_a_question_is_over_in_its_time(route, slow):
    """However short the pauses are."""
    slow.routes["/ask"] = route
    started = time.monotonic()

    with pytest.raises(Unreachable, match="in time"):
        wire(timeout_s=0.4).ask("GET", f"{slow.url}/ask")

    assert time.monotonic() - started < _BOUND_S


@pytest.mark.slow
def test_a_download_may_take_longer_than_a_pause(slow):
    """The deadline is of each pause, for nobody knows how large a model is."""
    pauses = threading.Event()

    def route(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\n")
        for _ in range(16):
            pauses.wait(0.8)
            handler.wfile.write(b"x")

    slow.routes["/file"] = route

    assert body(wire(timeout_s=12), f"{slow.url}/file") == b"x" * 16


def test_a_download_that_pauses_for_too_long_is_given_up(slow):
    def route(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nx")
        silent(handler)

    slow.routes["/file"] = route

    with pytest.raises(Unreachable, match="in time"):
        body(wire(timeout_s=0.4), f"{slow.url}/file")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nabc", id="cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="a chunk cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", id="a chunk of no size"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x16\x03\x01garbage\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.0 9999999 OK\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.0 200 OK\r\n" + b"X: " + b"x" * 70_000 + b"\r\n\r\n", id="a header line of 70 kB"),
        pytest.param(b"HTTP/1.0 200 OK\r\n" + b"X: x\r\n" * 500 + b"\r\n", id="500 headers"),
        pytest.param(os.urandom(2000), id="noise"),
    ],
)
def test_what_is_no_whole_answer_is_unreachable_and_no_other_error(answer):
    with hosting({"/x": lambda handler: handler.raw(answer)}) as host, pytest.raises(Unreachable):
        body(wire(), f"{host.url}/x")


def test_an_answer_has_a_largest_size():
    with (
        hosting({"/x": (200, {}, b" " * (33 << 20))}) as host,
        pytest.raises(Unreachable, match="more than"),
    ):
        wire().ask("GET", f"{host.url}/x")


@pytest.mark.parametrize("text", [b"<html>", b"\xff\xfe", b"[" * 100_000, b"", b"NaN2"])
def test_an_answer_that_is_no_json_is_none(text):
    with hosting({"/x": (200, {}, text)}) as host:
        assert wire().ask("GET", f"{host.url}/x") == (200, None)


def test_nobody_listening_is_told_with_the_reason():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(Unreachable, match="refused"):
            wire().ask("GET", f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///x", "http://host:99999/", "http://[::1/", "ftp://host/", "http://a b/", "http://a\x00/", "x"],
)
def test_what_is_no_address_is_unreachable(url):
    with pytest.raises(Unreachable):
        body(wire(), url)


def test_a_redirect_to_the_same_server_keeps_them():
    with hosting({"/there": b"found"}) as host:
        host.routes["/here"] = (307, {"Location": "/there"}, b"")

        assert body(wire(host.url, MLFLOW_TRACKING_TOKEN="secret"), f"{host.url}/here") == b"found"
        assert [headers["Authorization"] for _, headers in host.asked] == ["Bearer secret"] * 2


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/", "http://169.254.169.254/latest/meta-data/"])
def test_a_redirect_to_what_is_no_web_server_is_refused(target):
    with hosting({"/x": (302, {"Location": target}, b"")}) as host, pytest.raises(Unreachable):
        body(wire(), f"{host.url}/x")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "[::ffff:169.254.169.254]",
        "100.100.100.200",
        "[fe80::1]",
        "[fd00:ec2::254]",
    ],
)
def test_where_a_cloud_hands_out_credentials_nothing_is_fetched(host):
    """However it is written, and before a connection is tried."""
    started = time.monotonic()

    with pytest.raises(Unreachable, match="link-local"):
        body(wire(timeout_s=20), f"http://{host}/latest/meta-data/")

    assert time.monotonic() - started < _BOUND_S


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("169.254.0.1", True),
        ("fe80::1", True),
        ("::ffff:169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::", True),
        ("fd20:ce::254", True),
        ("127.0.0.1", False),
        ("10.0.0.7", False),
        ("::1", False),
        ("93.184.216.34", False),
        ("64:ff9b::5db8:d822", False),
    ],
)
def test_which_addresses_those_are(address, expected):
    """Private ones are where a company keeps its models."""
    assert is_handing_out_credentials(ipaddress.ip_address(address)) is expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p:w"}, b"Basic " + base64.b64encode(b"u:p:w")),
        ({"MLFLOW_TRACKING_TOKEN": "t"}, b"Bearer t"),
        (
            {"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_PASSWORD": "p", "MLFLOW_TRACKING_TOKEN": "t"},
            b"Basic " + base64.b64encode(b"u:p"),
        ),
    ],
)
def test_credentials_go_to_the_server_that_was_configured(variables, expected):
    """And to no other."""
    with hosting({"/x": b"{}"}) as host, hosting({"/x": b"{}"}) as other:
        client = wire(host.url, **variables)
        client.ask("GET", f"{host.url}/x")
        client.ask("GET", f"{other.url}/x")

        assert host.asked[0][1]["Authorization"] == expected.decode()
        assert other.asked[0][1]["Authorization"] is None


def test_credentials_of_an_address_go_with_it_and_stay_out_of_errors():
    with hosting({"/x": (500, {}, b"")}) as host:
        url = host.url.replace("//", "//user:p%40ss@") + "/x"
        body(wire(), url)
        assert host.asked[0][1]["Authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()

    with pytest.raises(Unreachable) as caught:
        body(wire(timeout_s=2), url)
    assert "p%40ss" not in str(caught.value)


@pytest.mark.parametrize("when", ["head", "body"])
def test_what_is_under_way_is_ended_from_another_thread(when, slow):
    """And what is asked afterwards fails at once."""
    begun = threading.Event()

    def route(handler: Handler) -> None:
        if when == "body":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nx")
        begun.set()
        silent(handler)

    slow.routes["/x"] = route
    client, errors = wire(timeout_s=60), []

    def ask() -> None:
        try:
            body(client, f"{slow.url}/x")
        except Unreachable as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(60)
    client.abort()
    thread.join(_BOUND_S)

    assert len(errors) == 1
    with pytest.raises(Unreachable, match="stopping"):
        body(client, f"{slow.url}/x")


def test_what_another_thread_asks_is_ended_too_although_one_s_own_question_is_over(slow):
    """Several files are fetched at a time, by threads that share one client."""
    begun, errors = threading.Event(), []

    def route(handler: Handler) -> None:
        begun.set()
        silent(handler)

    slow.routes |= {"/slow": route, "/quick": b"{}"}
    client = wire(timeout_s=120)

    def ask() -> None:
        try:
            client.ask("GET", f"{slow.url}/slow")
        except Unreachable as error:
            errors.append(error.message)

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(60)
    assert client.ask("GET", f"{slow.url}/quick") == (200, {})
    client.abort()
    thread.join(_BOUND_S)

    assert not thread.is_alive()
    assert len(errors) == 1
    assert "in time" not in errors[0]


@pytest.fixture
def issuer(tmp_path) -> Issuer:
    return Issuer(tmp_path)


def serving_tls(pem) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_of_an_unknown_issuer_is_refused_with_the_way_out(issuer):
    with (
        hosting({"/x": b"ok"}, serving_tls(issuer.issue("server"))) as host,
        pytest.raises(Unreachable, match="MLFLOW_TRACKING_SERVER_CERT_PATH"),
    ):
        body(wire(host.url), f"{host.url}/x")


def test_an_issuer_is_trusted_where_its_certificate_is_named(issuer):
    with hosting({"/x": b"ok"}, serving_tls(issuer.issue("server"))) as host:
        client = wire(host.url, MLFLOW_TRACKING_SERVER_CERT_PATH=str(issuer.pem))

        assert body(client, f"{host.url}/x") == b"ok"


def test_a_certificate_for_another_host_is_refused(issuer):
    with hosting({"/x": b"ok"}, serving_tls(issuer.issue("server", "10.0.0.1"))) as host, pytest.raises(Unreachable):
        body(wire(host.url, MLFLOW_TRACKING_SERVER_CERT_PATH=str(issuer.pem)), f"{host.url}/x")


def test_certificates_go_unchecked_only_where_that_was_said(issuer):
    """For the server that the variables name, not for what it points at."""
    tls = serving_tls(issuer.issue("server"))
    with hosting({"/x": b"ok"}, tls) as host, hosting({"/x": b"ok"}, tls) as other:
        client = wire(host.url, MLFLOW_TRACKING_INSECURE_TLS="true")

        assert body(client, f"{host.url}/x") == b"ok"
        with pytest.raises(Unreachable, match="not trusted"):
            body(client, f"{other.url}/x")


def test_a_client_shows_its_certificate(issuer):
    tls = serving_tls(issuer.issue("server"))
    tls.load_verify_locations(issuer.pem)
    tls.verify_mode = ssl.CERT_REQUIRED
    variables = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(issuer.pem)}
    with hosting({"/x": b"ok"}, tls) as host:
        with pytest.raises(Unreachable):
            body(wire(host.url, **variables), f"{host.url}/x")
        variables["MLFLOW_TRACKING_CLIENT_CERT_PATH"] = str(issuer.issue("client"))

        assert body(wire(host.url, **variables), f"{host.url}/x") == b"ok"


def test_a_redirect_from_tls_to_plain_text_is_refused(issuer):
    with hosting({"/there": b"ok"}) as plain:
        route = (302, {"Location": f"{plain.url}/there"}, b"")
        with hosting({"/x": route}, serving_tls(issuer.issue("server"))) as host:
            client = wire(host.url, MLFLOW_TRACKING_SERVER_CERT_PATH=str(issuer.pem))
            with pytest.raises(Unreachable, match="without TLS"):
                body(client, f"{host.url}/x")

        assert plain.asked == []


@pytest.mark.parametrize("path", ["/nowhere/ca.pem", __file__])
def test_certificates_that_cannot_be_read_are_told(path):
    with pytest.raises(Unreachable, match="certificates of MLflow's variables"):
        body(wire("https://127.0.0.1:1", MLFLOW_TRACKING_SERVER_CERT_PATH=path), "https://127.0.0.1:1/")


def test_an_origin_is_scheme_host_and_port():
    assert origin_of("HTTPS://User:pw@Host/x") == "https://host:443"
    assert origin_of("http://host:8080") == "http://host:8080"
