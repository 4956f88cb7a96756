"""HTTP as a client, against servers on this machine: who is shown which secret, and what never lasts for ever."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from podium.artifacts.remote.wire import Access, Unreachable, Wire, origin_of

SECRET = "hunter2"


class Site:
    """A server that answers by path, and keeps the headers that it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                site.answers.get(self.path, answered(b"here"))(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def answered(body: bytes, status: int = 200, announced: int | None = None, **headers: str) -> Callable[..., None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if announced is None else announced))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    """The one that the user configured, and another."""
    both = Site(), Site()
    yield both
    for site in both:
        site.close()


def wire_to(site: Site, timeout_s: float = 120.0) -> Wire:
    return Wire(Access(frozenset({origin_of(site.url)}), "me", SECRET, workspace="ours"), timeout_s)


def test_secrets_go_to_the_configured_place_and_to_no_other(sites):
    ours, theirs = sites
    wire = wire_to(ours)

    for site in sites:
        with wire.get(f"{site.url}/x") as reply:
            assert reply.content() == b"here"

    assert ours.seen[0][1]["authorization"] == "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert ours.seen[0][1]["x-mlflow-workspace"] == "ours"
    assert {"authorization", "x-mlflow-workspace"} & theirs.seen[0][1].keys() == set()


def test_a_redirect_takes_no_secret_along(sites):
    """Neither ours nor what the caller added for that server; the range that is asked for goes along."""
    ours, theirs = sites
    ours.answers["/x"] = answered(b"", 302, Location=f"{theirs.url}/y")

    with wire_to(ours).get(f"{ours.url}/x", {"Range": "bytes=5-", "X-Token": SECRET}) as reply:
        assert (reply.status, reply.url) == (200, f"{theirs.url}/y")

    assert ours.seen[0][1]["x-token"] == SECRET
    assert theirs.seen[0][1]["range"] == "bytes=5-"
    assert SECRET not in str(theirs.seen)
    assert "authorization" not in theirs.seen[0][1]


def test_redirects_in_a_circle_come_to_an_end(sites):
    ours, _ = sites
    ours.answers["/x"] = answered(b"", 302, Location="/x")

    with pytest.raises(Unreachable, match="redirects"), wire_to(ours).get(f"{ours.url}/x"):
        pytest.fail("it answered")


def test_a_question_is_not_redirected(sites):
    """It may carry what is only for the server that was asked."""
    ours, theirs = sites
    ours.answers["/x"] = answered(b"", 307, Location=f"{theirs.url}/y")

    assert wire_to(ours).ask("GET", f"{ours.url}/x") == (307, None)
    assert theirs.seen == []


def test_what_ends_early_is_no_answer(sites):
    """Ten bytes announced, four sent."""
    ours, _ = sites
    ours.answers["/x"] = answered(b"only", announced=10, Connection="close")

    with wire_to(ours).get(f"{ours.url}/x") as reply, pytest.raises(Unreachable, match="in the middle of its answer"):
        reply.content()


def test_an_answer_that_is_larger_than_asked_for_is_not_kept(sites):
    ours, _ = sites
    ours.answers["/x"] = answered(b"x" * 1000)

    with wire_to(ours).get(f"{ours.url}/x") as reply, pytest.raises(Unreachable, match="more than 100 bytes"):
        reply.content(100)


def test_a_server_that_never_answers_is_given_up(sites):
    """And its address is told without the password in it."""
    ours, _ = sites
    release = threading.Event()
    ours.answers["/x"] = lambda _: release.wait(120) and None
    host = ours.url.removeprefix("http://")

    with pytest.raises(Unreachable) as caught, wire_to(ours, 0.2).get(f"http://me:{SECRET}@{host}/x"):
        pytest.fail("it answered")

    release.set()
    assert host in caught.value.message
    assert SECRET not in caught.value.message


def test_what_is_under_way_can_be_ended_from_another_thread(sites):
    """Long before its time is over; and nothing is asked afterwards."""
    ours, theirs = sites
    wire, release, asked = wire_to(ours), threading.Event(), threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        asked.set()
        release.wait(120)

    ours.answers["/x"] = hang
    ending = threading.Thread(target=lambda: asked.wait(60) and wire.abort())
    ending.start()
    begun = time.monotonic()

    with pytest.raises(Unreachable), wire.get(f"{ours.url}/x"):
        pytest.fail("it answered")

    assert time.monotonic() - begun < 60
    release.set()
    ending.join(60)
    with pytest.raises(Unreachable, match="podium is stopping"), wire.get(f"{theirs.url}/x"):
        pytest.fail("it answered")
    assert theirs.seen == []


def test_access_shows_no_secret_of_its_own():
    assert SECRET not in repr(Access(username="me", password=SECRET, token=SECRET))
