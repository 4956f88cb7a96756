"""Tokens that are true, and every way in which one is not."""

import base64
import contextlib
import http.server
import json
import socket
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from podium.access.jwks import KeySet, check_source, fetched, read_keys
from podium.access.tokens import Tokens, TokenTerms
from podium.domain.clients.access import Principal
from podium.errors import Misconfigured, Unauthenticated, Unavailable

ISSUER, AUDIENCE = "https://issuer.example/", "podium"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TERMS = TokenTerms(ISSUER, AUDIENCE)


def jwk(key, kid: str, algorithm: str, **more) -> dict:
    made = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"} | {"kid": kid, "use": "sig"} | more


KEYS = {"keys": [jwk(RSA, "r", "RS256", alg="RS256"), jwk(EC, "e", "ES256"), jwk(ED, "d", "EdDSA")]}
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def now() -> float:
    import time

    return time.time()


@pytest.fixture
def tokens(tmp_path, now) -> Tokens:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KEYS))
    return Tokens(KeySet(str(path), 300, now), TERMS)


def claims(now: float, **changes) -> dict:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "nightly", "exp": int(now) + 6000, "scope": "openid score:iris read"}
    return {name: value for name, value in (said | changes).items() if value is not None}


def made(
    now: float, key=RSA, kid: str | None = "r", algorithm: str = "RS256", header: dict | None = None, **changes
) -> str:
    heading = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(now, **changes), key, algorithm, headers=heading | (header or {}))


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(RSA, "r", "RS256"), (EC, "e", "ES256"), (ED, "d", "EdDSA")])
def test_a_token_of_each_kind_of_key_is_believed(tokens, now, key, kid, algorithm):
    """With its subject, podium's scopes among its own, and until it expires."""
    found = tokens.identify(made(now, key, kid, algorithm), now)

    assert found == Principal("token:nightly", frozenset({"score:iris", "read"}), int(now) + 6000 + 30.0)


FORGED = {
    "no algorithm": lambda now: f"{part({'alg': 'none', 'kid': 'r'})}.{part(claims(now))}.",
    "no algorithm, in other letters": lambda now: f"{part({'alg': 'nOnE', 'kid': 'r'})}.{part(claims(now))}.",
    "the public key as a shared secret": lambda now: _hs256(now, PUBLIC_PEM),
    "an empty shared secret": lambda now: _hs256(now, b""),
    "another's key": lambda now: made(now, OTHER),
    "another's key under no name": lambda now: made(now, OTHER, None),
    "a key that nobody knows": lambda now: made(now, OTHER, "x"),
    "a key of another kind": lambda now: made(now, EC, "r", "ES256"),
    "an algorithm that its key is not for": lambda now: made(now, algorithm="RS512"),
    "an algorithm that is not allowed": lambda now: made(now, algorithm="PS256"),
    "its own key in its head": lambda now: made(now, OTHER, header={"jwk": jwk(OTHER, "r", "RS256")}),
    "an address of keys in its head": lambda now: made(now, OTHER, header={"jku": "https://evil.example/jwks"}),
    "a path as its key's name": lambda now: made(now, OTHER, "../../dev/null"),
    "something critical": lambda now: made(now, header={"crit": ["x"], "x": 1}),
    "expired": lambda now: made(now, exp=int(now) - 31),
    "no end": lambda now: made(now, exp=None),
    "an end that is no time": lambda now: made(now, exp="soon"),
    "not yet": lambda now: made(now, nbf=int(now) + 3000),
    "made in the future": lambda now: made(now, iat=int(now) + 3000),
    "another audience": lambda now: made(now, aud="billing"),
    "no audience": lambda now: made(now, aud=None),
    "an audience that begins like ours": lambda now: made(now, aud="podium2"),
    "another issuer": lambda now: made(now, iss="https://issuer.example"),
    "no issuer": lambda now: made(now, iss=None),
    "no signature": lambda now: made(now).rpartition(".")[0] + ".",
    "a changed claim": lambda now: _changed(made(now), claims(now, scope="admin")),
    "two parts": lambda now: made(now).rpartition(".")[0],
    "nothing": lambda now: "",
    "dots": lambda now: "..",
    "no JSON": lambda now: "a.b.c",
    "too long": lambda now: made(now, pad="x" * 20_000),
    "other letters": lambda now: made(now) + "\u00e9",
}


def _hs256(now: float, secret: bytes) -> str:
    import hashlib
    import hmac

    signed = f"{part({'alg': 'HS256', 'kid': 'r'})}.{part(claims(now))}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _changed(token: str, said: dict) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{part(said)}.{signature}"


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_proves_nothing_and_learns_nothing(tokens, now, forge):
    """Each gets the same sentence."""
    found = tokens.identify(forge(now), now)

    assert isinstance(found, Unauthenticated)
    assert found.message == "The key or token is not known here, was revoked or has expired."


def test_what_was_proven_is_remembered_until_it_ends(tokens, now):
    """The second time costs no signature; at its end it is asked again, and refused."""
    token = made(now)
    first = tokens.identify(token, now)

    assert tokens.identify(token, now + 100) is first
    assert first.ends is not None
    assert tokens.identify(made(now, exp=int(now) - 10), first.ends) is not first


def test_a_key_that_is_taken_out_ends_its_tokens(tmp_path, now):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KEYS))
    tokens = Tokens(KeySet(str(path), 300, now), TERMS)
    token = made(now)
    assert isinstance(tokens.identify(token, now), Principal)

    path.write_text(json.dumps({"keys": KEYS["keys"][1:]}))
    tokens.sweep(now)

    assert isinstance(tokens.identify(token, now), Unauthenticated)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": 1}', "x" * 2_000_000])
