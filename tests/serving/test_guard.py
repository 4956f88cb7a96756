"""A gateway that asks who asks: keys, scopes, refusals in the shape of each protocol; over its real socket."""

import json
import os
import socket
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from podium.access.keys import KeyFile

SCORED = b'{"predictions": [1]}'


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> KeyFile:
    return KeyFile(tmp_path_factory.mktemp("home") / "keys.json")


@pytest.fixture(scope="module")
def guarded(start_shared, keys: KeyFile):
    """One gateway that requires keys, with a worker that answers at once."""
    server = start_shared(access={"requires_keys": True, "key_file": str(keys.path)})
    server.add(1).serve(SCORED)
    server.publish()
    return server


@pytest.fixture(scope="module")
def reader(guarded, keys: KeyFile, until) -> str:
    """A key with the scope read that the gateway has heard of."""
    secret = made(keys, "read")
    heard(until, guarded, secret, 200)
    return secret


def made(keys: KeyFile, *scopes: str, **more) -> str:
    return keys.create(scopes, time.time(), **more)[1]


def heard(until, guarded, secret: str, status: int, path: str = "/version") -> None:
    until(lambda: guarded.ask("GET", path, headers={"X-API-Key": secret}).status == status, f"{status} of {path}")


def test_who_has_no_key_gets_401_and_is_told_how(guarded):
    """In MLflow's shape, with a challenge; and nothing reached the worker."""
    answer = guarded.score()

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="podium"'
    assert answer.json["error_code"] == "UNAUTHENTICATED"
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_a_key_is_taken_from_either_header(guarded, keys, until):
    """`Authorization: Bearer` in any case of the word, or `X-API-Key`; a running server has heard of a new one."""
    secret = made(keys, "score:iris")
    heard(until, guarded, secret, 200)

    assert guarded.score(authorization=f"Bearer {secret}").body == SCORED
    assert guarded.score(authorization=f"bearer  {secret}").body == SCORED
    assert guarded.score(x_api_key=secret).body == SCORED


