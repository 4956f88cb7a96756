"""Who is refused, by every way in, on one server: nothing is let in, the log says who and why, and no secret is in it."""

import base64
import contextlib
import gzip
import hashlib
import hmac
import http.client
import json
import time
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from access_lines import whole_lines
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tritonclient.grpc import service_pb2 as wire
from tritonclient.grpc import service_pb2_grpc

from podium.access.keys import KeyFile
from podium.serving.grpc.authorization import SCHEMA
from podium.serving.grpc.messages import Messages

SCORED = b'{"predictions": [1]}'
ISSUER, AUDIENCE = "https://issuer.example/", "podium"
SIGNING = rsa.generate_private_key(65537, 2048)
PUBLIC_PEM = SIGNING.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
JWK = jwt.get_algorithm_by_name("RS256").to_jwk(SIGNING.public_key(), as_dict=True)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("refusals")


@pytest.fixture(scope="module")
def keys(folder: Path) -> KeyFile:
    return KeyFile(folder / "keys.json")


@pytest.fixture(scope="module")
def server(start_shared, folder: Path, keys: KeyFile):
    """Keys, tokens, HTTP and gRPC, an access log, and a worker that answers at once."""
    (folder / "jwks.json").write_text(json.dumps({"keys": [JWK | {"kid": "1", "alg": "RS256", "use": "sig"}]}))
    access = {
        "requires_keys": True, "key_file": str(keys.path), "jwks": str(folder / "jwks.json"), "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE, "has_authz": True,
    }  # fmt: skip
    begun = start_shared(has_grpc=True, access=access, access_log=str(folder / "access.log"))
    begun.add(1).serve(SCORED)
    begun.publish()
    return begun


@pytest.fixture(scope="module")
def scorer(keys: KeyFile) -> str:
    return keys.create(["score:iris"], time.time())[1]


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc) as made:
        yield made


@pytest.fixture
def lines(server, folder: Path, until):
    """What the access log says of the requests with an id, once it does."""

    def find(identity: str) -> dict[str, Any]:
        def look():
            return [line for line in whole_lines(folder / "access.log") if identity in json.dumps(line)]

        return until(look, "the log's line")[-1]

    return find


# ── tokens


def claims(**changes: Any) -> dict[str, Any]:
    said = {"iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 3600, "sub": "me", "scope": "score:iris"} | changes
    return {name: value for name, value in said.items() if value is not None}


def token(header: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), SIGNING, "RS256", {"kid": "1"} | (header or {}))


def by_hand(header: dict[str, Any], secret: bytes | None) -> str:
    """A token that no library would write: signed with HMAC by some secret, or not at all."""
    head, body = (base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (header, claims()))
    signature = b"" if secret is None else hmac.new(secret, head + b"." + body, hashlib.sha256).digest()
    return b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def signed(**changes: Any) -> str:
    """A token with claims that no library would sign."""
    return jwt.api_jws.encode(json.dumps(claims(**changes)).encode(), SIGNING, "RS256", {"kid": "1"})


def parts(text: str) -> list[str]:
    return text.split(".")


