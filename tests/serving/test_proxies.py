"""A gateway behind proxies and before web pages: whose word counts, what is taken out, who may read."""

import time

import pytest
from access_lines import whole_lines

from podium.access.keys import KeyFile

HERE = "127.0.0.0/8"
ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def proxied(start_shared, tmp_path_factory):
    """Trusts proxies on this machine, also on who asks, and answers ext_authz; `server.key` may read and score iris."""
    folder = tmp_path_factory.mktemp("home")
    keys = KeyFile(folder / "keys.json")
    key = keys.create(["score:iris", "read"], time.time())[1]
    server = start_shared(
        access={
            "requires_keys": True, "key_file": str(keys.path), "trusted_proxies": [HERE], "trusts_identity": True,
            "has_authz": True, "cors_origins": [ORIGIN],
        },
        access_log=str(folder / "access.log"),
        clients={"rate_per_address": "20/h"},
    )  # fmt: skip
    server.add(1).serve()
    server.publish()
    server.key, server.access = key, folder / "access.log"
    return server


def of(server, address: str, path: str = "/version", method: str = "GET", **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask(method, path, headers={"X-Forwarded-For": address} | named)


def test_each_client_of_a_proxy_has_a_rate_of_its_own(proxied, until):
    """And its address in the log; what it invents before the proxy's word changes nothing."""
    key = {"X_API_Key": proxied.key}
    first = [of(proxied, f"1.2.3.{step}, 203.0.113.1", **key).status for step in range(22)]

    assert first == [200] * 20 + [429] * 2
    assert of(proxied, "203.0.113.2", **key).status == 200
    lines = until(lambda: whole_lines(proxied.access), "the log's whole lines")
    assert {"203.0.113.1"} <= {line["client"] for line in lines}


def test_a_proxys_word_on_who_asks_is_taken_where_that_was_said(proxied):
    """With the scopes that it names, and no others."""
    told = {"X_Podium_Principal": "key:1", "X_Podium_Scopes": "read score:wine nonsense"}

    assert of(proxied, "203.0.113.3", "/metrics", **told).status == 200
    assert of(proxied, "203.0.113.3", "/models/iris/ready", **told).status == 200
    assert of(proxied, "203.0.113.3", "/invocations", "POST", **told).status == 403
    assert of(proxied, "203.0.113.3", "/metrics", X_Podium_Scopes="read").status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/authz/invocations", 200),
        ("POST", "/authz/models/iris/invocations", 200),
        ("POST", "/authz/models/wine/invocations", 403),
        ("GET", "/authz/metrics", 200),
        ("DELETE", "/authz/models/iris", 403),
        ("POST", "/authz/v2/repository/models/iris/unload", 403),
        # nginx asks with GET, whatever the client sent: it may have been any of the path's methods.
        ("GET", "/authz/invocations", 200),
        ("GET", "/authz/models/wine/invocations", 403),
        ("GET", "/authz/v2/repository/models/iris/unload", 403),
        ("GET", "/authz/models", 403),
        ("GET", "/authz//metrics", 400),
        ("GET", "/authz/x/../metrics", 400),
        ("GET", "/authz/somebody/elses/path", 200),
        ("GET", "/authz/authz/metrics", 200),
    ],
)
def test_a_proxy_that_asks_is_told_what_the_request_itself_would_be(proxied, method, path, status):
    """200 says who it is and what they may do; what the client said of itself is overwritten."""
    answer = of(
        proxied, "203.0.113.4", path, method, X_API_Key=proxied.key, X_Podium_Principal="root", X_Podium_Scopes="admin"
    )

    assert answer.status == status
    if status == 200:
        assert answer.headers["x-podium-principal"].startswith("key:")
        assert answer.headers["x-podium-scopes"] == "read score:iris"


def test_a_proxy_that_asks_for_somebody_unknown_is_told_the_refusal(proxied):
    """Also where the client says that it is somebody."""
    answer = of(proxied, "203.0.113.5", "/authz/metrics", X_Podium_Principal="root", X_Podium_Scopes="admin read")

    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="podium"')
    probe = of(proxied, "203.0.113.5", "/authz/ping", X_Podium_Principal="root", X_Podium_Scopes="admin")
    assert (probe.status, probe.headers["x-podium-principal"], probe.headers["x-podium-scopes"]) == (200, "", "")


def test_a_page_asks_before_it_asks_and_then_may_read(proxied):
    """The preflight needs no key, and each answer says who may read it: refusals too, or a page could not tell why."""
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    before = proxied.ask("OPTIONS", "/invocations", headers=asked)
    json_type = {"Content-Type": "application/json", "Origin": ORIGIN}
    scored = proxied.ask("POST", "/invocations", b'{"inputs": [1]}', json_type | {"X-API-Key": proxied.key})
    refused = proxied.ask("POST", "/invocations", b"{}", json_type)

    assert before.status == 204
    assert before.headers["access-control-allow-origin"] == ORIGIN
    assert "x-api-key" in before.headers["access-control-allow-headers"]
    assert (scored.status, refused.status) == (200, 401)
    assert scored.headers["access-control-allow-origin"] == refused.headers["access-control-allow-origin"] == ORIGIN
    assert scored.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in scored.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null", "HTTPS://APP.EXAMPLE"],
)
def test_another_page_may_not_read(proxied, origin):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    before = proxied.ask("OPTIONS", "/invocations", headers=asked)
    after = proxied.ask(
        "GET", "/version", headers={"Origin": origin, "X-API-Key": proxied.key, "X-Forwarded-For": "9.9.9.9"}
    )

    assert before.status == 401
    assert {name for answer in (before, after) for name in answer.headers if name.startswith("access-control")} == set()


def test_without_a_setting_nobody_may_read_and_nobody_is_believed(start):
    """Closed by default: no header of CORS, and a forwarded address, a proxy's identity and `/authz/` are nothing."""
    server = start(clients={"rate_per_address": "3/h"})
    worker = server.add(1)
    server.publish()
    worker.serve()
    spoofed = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Podium-Principal": "root"}

    found = [
        server.ask("GET", "/version", headers=spoofed | {"X-Real-IP": str(step), "Origin": ORIGIN}) for step in range(4)
    ]

    assert [answer.status for answer in found] == [200] * 3 + [429]
    assert not any(name.startswith("access-control") for name in found[0].headers)


def test_a_request_id_is_a_trusted_proxys_to_give(start):
    """With proxies named, others' ids are replaced: nobody writes another's id into the logs."""
    server = start(access={"trusted_proxies": ["203.0.113.0/24"]})
    server.add(1).serve()
    server.publish()

    answer = server.score(x_request_id="mine", x_forwarded_for="1.2.3.4")

    assert answer.status == 200
    assert answer.headers["x-request-id"] != "mine"
