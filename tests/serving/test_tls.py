"""A gateway behind TLS: who gets in, what their certificates let them do, and files that change while it serves."""

import contextlib
import http.client
import socket
import ssl
import threading
from pathlib import Path

import pytest
from authority import Authority
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

BODY = b'{"predictions": [1]}'
ASKED = b'{"inputs": [1]}'
JSON = {"Content-Type": "application/json"}


def client_context(authority: Authority, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def scored(server, context: ssl.SSLContext, path: str = "/invocations", method: str = "POST") -> tuple[int, bytes]:
    client = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=240, context=context)
    with contextlib.closing(client):
        client.request(method, path, ASKED, JSON)
        answer = client.getresponse()
        return answer.status, answer.read()


def serial(server, context: ssl.SSLContext) -> int:
    """Of the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", server.port), 60) as sock,
        context.wrap_socket(sock, server_hostname="127.0.0.1") as tls,
    ):
        return int(tls.getpeercert()["serialNumber"], 16)


def serving(start, tls: dict):
    server = start(access=tls)
    server.add(1).serve(BODY)
    server.publish()
    return server


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def files(authority) -> dict[str, str]:
    certificate, key = authority.pair("server")
    return {"tls_cert": str(certificate), "tls_key": str(key)}


@pytest.fixture(scope="module")
def mutual(start_shared, authority, files):
    """Asks each client for a certificate; `billing` may score, `monitor` read."""
    names = ["URI:spiffe://test/billing=score:iris", "CN:monitor=read"]
    return serving(start_shared, files | {"tls_client_ca": str(authority.file), "tls_identities": names, "has_authz": True})


@pytest.fixture(scope="module")
def billing(authority) -> ssl.SSLContext:
    return client_context(authority, authority.pair("billing", x509.UniformResourceIdentifier("spiffe://test/billing")))


def test_a_certificate_says_what_its_holder_may(mutual, authority, billing):
    """By its URI or its common name; one that is vouched for and not named may nothing but probe."""
    monitor = client_context(authority, authority.pair("monitor"))
    stranger = client_context(authority, authority.pair("stranger"))
    # Who may choose a DNS name gets no URI by it.
    spoofing = client_context(authority, authority.pair("spoofing", x509.DNSName("spiffe://test/billing")))

    assert scored(mutual, billing) == (200, BODY)
    assert [scored(mutual, each)[0] for each in (monitor, stranger, spoofing)] == [403] * 3
    assert scored(mutual, stranger, "/ping", "GET")[0] == 200


def test_a_proxy_that_asks_is_not_the_one_that_is_asked_about(mutual, billing):
    """Its own certificate opens nothing for its clients."""
    assert scored(mutual, billing) == (200, BODY)
    assert scored(mutual, billing, "/authz/invocations")[0] == 401


def test_without_a_certificate_or_with_anothers_there_is_no_connection(mutual, authority, tmp_path):
    """Refused in the handshake: no byte of HTTP is read."""
    other = Authority(tmp_path, "other")
    pair = other.pair("billing", x509.UniformResourceIdentifier("spiffe://test/billing"))

    for context in (client_context(authority), client_context(authority, pair)):
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            scored(mutual, context)


@pytest.mark.parametrize(
    "case", ["expired", "not yet", "for servers", "for mail", "signed by itself", "signed by a client"]
)
def test_a_certificate_that_is_not_good_opens_no_connection(mutual, authority, tmp_path, case: str):
    """Whatever name it has: `monitor` may read."""
    if case == "signed by itself":
        other = Authority(tmp_path, "monitor")
        other.key_file.write_bytes(other.key_bytes)
        pair = other.file, other.key_file
    elif case == "signed by a client":
        pair = authority.below(authority.pair("client"), "monitor")
    else:
        usage = {"for servers": [ExtendedKeyUsageOID.SERVER_AUTH], "for mail": [ExtendedKeyUsageOID.EMAIL_PROTECTION]}
        days = {"expired": (-2.0, -0.001), "not yet": (0.5, 1.0)}
        pair = authority.odd("monitor", *usage.get(case, []), days=days.get(case, (-1.0, 1.0)))

    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        scored(mutual, client_context(authority, pair), "/version", "GET")
    good = authority.odd("monitor", ExtendedKeyUsageOID.CLIENT_AUTH)
    assert scored(mutual, client_context(authority, good), "/version", "GET")[0] == 200


def test_plain_http_and_old_versions_are_not_answered(mutual, authority, billing):
    with mutual.connect() as sock:
        sock.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in sock.recv(1000)
    billing_old = client_context(authority, (authority.folder / "billing.crt", authority.folder / "billing.key"))
    billing_old.minimum_version = billing_old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert scored(mutual, billing_old) == (200, BODY)
    billing_old.set_ciphers("ECDHE+AES128:!AESGCM")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scored(mutual, billing_old)


SMUGGLED = [
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Content-Length : 5\r\n\r\nabcde",
    b"X: a\r\n Content-Length: 5\r\n\r\nabcde",
    b"Content-Length: +5\r\n\r\nabcde",
    b"Host: other\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\nabcde0\r\n\r\n",
]


@pytest.mark.parametrize("rest", SMUGGLED)
def test_smuggling_is_refused_behind_tls_as_before_it(mutual, billing, rest: bytes):
    """One answer, 400, and the connection ends: what was hidden behind is not answered."""
    hidden = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", mutual.port), 60) as sock,
        billing.wrap_socket(sock, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\n" + rest + hidden)
        data = b""
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            while received := tls.recv(1 << 16):
                data += received

    assert data.startswith(b"HTTP/1.1 400 ")
    assert data.count(b"HTTP/1.1 ") == 1


def test_a_client_may_come_without_a_certificate_where_that_is_said(start, authority, files, billing):
    """It is unknown then: probes are answered, models are not."""
    server = serving(start, files | {"tls_client_ca": str(authority.file), "tls_client_auth": "optional"})

    assert scored(server, client_context(authority))[0] == 401
    assert scored(server, client_context(authority), "/ping", "GET")[0] == 200
    assert scored(server, billing) == (200, BODY)


@pytest.mark.parametrize("loop", ["", "asyncio"], ids=["uvloop", "asyncio"])
def test_certificates_are_exchanged_while_requests_are_answered(start, tmp_path, monkeypatch, until, loop: str):
    """No request fails, a connection that is open goes on, and new ones get the new certificate.

    Between the two files' changes they do not fit together: the ones before stay in force.
    """
    monkeypatch.setenv("PODIUM_LOOP", loop)
    authority = Authority(tmp_path)
    certificate, key = authority.pair("server")
    server = serving(start, {"tls_cert": str(certificate), "tls_key": str(key)})
    context = client_context(authority)
    before = serial(server, context)
    kept = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=240, context=context)
    kept.request("POST", "/invocations", ASKED, JSON)
    assert kept.getresponse().read() == BODY
    is_over, found = threading.Event(), []

    def ask() -> None:
        while not is_over.is_set():
            found.append(scored(server, context))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        new_certificate, new_key = authority.pair("next")
        new_certificate.replace(certificate)
        log = server.gateway.log
        until(lambda: "ones before stay in force" in log.read_text(), "the gateway to see a pair that does not fit")
        assert serial(server, context) == before
        new_key.replace(key)
        until(lambda: serial(server, context) != before, "the new certificate")
        count = len(found)
        until(lambda: len(found) > count + 5, "more answers")
    finally:
        is_over.set()
        asking.join(60)
    kept.request("POST", "/invocations", ASKED, JSON)

    assert kept.getresponse().read() == BODY
    assert set(found) == {(200, BODY)}
    kept.close()


def test_an_authority_that_is_taken_out_vouches_for_nobody_any_more(start, tmp_path, until, files, authority):
    """Clients of the old one are refused from then on, those of the new one are let in."""
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(old.file.read_bytes())
    server = serving(start, files | {"tls_client_ca": str(trusted)})
    before = client_context(authority, old.pair("client-of-old"))
    after = client_context(authority, new.pair("client-of-new"))
    assert scored(server, before) == (200, BODY)

    trusted.write_bytes(new.file.read_bytes())

    until(lambda: _is_let_in(server, after), "the new authority to count")
    assert not _is_let_in(server, before)


def test_a_revoked_certificate_opens_no_connection_and_closes_those_it_had(start, tmp_path, until, files, authority):
    """The list stands behind the authority in its file; who is not on it goes on, by a new connection."""
    vouching = Authority(tmp_path, "vouching")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(vouching.file.read_bytes())
    server = serving(start, files | {"tls_client_ca": str(trusted)})
    stolen = vouching.pair("client-stolen")
    revoked, good = client_context(authority, stolen), client_context(authority, vouching.pair("client-good"))
    idle = http.client.HTTPSConnection("localhost", server.port, context=revoked, timeout=240)
    assert _asked(idle) == (200, None)

    trusted.write_bytes(vouching.file.read_bytes() + vouching.revocations(stolen))

    until(lambda: not _is_let_in(server, revoked), "the list to count")
    assert _is_let_in(server, good)
    idle.sock.settimeout(60)
    assert idle.sock.recv(1) == b""
    idle.close()


def _asked(connection: http.client.HTTPSConnection) -> tuple[int, str | None]:
    connection.request("POST", "/invocations", b'{"inputs": [1]}', {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["Connection"]


def _is_let_in(server, context: ssl.SSLContext) -> bool:
    try:
        return scored(server, context) == (200, BODY)
    except (OSError, http.client.HTTPException):
        return False