OTHER = rsa.generate_private_key(65537, 2048)
OTHERS = jwt.get_algorithm_by_name("RS256").to_jwk(OTHER.public_key(), as_dict=True)
PUBLIC_JWK = json.dumps(JWK).encode()
HS = {"alg": "HS256", "typ": "JWT"}
FORGED = {
    "nothing": lambda: "",
    "alg none": lambda: by_hand({"alg": "none", "kid": "1"}, None),
    "alg None": lambda: by_hand({"alg": "None", "kid": "1"}, None),
    "alg nOnE with a signature": lambda: by_hand({"alg": "nOnE", "kid": "1"}, b"x"),
    "no alg": lambda: by_hand({"kid": "1"}, None),
    "alg is a list": lambda: by_hand({"alg": ["RS256"], "kid": "1"}, b"x"),
    "alg is null": lambda: by_hand({"alg": None, "kid": "1"}, b"x"),
    "hs256 with the public key": lambda: by_hand(HS | {"kid": "1"}, PUBLIC_PEM),
    "hs256 with the public key, stripped": lambda: by_hand(HS | {"kid": "1"}, PUBLIC_PEM.strip()),
    "hs256 with the public jwk": lambda: by_hand(HS | {"kid": "1"}, PUBLIC_JWK),
    "hs256 with nothing": lambda: by_hand(HS | {"kid": "1"}, b""),
    "kid of a file": lambda: by_hand(HS | {"kid": "../../../../dev/null"}, b""),
    "kid of sql": lambda: by_hand(HS | {"kid": "x' UNION SELECT 'secret"}, b"secret"),
    "kid of a url": lambda: by_hand(HS | {"kid": "http://127.0.0.1/jwks"}, b"x"),
    "kid is a number": lambda: by_hand(HS | {"kid": 1}, b"x"),
    "kid is an object": lambda: by_hand(HS | {"kid": {"a": 1}}, b"x"),
    "unknown kid": lambda: token({"kid": "2"}),
    "another's signature": lambda: jwt.encode(claims(), OTHER, "RS256", {"kid": "1"}),
    "jwk in the head": lambda: jwt.encode(claims(), OTHER, "RS256", {"kid": "1", "jwk": OTHERS}),
    "jku": lambda: jwt.encode(claims(), OTHER, "RS256", {"kid": "1", "jku": "https://evil.example/jwks"}),
    "x5u": lambda: jwt.encode(claims(), OTHER, "RS256", {"kid": "1", "x5u": "https://evil.example/x.pem"}),
    "x5c": lambda: jwt.encode(claims(), OTHER, "RS256", {"kid": "1", "x5c": ["AAAA"]}),
    "crit": lambda: token({"crit": ["exp"]}),
    "unencoded payload": lambda: token({"b64": False, "crit": ["b64"]}),
    "another algorithm of the key": lambda: jwt.encode(claims(), SIGNING, "RS512", {"kid": "1"}),
    "pss instead": lambda: jwt.encode(claims(), SIGNING, "PS256", {"kid": "1"}),
    "expired": lambda: token(exp=time.time() - 31),
    "never expires": lambda: token(exp=None),
    "expires as text": lambda: token(exp="tomorrow"),
    "expires at infinity": lambda: token(exp=float("inf")),
    "expires at no number": lambda: token(exp=float("nan")),
    "expires in 10^30 years": lambda: signed(exp=10**400),
    "not yet": lambda: token(nbf=time.time() + 1800),
    "issued later": lambda: token(iat=time.time() + 1800),
    "another audience": lambda: token(aud="other"),
    "no audience": lambda: token(aud=None),
    "part of the audience": lambda: token(aud="pod"),
    "another issuer": lambda: token(iss="https://issuer.example.evil/"),
    "issuer without its slash": lambda: token(iss=ISSUER[:-1]),
    "a list of issuers": lambda: signed(iss=[ISSUER]),
    "no issuer": lambda: token(iss=None),
    "payload is a list": lambda: ".".join((parts(token())[0], base64.urlsafe_b64encode(b"[]").decode(), parts(token())[2])),
    "payload exchanged": lambda: ".".join((parts(token())[0], parts(token(sub="root"))[1], parts(token())[2])),
    "signature cut": lambda: token()[:-4],
    "no signature": lambda: ".".join((*parts(token())[:2], "")),
    "four parts": lambda: token() + ".x",
    "two parts": lambda: ".".join(parts(token())[:2]),
    "with blanks": lambda: token().replace(".", " . "),
    "17 KiB": lambda: token(padding="x" * (17 << 10)),
    "deeply nested": lambda: ".".join(
        (base64.urlsafe_b64encode(b"[" * 5000).decode(), parts(token())[1], parts(token())[2])
    ),
    "a key's form": lambda: "podium_0123456789ab_" + "A" * 43,
    "a key's id": lambda: "podium_0123456789ab",
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_token_that_proves_nothing_opens_nothing(server, forge):
    """401 in the same words for each."""
    answer = server.score(authorization=f"Bearer {forge()}")

    assert (answer.status, "predictions" in answer.json) == (401, False)
    assert answer.json["message"] in {
        "The key or token is not known here, was revoked or has expired.", "Authorization is understood as: Bearer KEY."
    }  # fmt: skip


def test_the_log_says_that_they_were_tried_and_why_they_were_refused(server, lines):
    """In words of ours, without a piece of what was sent."""
    tried = {name: forge() for name, forge in FORGED.items()}
    answers = {name: server.score(authorization=f"Bearer {each}") for name, each in tried.items()}

    for name, answer in answers.items():
        line = lines(answer.headers["x-request-id"])
        assert (line["status"], line["principal"], line["error"][:17]) == (401, None, "UNAUTHENTICATED: ")
        assert len(tried[name]) < 20 or tried[name][-20:] not in json.dumps(line)


def test_a_token_that_is_good_opens_what_it_says_and_no_more(server):
    good = {"Authorization": f"Bearer {token()}"} | JSON

    assert server.ask("POST", "/invocations", b"{}", good).body == SCORED
    skewed = {"Authorization": f"Bearer {token(exp=time.time() - 2, nbf=time.time() + 5, aud=['x', AUDIENCE])}"} | JSON
    assert server.ask("POST", "/invocations", b"{}", skewed).body == SCORED
    assert server.ask("GET", "/status", headers=good).status == 403


# ── paths: who may score iris may nothing else, however the path is written

HIDDEN = {
    "status": ("GET", "/status"),
    "head of status": ("HEAD", "/status"),
    "options": ("OPTIONS", "/status"),
    "encoded letters": ("GET", "/%73tatus"),
    "doubly encoded": ("GET", "/%2573tatus"),
    "double slash": ("GET", "//status"),
    "trailing slash": ("GET", "/status/"),
    "dot": ("GET", "/./status"),
    "dots": ("GET", "/models/iris/../../status"),
    "encoded dots": ("GET", "/models/iris/%2e%2e/%2e%2e/status"),
    "encoded slash": ("GET", "/models/iris%2f..%2f..%2fstatus"),
    "backslash": ("GET", "/models\\..\\status"),
    "semicolon": ("GET", "/ping;/../status"),
    "parameters": ("GET", "/status;x=/ping"),
    "open page before": ("GET", "/ping/../status"),
    "open page as a query": ("GET", "/status?/ping"),
    "null": ("GET", "/status%00/ping"),
    "newline": ("GET", "/ping%0d%0aX: y"),
    "case": ("GET", "/STATUS"),
    "absolute form": ("GET", "http://127.0.0.1/status"),
    "another host": ("GET", "http://ping/status"),
    "wide letters": ("GET", "/%ef%bd%93tatus"),
    "not utf-8": ("GET", "/%ff"),
    "another model": ("POST", "/models/wine/invocations"),
    "another model by dots": ("POST", "/models/iris/../wine/invocations"),
    "another model by encoded dots": ("POST", "/models/iris%2f..%2fwine/invocations"),
    "another model, encoded": ("POST", "/models/w%69ne/invocations"),
    "another model by v1": ("POST", "/v1/models/iris:x/../wine:predict"),
    "two colons": ("POST", "/v1/models/iris:wine:predict"),
    "another model by v2": ("POST", "/v2/models/wine/infer"),
    "case of the model": ("POST", "/models/IRIS/invocations"),
    "blank behind the model": ("POST", "/models/iris%20/invocations"),
    "load": ("POST", "/v2/repository/models/iris/load"),
    "unload": ("POST", "/v2/repository/models/iris/unload"),
    "sagemaker's load": ("POST", "/models"),
    "sagemaker's unload": ("DELETE", "/models/iris"),
    "index": ("POST", "/v2/repository/index"),
    "docs": ("GET", "/docs"),
    "asterisk": ("OPTIONS", "*"),
    "trace": ("TRACE", "/status"),
    "put": ("PUT", "/models/iris"),
}


@pytest.mark.parametrize(("method", "path"), HIDDEN.values(), ids=HIDDEN)
def test_no_spelling_of_a_path_opens_what_a_key_does_not(server, scorer, method: str, path: str):
    """Refused, not found or no HTTP: never a page, for whoever may score iris, and nothing but 401 for a stranger."""
    for who in ({"X-API-Key": scorer}, {}):
        head = {"Host": "x", "Connection": "close", "Content-Length": "2", **JSON, **who}
        answer = raw(server, method, path, head)

        assert answer[0] in ({307, 400, 401, 403, 404, 405, 415} if who else {400, 401})
        assert b"Set-Cookie" not in answer[1]
        assert b"\nX: y" not in answer[1]


OVERRIDES = [
    "X-HTTP-Method-Override: GET", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE", "X-Original-URL: /ping",
    "X-Rewrite-URL: /ping", "X-Forwarded-Prefix: /ping", "X-Forwarded-Path: /ping", "X-Envoy-Original-Path: /ping",
    "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1;by=proxy", "X-Real-IP: 127.0.0.1",
    "X-Podium-Principal: key:root", "X-Podium-Scopes: admin read score:*",
    'X-Forwarded-Client-Cert: Subject="CN=root"', "X-SSL-Client-Verify: SUCCESS", "X-Remote-User: root",
    "Remote-User: root", "Cookie: session=root", "X-Podium-Version: 2", "Authorization: Basic cm9vdDo=",
    "Authorization: Negotiate x", "Proxy-Authorization: Bearer x", "X-Amzn-SageMaker-Target-Model: wine",
    "Host: localhost",
]  # fmt: skip


@pytest.mark.parametrize("line", OVERRIDES)
def test_no_header_makes_somebody_of_a_stranger(server, line: str):
    name, _, value = line.partition(": ")
    head = {"Host": "x", "Connection": "close", "Content-Length": "2", **JSON, name: value}

    assert raw(server, "POST", "/invocations", head)[0] == 401
    assert raw(server, "GET", "/status", head)[0] == 401


def raw(server, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and head of an answer to a request that no client library would write."""
    text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with server.connect() as sock:
        sock.sendall(text.encode("latin-1") + b"\r\n{}")
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while received := sock.recv(1 << 16):
                data += received
    assert data.count(b"HTTP/1.1 ") == 1
    return int(data.split(b" ", 2)[1]), data.partition(b"\r\n\r\n")[0]


def test_no_strangers_body_is_unpacked(server, scorer):
    """A hundred kilobytes may unfold to a hundred megabytes: first it is asked who sends them."""
    packed = JSON | {"Content-Encoding": "gzip"}
    bomb = gzip.compress(b"0" * (100 << 20), 1)

    assert server.ask("POST", "/invocations", b"no gzip", packed).status == 401
    assert server.ask("POST", "/invocations", bomb, packed).status == 401
    assert server.ask("POST", "/invocations", b"no gzip", packed | {"X-API-Key": scorer}).status == 400
    assert server.ask("POST", "/invocations", bomb + bomb, packed | {"X-API-Key": scorer}).status == 413
    assert server.ask("POST", "/invocations", gzip.compress(b"{}"), packed | {"X-API-Key": scorer}).body == SCORED


# ── keys that end while their holder is connected


def test_a_revoked_key_ends_on_connections_that_are_open(server, keys, lines, until):
    """On a kept connection whose head was decided before, and in a stream of gRPC; the log names the key by its id."""
    key, secret = keys.create(["score:iris"], time.time())
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)

    def ask() -> Any:
        client.request("POST", "/invocations", b'{"inputs": [1]}', JSON | {"X-API-Key": secret})
        answer = client.getresponse()
        return answer.status, answer.read(), answer.headers["x-request-id"]

    with contextlib.closing(client):
        assert [ask()[0] for _ in range(4)] == [200] * 4
        keys.revoke(key.id, time.time())
        refused = until(lambda: (answer := ask())[0] != 200 and answer, "the key to be refused")

    line = lines(refused[2])
    assert (refused[0], line["error"]) == (401, f"UNAUTHENTICATED: key {key.id} is revoked")
    assert secret.split("_", 2)[2] not in json.dumps(line)


@pytest.mark.parametrize("form", ["another secret", "no such id", "scope"])
def test_the_log_says_who_was_refused_and_why(server, keys, lines, form: str):
    key, secret = keys.create(["read"], time.time())
    sent, error, principal = {
        "another secret": (secret[:-4] + "AAAA", f"UNAUTHENTICATED: another secret than that of key {key.id}", None),
        "no such id": ("podium_ffffffffffff_" + "A" * 43, "UNAUTHENTICATED: no key has the id ffffffffffff", None),
        "scope": (secret, "PERMISSION_DENIED: Your scopes do not cover the model iris.", f"key:{key.id}"),
    }[form]

    line = lines(server.score(x_api_key=sent).headers["x-request-id"])

    assert (line["error"][: len(error)], line["principal"]) == (error, principal)
    assert sent.split("_", 2)[2] not in json.dumps(line)


def test_an_answer_that_there_is_no_such_page_is_written_down_with_its_reason(server, keys, lines):
    secret = keys.create(["admin"], time.time())[1]
    answer = server.ask("GET", "/nothing", headers={"X-API-Key": secret})

    line = lines(answer.headers["x-request-id"])
    assert (line["status"], bool(line["error"]), line["principal"][:4]) == (404, True, "key:")


# ── gRPC


def test_every_method_of_grpc_asks_who_asks(server, channel, folder, until):
    """Reflection and a model's health too; whether the server lives is open to everybody. Each refusal is in the log."""
    inference, health = service_pb2_grpc.GRPCInferenceServiceStub(channel), health_pb2_grpc.HealthStub(channel)
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    closed = {
        "ModelInfer": lambda: inference.ModelInfer(wire.ModelInferRequest(model_name="iris")),
        "ModelInfer without a name": lambda: inference.ModelInfer(wire.ModelInferRequest()),
        "ModelStreamInfer": lambda: list(inference.ModelStreamInfer(iter([wire.ModelInferRequest(model_name="iris")]))),
        "ModelMetadata": lambda: inference.ModelMetadata(wire.ModelMetadataRequest(name="iris")),
        "ModelReady": lambda: inference.ModelReady(wire.ModelReadyRequest(name="iris")),
        "ServerMetadata": lambda: inference.ServerMetadata(wire.ServerMetadataRequest()),
        "RepositoryIndex": lambda: inference.RepositoryIndex(wire.RepositoryIndexRequest()),
        "RepositoryModelLoad": lambda: inference.RepositoryModelLoad(wire.RepositoryModelLoadRequest(model_name="iris")),
        "reflection": lambda: list(reflection.ServerReflectionInfo(iter([question]))),
        "health of a model": lambda: health.Check(health_pb2.HealthCheckRequest(service="iris")),
    }

    told = {name: outcome(call) for name, call in closed.items()}

    assert "UNAUTHENTICATED: This needs a key" in told.pop("ModelStreamInfer")
    assert told == dict.fromkeys(told, "UNAUTHENTICATED")
    assert inference.ServerLive(wire.ServerLiveRequest()).live
    assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    log = folder / "access.log"
    until(lambda: log.read_text().count('"path":"/grpc.health.v1.Health/') > 0, "the log's last line")
    assert '"path":"/grpc.reflection.v1alpha.ServerReflection/' in log.read_text()
    written = [each for each in whole_lines(log) if each["path"].startswith(("/inf", "/grpc"))]
    assert {line["error"][:31] for line in written} == {"UNAUTHENTICATED: This needs a k"}


def test_whoever_is_known_may_look_at_what_there_is(channel, scorer):
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    question = reflection_pb2.ServerReflectionRequest(list_services="")

    [answer] = reflection.ServerReflectionInfo(iter([question]), metadata=[("x-api-key", scorer)])

    assert "inference.GRPCInferenceService" in {each.name for each in answer.list_services_response.service}


JUDGED = {
    "a key that may": ("POST", "/invocations", "scorer", 200),
    "with a query": ("POST", "/models/iris/invocations?x=/ping", "scorer", 200),
    "nobody": ("POST", "/invocations", "", 401),
    "who it says it is": ("POST", "/invocations", "spoofed", 401),
    "another model": ("POST", "/models/wine/invocations", "scorer", 403),
    "another model, encoded": ("POST", "/models/w%69ne/invocations", "scorer", 403),
    "dots": ("GET", "/ping/../status", "scorer", 400),
    "encoded dots": ("GET", "/ping/%2e%2e/status", "scorer", 400),
    "two slashes": ("GET", "//status", "scorer", 400),
    "no path": ("GET", "*", "scorer", 400),
    "a fragment": ("GET", "/ping#/status", "scorer", 400),
    "a page": ("GET", "/status", "scorer", 403),
    "a probe": ("GET", "/ping", "", 200),
    "somebody else's path": ("GET", "/app", "scorer", 200),
    "somebody else's path by nobody": ("GET", "/app", "", 401),
    "a method that the path has not": ("PUT", "/models/iris", "scorer", 403),
    "a call of any model": ("POST", "/inference.GRPCInferenceService/ModelInfer", "scorer", 403),
    "a call that moves models": ("POST", "/inference.GRPCInferenceService/RepositoryModelLoad", "scorer", 403),
    "a call that nobody knows": ("POST", "/inference.GRPCInferenceService/Other", "scorer", 403),
    "whether it lives": ("POST", "/inference.GRPCInferenceService/ServerLive", "", 200),
}


@pytest.mark.parametrize(("method", "path", "who", "status"), JUDGED.values(), ids=JUDGED)
def test_a_proxy_that_asks_by_grpc_is_told_what_the_request_itself_would_be(channel, scorer, method, path, who, status):
    """Envoy's Check: 200 with who it is, set over whatever was sent; else the refusal, which Envoy hands on."""
    spoofed = {"x-podium-principal": "key:root", "x-podium-scopes": "admin read score:*"}
    headers = spoofed | {"scorer": {"x-api-key": scorer}, "spoofed": spoofed, "": {}}[who]
    messages = Messages(SCHEMA)
    check = channel.unary_unary(
        "/envoy.service.auth.v3.Authorization/Check",
        messages.CheckRequest.SerializeToString,
        messages.CheckResponse.FromString,
    )
    asked = messages.CheckRequest()
    asked.attributes.request.http.method, asked.attributes.request.http.path = method, path
    asked.attributes.request.http.headers.update(headers | {":path": path})

    told = check(asked)

    if status == 200:
        assert (told.status.code, told.WhichOneof("parameter_choice")) == (0, "ok_response")
        said = {each.header.key: each.header.value for each in told.ok_response.headers}
        assert said["x-podium-scopes"] == ("score:iris" if who and "ServerLive" not in path else "")
        assert {each.append_action for each in told.ok_response.headers} == {2}
    else:
        assert (told.status.code != 0, told.denied_response.status.code) == (True, status)


def outcome(call) -> str:
    """What came of a call: its status, or what it said."""
    try:
        return str(call())
    except grpc.RpcError as error:
        return str(error.code().name)