def test_a_key_opens_what_its_scopes_say(guarded, keys, until):
    """403 with the scope that is missing, in the shape of the path's protocol."""
    scorer, reader = made(keys, "score:iris"), made(keys, "read")
    other = made(keys, "score:wine")
    heard(until, guarded, other, 200)

    assert guarded.score(x_api_key=scorer).status == 200
    assert guarded.ask("GET", "/metrics", headers={"X-API-Key": scorer}).status == 403
    assert guarded.ask("GET", "/metrics", headers={"X-API-Key": reader}).status == 200
    assert guarded.ask("GET", "/models/iris/ready", headers={"X-API-Key": other}).status == 403
    refused = guarded.score(x_api_key=other)
    assert (refused.status, refused.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert "score:iris" in refused.json["message"]
    of_v2 = guarded.ask("GET", "/v2/models/iris", headers={"X-API-Key": other})
    assert (of_v2.status, list(of_v2.json)) == (403, ["error"])


@pytest.mark.parametrize("path", ["/", "/ping", "/health", "/livez", "/readyz"])
def test_probes_are_open(guarded, path):
    assert guarded.get(path).status == 200


@pytest.mark.parametrize("path", ["/nothing", "/status", "/metrics", "/version", "/invocations/", "/v2/models/iris"])
def test_who_is_unknown_does_not_learn_which_paths_there_are(guarded, path):
    """A path that is none is answered as one that is closed."""
    assert guarded.get(path).status == 401


def test_pages_are_opened_by_name(start, tmp_path):
    """`open_pages` opens these pages and no other."""
    server = start(access={"requires_keys": True, "key_file": str(tmp_path / "none"), "open_pages": ["metrics"]})
    server.publish()

    assert server.get("/metrics").status == 200
    assert server.get("/status").status == 401


def test_a_revoked_key_is_refused_on_a_connection_that_it_had_opened(guarded, keys, until):
    """The same head on the same connection: what was decided of it does not outlive the key."""
    key, secret = keys.create(["score:iris"], time.time())
    heard(until, guarded, secret, 200)
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: %s\r\n" % secret.encode()
    request = head + b"Content-Length: 15\r\n\r\n" + b'{"inputs": [1]}'

    with guarded.connect() as sock:
        assert [_status(sock, request) for _ in range(4)] == [200] * 4
        keys.revoke(key.id, time.time())
        until(lambda: _status(sock, request) == 401, "the revoked key to be refused")
        assert [_status(sock, request) for _ in range(4)] == [401] * 4


def test_an_expired_key_is_refused_on_a_connection_that_it_had_opened(guarded, keys, until):
    """Without any change of the file."""

    def let_in() -> str | None:
        secret = made(keys, "score:iris", expires=time.time() + 5.0)
        is_known = guarded.ask("GET", "/version", headers={"X-API-Key": secret}).status == 200
        return secret if is_known else None  # it has expired before it was asked for

    secret = until(let_in, "a key that is let in")

    heard(until, guarded, secret, 401)


def test_keys_that_cannot_be_read_let_nobody_in(guarded, keys, until):
    """503 and not 401: the client's key may well be right. Once they can be read, it is."""
    secret = made(keys, "read")
    heard(until, guarded, secret, 200)
    content = keys.path.read_bytes()

    keys.path.write_bytes(content[:40])
    heard(until, guarded, secret, 503)
    assert guarded.get("/ping").status == 200
    assert guarded.get("/version").status == 401
    keys.path.write_bytes(content)

    heard(until, guarded, secret, 200)


def test_a_file_of_keys_that_is_gone_holds_none(guarded, keys, until):
    secret = made(keys, "read")
    heard(until, guarded, secret, 200)

    content = keys.path.read_bytes()
    os.unlink(keys.path)

    heard(until, guarded, secret, 401)
    keys.path.write_bytes(content)


def test_tokens_and_keys_are_taken_side_by_side(start, tmp_path, until):
    """A token by its scopes, in Authorization as in X-API-Key; when its key is taken out it is refused at once."""
    jwks, signing = tmp_path / "jwks.json", ec.generate_private_key(ec.SECP256R1())
    public = jwt.get_algorithm_by_name("ES256").to_jwk(signing.public_key(), as_dict=True)
    jwks.write_text(json.dumps({"keys": [public | {"kid": "1"}]}))
    keys = KeyFile(tmp_path / "keys.json")
    secret = made(keys, "read")
    tokens = {"jwks": str(jwks), "jwt_issuer": "https://i/", "jwt_audience": "podium"}
    server = start(access={"requires_keys": True, "key_file": str(keys.path)} | tokens)
    server.add(1).serve(SCORED)
    server.publish()
    claims = {"iss": "https://i/", "aud": "podium", "exp": time.time() + 3600, "sub": "me", "scope": "score:iris"}
    token = jwt.encode(claims, signing, "ES256", {"kid": "1"})

    assert server.score(authorization=f"Bearer {token}").body == SCORED
    assert server.ask("GET", "/status", headers={"Authorization": f"Bearer {token}"}).status == 403
    assert server.ask("GET", "/status", headers={"Authorization": f"Bearer {secret}"}).status == 200
    assert server.score(authorization=f"Bearer {token[:-2]}").status == 401
    jwks.write_text('{"keys": []}')
    until(lambda: server.score(authorization=f"Bearer {token}").status != 200, "the token's key to be gone")


SPOOFS = {
    "both headers": b"X-API-Key: %s\r\nAuthorization: Bearer %s",
    "twice": b"Authorization: Bearer %s\r\nAuthorization: Bearer %s",
    "twice, one empty": b"Authorization: Bearer %s\r\nauthorization:",
    "two keys": b"X-API-Key: %s\r\nx-api-key: %s",
    "basic": b"Authorization: Basic %s",
    "no scheme": b"Authorization: %s",
    "no blank": b"Authorization: Bearer%s",
    "quoted": b'X-API-Key: "%s"',
    "underscores": b"X_API_Key: %s",
    "another name": b"Proxy-Authorization: Bearer %s",
    "in a cookie": b"Cookie: x-api-key=%s",
    "folded": b"Authorization: Bearer\r\n %s",
    "a blank before the colon": b"X-API-Key : %s",
    "a blank before the name": b" X-API-Key: %s",
    "with a tab inside": b"Authorization: Bearer\t%s",
    "as one of a list": b"X-API-Key: nothing, %s",
    "with a null": b"X-API-Key: %s\x00",
}


@pytest.mark.parametrize("lines", SPOOFS.values(), ids=SPOOFS)
def test_a_good_key_written_in_another_way_is_none(guarded, reader: str, lines: bytes):
    """What two readers could read in two ways: 401, or 400 for what is no HTTP; never a page."""
    head = b"GET /status HTTP/1.1\r\nHost: x\r\n" + lines.replace(b"%s", reader.encode()) + b"\r\n\r\n"

    with guarded.connect() as sock:
        assert _status(sock, head) in {400, 401}


def test_a_key_in_the_query_is_none(guarded, reader: str):
    """It would stand in every log on its way."""
    assert guarded.get(f"/status?x-api-key={reader}&access_token={reader}").status == 401


def test_no_secret_is_in_the_access_log_or_the_gateways_log(start, until, tmp_path):
    """Neither a good key nor a bad one, however it was sent."""
    log, keys = tmp_path / "access.log", KeyFile(tmp_path / "keys.json")
    server = start(access={"requires_keys": True, "key_file": str(keys.path)}, access_log=str(log))
    server.add(1).serve(SCORED)
    server.publish()
    secret = made(keys, "score:iris")
    heard(until, server, secret, 200)
    server.score(x_api_key=secret)
    server.score(authorization=f"Bearer {secret[:-1]}")
    server.score(authorization=f"Basic {secret}")
    keys.path.write_bytes(b"{")
    heard(until, server, secret, 503)

    lines = until(lambda: log.exists() and (text := log.read_text()).count("\n") >= 3 and text, "the log's lines")

    assert secret.split("_", 2)[2][:-1] not in lines + (tmp_path / "gateway-0.log").read_text()
    assert {json.loads(line)["status"] for line in lines.splitlines()} >= {200, 401}
    assert secret.encode() not in Path(f"/proc/{server.gateway.popen.pid}/cmdline").read_bytes()


def _status(sock: socket.socket, request: bytes) -> int:
    sock.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        received = sock.recv(1 << 16)
        assert received, "closed"
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
    while len(body) < size:
        received = sock.recv(1 << 16)
        assert received, "closed"
        body += received
    return int(head.split(b" ", 2)[1])


@pytest.mark.parametrize("path", ["/v2/models/iris/infer", "/v1/models/iris:predict", "/models/iris/invoke"])
def test_every_protocol_asks_for_the_models_own_scope(guarded, keys, reader: str, path):
    """Who may read may not score, whichever way leads to the model; who has no key does not learn that there is one."""
    json_type = {"Content-Type": "application/json"}

    assert guarded.ask("POST", path, b"{}", json_type).status == 401
    assert guarded.ask("POST", path, b"{}", json_type | {"X-API-Key": reader}).status == 403
    assert guarded.ask("POST", path.replace("iris", "wine"), b"{}", json_type | {"X-API-Key": reader}).status == 403


def test_a_strangers_body_is_not_waited_for(guarded, keys, until):
    """The head alone is answered, whichever reason there is; whoever may score is told to go on."""
    secret = made(keys, "score:iris")
    heard(until, guarded, secret, 200)
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    large, asking = b"Content-Length: 16000000\r\n", b"Content-Length: 15\r\nExpect: 100-continue\r\n"

    for lines in (large, asking, b"X-API-Key: wrong\r\n" + large, b"Transfer-Encoding: chunked\r\n"):
        with guarded.connect() as sock:
            assert _status(sock, head + lines + b"\r\n") == 401
    with guarded.connect() as sock:
        sock.sendall(head + asking + b"X-API-Key: %s\r\n\r\n" % secret.encode())
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_the_body_of_whoever_asks_too_often_is_not_waited_for(start):
    """429 from the head alone, which is counted as any other."""
    server = start(clients={"rate_per_address": "1/h burst 1"})
    server.add(1).serve(SCORED)
    server.publish()
    assert server.score().status == 200
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

    with server.connect() as sock:
        assert _status(sock, head + b"Content-Length: 16000000\r\n\r\n") == 429
