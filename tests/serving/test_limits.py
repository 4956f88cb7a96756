"""A gateway that counts: rates of keys, addresses and models, shares of what is held, deadlines and priorities."""

import math
import time

import pytest

from podium.access.keys import KeyFile
from podium.domain.traffic import RoutingTable, Target, table_to_json
from podium.transport import frames
from podium.transport.messages import Acknowledge, Publish


def two_models(server) -> None:
    """Publish `iris` on replica 1 and `wine` on replica 2, which the test plays."""
    for replica, endpoint in ((1, "iris"), (2, "wine")):
        server.add(replica, endpoint=endpoint)
    endpoints = {name: (Target("1", 100, (replica,)),) for name, replica in (("iris", 1), ("wine", 2))}
    server.gateway.control.send(Publish(table_to_json(RoutingTable(1, endpoints, "iris")), True))
    server.gateway.expect(Acknowledge)


def statuses(server, count: int, path: str = "/version", **headers: str) -> list[int]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return [server.ask("GET", path, headers=sent).status for _ in range(count)]


def test_a_rate_is_one_for_all_gateways_of_a_server(start):
    """Five tokens an hour for one address: whichever gateway is asked, there are five."""
    server = start(gateways=2, clients={"rate_per_address": "5/h"})
    server.publish()
    server.publish(gateway=1)

    found = [server.get("/version") for _ in range(12)]

    assert sorted(answer.status for answer in found) == [200] * 5 + [429] * 7