def test_without_keys_nobody_is_known_by_a_token(tmp_path, now, content):
    """503 and not 401: the token may well be good."""
    path = tmp_path / "jwks.json"
    path.write_text(content)

    assert isinstance(Tokens(KeySet(str(path), 300, now), TERMS).identify(made(now), now), Unavailable)


def test_shared_secrets_private_keys_and_keys_for_encryption_are_left_out():
    """What anybody could sign with, or what was not made for signatures, proves none."""
    private = jwt.get_algorithm_by_name("RS256").to_jwk(OTHER, as_dict=True) | {"kid": "p"}
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256"}
    encryption = jwk(OTHER, "x", "RS256", use="enc")

    found = read_keys(json.dumps({"keys": [private, secret, encryption, "a", {}, *KEYS["keys"]]}).encode())

    assert set(found) == {"r", "e", "d"}
    assert found["r"].algorithms == {"RS256"}


def test_two_keys_of_one_name_are_no_key_set():
    with pytest.raises(Misconfigured, match="two keys"):
        read_keys(json.dumps({"keys": [KEYS["keys"][0], jwk(OTHER, "r", "RS256")]}).encode())


def test_what_groups_may_is_what_was_granted_to_them(tmp_path, now):
    """With grants a value of the claim is no scope by itself, whatever it is called."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KEYS))
    grants = {"data-science": frozenset({"score:*"}), "ops": frozenset({"read"})}
    terms = TokenTerms(ISSUER, AUDIENCE, scope_claim="groups", grants=grants)
    tokens = Tokens(KeySet(str(path), 300, now), terms)

    found = tokens.identify(made(now, groups=["data-science", "admin", "ops", 7, None]), now)

    assert isinstance(found, Principal)
    assert found.scopes == {"score:*", "read"}


def test_a_subject_cannot_write_a_line_of_a_log(tokens, now):
    found = tokens.identify(made(now, sub="a\r\nb\x1b[31m"), now)

    assert found.name == "token:a??b?[31m"


@pytest.mark.parametrize(
    ("source", "is_trusted"),
    [
        ("keys.json", True),
        ("https://issuer.example/jwks", True),
        ("http://127.0.0.1:8080/jwks", True),
        ("http://localhost/jwks", True),
        ("http://issuer.example/jwks", False),
        ("http://127.0.0.1.evil.example/jwks", False),
        ("https://user:pw@issuer.example/jwks", False),
        ("ftp://issuer.example/jwks", False),
        ("https:///jwks", False),
    ],
)
def test_keys_come_over_a_way_that_nobody_else_can_write_to(source, is_trusted):
    if is_trusted:
        check_source(source)
    else:
        with pytest.raises(Misconfigured) as raised:
            check_source(source)
        assert "pw" not in raised.value.message


class Issuer:
    """Answers at once what the test says, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys: object = KEYS

    def __call__(self, url: str) -> bytes:
        self.asked += 1
        if isinstance(self.keys, Exception):
            raise self.keys
        return json.dumps(self.keys).encode()


def settle(keys: KeySet, now: float) -> None:
    """Let a fetch that runs end, and take its answer in."""
    for thread in threading.enumerate():
        if thread.name == "podium-jwks":
            thread.join(60)
    keys.sweep(now)


def test_many_tokens_of_unknown_keys_make_few_fetches(now):
    """A new key of the issuer's is learnt within half a minute, and a flood of nonsense costs one fetch in that time."""
    issuer = Issuer()
    keys = KeySet("https://issuer.example/jwks", 300, now, issuer)
    settle(keys, now)
    issuer.keys = {"keys": [*KEYS["keys"], jwk(OTHER, "new", "RS256")]}

    for step in range(400):
        assert keys.find(f"unknown-{step}") is None
        settle(keys, now + step / 10)

    assert issuer.asked == 2
    assert keys.find("new") is not None


def test_an_issuer_that_is_down_keeps_its_keys_for_a_day(now):
    """Then they are too old to be believed, and nobody is known by them."""
    issuer = Issuer()
    keys = KeySet("https://issuer.example/jwks", 300, now, issuer)
    settle(keys, now)
    issuer.keys = OSError("down")

    for hour in range(1, 24):
        settle(keys, now + hour * 3600)
        settle(keys, now + hour * 3600)
    assert keys.find("r") is not None
    settle(keys, now + 25 * 3600)
    settle(keys, now + 25 * 3600)

    assert keys.is_empty
    assert issuer.asked > 20


def test_an_answer_that_drips_is_given_up():
    """A byte now and then keeps each read in its time: the whole answer has one as well."""
    over = threading.Event()

    class Dripping(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not over.wait(0.01):
                    self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(OSError, match="takes longer"):
                fetched(f"http://127.0.0.1:{server.server_port}/jwks", whole_s=0.1)
        finally:
            over.set()
            server.shutdown()
            thread.join(60)


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nx: ", b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n"])
def test_an_answer_whose_head_drips_is_given_up(said: bytes) -> None:
    """A header that never ends, and one `100 Continue` after the other, would keep the keys from ever being asked again."""
    again = b"a" if said else b"HTTP/1.1 100 Continue\r\n\r\n"
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(said)
            while not over.wait(0.01):
                connection.sendall(again)

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(OSError, match="takes longer"):
                fetched(f"http://127.0.0.1:{listener.getsockname()[1]}/jwks", whole_s=0.2)
        finally:
            over.set()
            thread.join(60)
