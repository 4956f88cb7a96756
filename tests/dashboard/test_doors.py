"""Doors and shield: who may look, and what a browser may do with what it gets."""

import hashlib
import re

import pytest
from site_asking import ask

from podium.access.keys import KeyFile
from podium.dashboard.app import site
from podium.dashboard.doors import SESSION_S, Doorkeeper, is_loopback, is_ours
from podium.dashboard.shield import POLICY
from podium.dashboard.sources import DashboardSources
from podium.serving.guard.known import KeysKnown
from podium.settings.home import Home


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guarded(tmp_path, clock):
    """A site that asks for keys, reachable by any name."""
    home = Home(tmp_path).create()
    return site(DashboardSources(home), Doorkeeper(KeysKnown(home.keys), clock), is_local=False), KeyFile(home.keys)


def test_without_a_key_nothing_is_shown_but_where_to_give_one(guarded):
    """A person is asked to sign in, a program is told."""
    app, _ = guarded
    for address in ("/", "/registry", "/system?panel=settings&as=json", "/registry/fraud"):
        answered = ask(app, address)
        assert answered.status in {303, 401}
        assert "home" not in answered.text
    assert ask(app, "/system").headers["location"] == "/sign-in?next=%2Fsystem"
    assert ask(app, "/system", accept="application/json").status == 401
    assert ask(app, "/sign-in").status == 200


@pytest.mark.parametrize("scope", ["read", "admin"])
def test_a_key_that_may_read_opens_in_either_header(guarded, scope):
    """As a server's guard takes it."""
    app, keys = guarded
    _, secret = keys.create([scope], 0.0)

    assert ask(app, "/", x_api_key=secret).status == 200
    assert ask(app, "/", authorization=f"Bearer {secret}").status == 200
    assert ask(app, "/", authorization=f"Bearer {secret}", x_api_key=secret).status != 200


def test_one_credential_is_taken_of_a_request(guarded):
    """Two of one header, as whoever stands between might have looked at the other."""
    app, keys = guarded
    _, secret = keys.create(["read"], 0.0)

    async def twice(scope, receive, send):
        own = (b"x-api-key", secret.encode())
        await app({**scope, "headers": [*scope["headers"], own, own]}, receive, send)

    assert ask(app, "/", x_api_key=secret).status == 200
    assert ask(twice, "/").status != 200


def test_a_key_of_a_model_does_not_open(guarded):
    """Whoever may score need not see everything."""
    app, keys = guarded
    _, secret = keys.create(["score:*"], 0.0)

    assert ask(app, "/", x_api_key=secret).status == 403


def test_a_session_ends_with_its_time_its_key_and_its_sign_out(guarded, clock):
    """Its cookie is worth nothing then."""
    app, keys = guarded

    def signed_in() -> tuple[str, str]:
        key, secret = keys.create(["read"], 0.0)
        answered = ask(app, "/sign-in", "POST", f"key={secret}&next=/system".encode())
        assert (answered.status, answered.headers["location"]) == (303, "/system")
        assert secret not in str(answered.cookies)
        [cookie] = answered.cookies
        assert all(word in cookie.lower() for word in ("httponly", "samesite=lax", "path=/"))
        return key.id, cookie.partition(";")[0]

    key, cookie = signed_in()
    assert ask(app, "/", cookie=cookie).status == 200
    keys.revoke(key, 1.0)
    assert ask(app, "/", cookie=cookie).status == 303

    _, cookie = signed_in()
    ask(app, "/sign-out", "POST", cookie=cookie)
    assert ask(app, "/", cookie=cookie).status == 303

    _, cookie = signed_in()
    clock.now += SESSION_S
    assert ask(app, "/", cookie=cookie).status == 303


def test_a_wrong_key_begins_no_session(guarded):
    """Nor does what is no key, or too much."""
    app, _ = guarded
    for body in (b"key=podium_000000000000_" + b"A" * 43, b"key=", b"", b"\xff=\xff", b"key=" + b"x" * 100_000):
        answered = ask(app, "/sign-in", "POST", body)
        assert answered.status == 401
        assert not answered.cookies


@pytest.mark.parametrize(
    "back", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\r\nx: y", "é"]
)
def test_no_way_back_leads_to_a_stranger(guarded, back):
    """What is no address of this site becomes its first page."""
    app, _ = guarded
    from urllib.parse import quote

    assert ask(app, f"/theme?to=dark&back={quote(back)}").headers["location"] == "/"


def test_another_sites_page_cannot_send_a_form(guarded):
    """Neither one that says where it comes from nor one whose browser does."""
    app, _ = guarded
    assert ask(app, "/sign-out", "POST", origin="https://evil.example").status == 403
    assert ask(app, "/sign-out", "POST", sec_fetch_site="cross-site").status == 403
    assert ask(app, "/sign-out", "POST", sec_fetch_site="same-site").status == 403
    assert ask(app, "/sign-out", "POST", origin="http://127.0.0.1:8080", sec_fetch_site="same-origin").status == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::2]:1"]
)
def test_a_name_that_was_bent_to_this_machine_gets_nothing(shown, host):
    """DNS rebinding: the browser believes that it asks its own site."""
    assert ask(shown, "/registry?panel=models&as=json", host=host).status == 421


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:9", "[::1]:80", "127.1.2.3", "podium.localhost:1"]
)
def test_this_machines_own_names_are_answered(host):
    """With and without a port."""
    assert is_ours(host)


def test_a_proxy_of_any_name_may_stand_in_front_of_one_that_asks_for_keys(guarded):
    """Whose page has bent its name has no key."""
    app, keys = guarded
    _, secret = keys.create(["read"], 0.0)

    assert ask(app, "/", host="dashboard.example", x_api_key=secret).status == 200
    assert ask(app, "/", host="dashboard.example").status == 303


def test_only_loopback_is_loopback():
    """What reaches the network asks for keys."""
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", ""))


@pytest.mark.parametrize(
    "address", ["/", "/nothing", "/static/podium.js", "/?panel=models&as=csv", "/sign-in", "/theme?to=dark"]
)
def test_every_answer_carries_the_policy(shown, address):
    """Also what is not found, and what is sent elsewhere."""
    headers = ask(shown, address).headers

    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_pages_are_not_kept_and_what_is_static_is(shown):
    """By an address that changes with its content."""
    page = ask(shown, "/")
    [static] = set(re.findall(r"/static/podium\.css\?v=(\w+)", page.text))

    assert page.headers["cache-control"] == "no-store"
    assert "immutable" in ask(shown, f"/static/podium.css?v={static}").headers["cache-control"]
    assert len(static) == len(hashlib.sha256().hexdigest()[:12])


def test_a_method_that_changes_something_changes_nothing(shown):
    """There is nothing to be changed."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert ask(shown, "/registry/fraud", method).status == 405