def test_each_answer_says_what_is_left_and_a_refusal_when_to_come_back(start):
    server = start(clients={"rate_per_address": "2/h"})
    server.publish()

    began = time.monotonic()
    first, second, third = (server.get("/version") for _ in range(3))
    passed = math.ceil(time.monotonic() - began)

    fields = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    assert [first.headers[name] for name in fields] == ["2", "1", "1800"]
    assert [second.headers[name] for name in fields[:2]] == ["2", "0"]
    assert 3600 - passed <= int(second.headers["ratelimit-reset"]) <= 3600
    assert third.status == 429
    assert third.json["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert "retry-after" not in second.headers
    assert third.headers["ratelimit-remaining"] == "0"
    assert 1800 - passed <= int(third.headers["retry-after"]) <= 1800


def test_probes_count_against_nothing(start):
    server = start(clients={"rate_per_address": "1/h"})
    server.publish()

    assert statuses(server, 3, "/ping") == [200] * 3
    assert statuses(server, 2) == [200, 429]


def test_each_key_has_a_bucket_of_its_own_and_requests_without_one_none(start, tmp_path, until):
    """Whoever has no key takes nothing from those who have."""
    keys = KeyFile(tmp_path / "keys.json")
    first, second = (keys.create(["read"], time.time())[1] for _ in range(2))
    access = {"requires_keys": True, "key_file": str(keys.path)}
    server = start(access=access, clients={"rate_per_key": "2/h"})
    server.publish()

    assert statuses(server, 3) == [401] * 3
    assert statuses(server, 3, X_API_Key=first) == [200, 200, 429]
    assert statuses(server, 3, X_API_Key=second) == [200, 200, 429]


def test_wrong_keys_are_limited_by_their_address(start, tmp_path):
    """Whoever tries keys is stopped, and a good one from the same place with them."""
    access = {"requires_keys": True, "key_file": str(tmp_path / "keys.json")}
    server = start(access=access, clients={"rate_per_address": "3/h"})
    server.publish()

    assert statuses(server, 5, X_API_Key="podium_000000000000_" + "A" * 43) == [401] * 3 + [429] * 2


def test_a_model_with_a_limit_of_its_own_leaves_the_others_theirs(start):
    """Its rate and its largest body hold for it alone, on every path that leads to it."""
    server = start(models={"wine": {"rate_per_model": "2/h", "max_body_per_model": 20}})
    two_models(server)
    for worker in server.workers:
        worker.serve()
    json = {"Content-Type": "application/json"}

    wine = [server.ask("POST", "/models/wine/invocations", b'{"inputs": [1]}', json) for _ in range(3)]
    iris = [server.ask("POST", path, b"x" * 21, json) for path in ("/invocations", "/models/iris/invocations") * 2]
    too_large = start(models={"iris": {"max_body_per_model": 20}})
    too_large.add(1).serve()
    too_large.publish()

    assert [answer.status for answer in wine] == [200, 200, 429]
    assert "the model wine" in wine[2].json["message"]
    assert [answer.status for answer in iris] == [200] * 4
    assert too_large.score(b"x" * 20).status == 200
    refused = too_large.score(b"x" * 21)
    assert (refused.status, refused.json["error_code"]) == (413, "REQUEST_TOO_LARGE")
    assert "20 bytes" in refused.json["message"]


def test_a_models_flood_leaves_room_for_the_others(start, until):
    """Of twelve places one model alone gets six; the other one still finds a place, at once."""
    server = start(max_in_flight=12)
    two_models(server)
    iris, wine = server.workers
    wine.serve()
    flood = [server.score_soon() for _ in range(12)]

    refused = until(lambda: (done := [each for each in flood if each.is_done]) and len(done) == 6 and done, "six refusals")

    assert [each.result().status for each in refused] == [429] * 6
    assert "share" in refused[0].result().json["message"]
    other = server.ask("POST", "/models/wine/invocations", b'{"inputs": [1]}', {"Content-Type": "application/json"})
    assert other.status == 200
    for _ in range(6):
        iris.reply(iris.take())
    assert sorted(each.result().status for each in flood) == [200] * 6 + [429] * 6


def test_what_was_answered_is_counted_out_again(start):
    """However requests end, their places are free: answered, refused, given up by their client."""
    server = start(max_in_flight=2)
    server.add(1)
    server.publish()
    worker = server.workers[0]
    for _ in range(3):
        soon = [server.score_soon(), server.score_soon()]
        taken = [worker.take(), worker.take()]
        assert server.score().status == 429
        for request in taken:
            worker.reply(request)
        assert [each.result().status for each in soon] == [200, 200]


def test_requests_of_low_priority_give_way_first(start):
    """At half of the bound they are refused, and others are not; a word that is none is an error."""
    server = start(max_in_flight=4)
    server.add(1)
    server.publish()
    worker = server.workers[0]
    held = [server.score_soon(), server.score_soon()]
    taken = [worker.take(), worker.take()]

    low = server.score(x_podium_priority="low")
    normal = server.score_soon(x_podium_priority="normal")
    taken.append(worker.take())
    for request in taken:
        worker.reply(request)

    assert (low.status, low.headers["retry-after"]) == (429, "1")
    assert "low priority" in low.json["message"]
    assert [each.result().status for each in [*held, normal]] == [200] * 3
    assert server.score(x_podium_priority="high").status == 400


def test_a_client_may_wait_for_less_but_not_for_longer(start):
    """The worker hears of the nearer deadline; at that time the client has its 504, whatever the worker does."""
    server = start(timeout_s=300)
    server.add(1)
    server.publish()
    worker = server.workers[0]
    before = time.monotonic_ns()

    short = server.score_soon(x_podium_timeout_ms="300")
    request = worker.take()
    answer = short.result()
    assert worker.frame().kind == frames.CANCEL
    long = server.score_soon(x_podium_timeout_ms="3600000")
    other = worker.take()
    worker.reply(other)

    assert before + 0.3e9 <= request.deadline_ns <= time.monotonic_ns()
    assert (answer.status, answer.body) == (504, b"Request processing time exceeded limit")
    assert other.deadline_ns <= time.monotonic_ns() + 300e9
    assert long.result().status == 200


@pytest.mark.parametrize("said", ["", "0", "-5", "1.5", "1e3", "5, 10", "99999999999", "soon", "\u0661"])
def test_a_time_that_is_none_is_refused(server, said):
    """A client that says how long it waits is not left to wait for longer by a slip."""
    server.workers[0].serve()

    assert server.score(x_podium_timeout_ms=said.encode().decode("latin-1")).status == 400
