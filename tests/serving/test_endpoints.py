"""Several endpoints behind one gateway: each path to its own, and none waits for another."""

import pytest

from podium.domain.traffic import RoutingTable, Target, table_to_json
from podium.transport.messages import Acknowledge, Publish

JSON = {"Content-Type": "application/json"}
BODY = b'{"inputs": [1]}'


def publish(server, endpoints, hopeless=()):
    """Endpoint → ids of its replicas; the first one is the default."""
    server.epoch += 1
    targets = {name: (Target("1", 100, tuple(ids)),) if ids else () for name, ids in endpoints.items()}
    table = RoutingTable(server.epoch, targets, next(iter(endpoints)), frozenset(hopeless))
    server.gateway.control.send(Publish(table_to_json(table), is_ready=True))
    assert Acknowledge(server.epoch) == server.gateway.expect(Acknowledge)


@pytest.fixture
def two(start):
    """`iris`, the default, is answered by replica 1, `wine` by replica 2."""
    server = start(pending_s=60.0)
    for replica, name in ((1, "iris"), (2, "wine")):
        server.add(replica, series=replica, endpoint=name).serve(f'{{"predictions": ["{name}"]}}'.encode())
    publish(server, {"iris": [1], "wine": [2]})
    return server


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/invocations", "iris"),
        ("/models/iris/invocations", "iris"),
        ("/models/wine/invocations", "wine"),
        ("/endpoints/wine/invocations", "wine"),
        ("/models/w%69ne/invocations?x=1", "wine"),
    ],
)
@pytest.mark.parametrize("headers", [JSON, {**JSON, "X-Request-ID": "mine"}, {"Content-Type": "text/csv"}])
def test_each_path_is_answered_by_its_endpoint(two, until, path, name, headers):
    """Whichever way the body goes; the answer says whose it is, and it is counted there."""
    answer = two.ask("POST", path, BODY, headers)

    assert (answer.status, answer.json, answer.headers["x-podium-model"]) == (200, {"predictions": [name]}, name)
    until(lambda: any(two.counted({"iris": 1, "wine": 2}[name])), "it is counted")
    assert not any(two.counted({"iris": 2, "wine": 1}[name]))


@pytest.mark.parametrize("path", ["/models/nope/invocations", "/endpoints/nope/invocations"])
def test_an_unknown_name_gets_404_and_the_names_that_there_are(two, path):
    """In the protocol's shape, as every error of a scoring request."""
    answer = two.ask("POST", path, BODY, JSON)

    assert (answer.status, answer.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert answer.json["message"] == "No model is served here as nope. These are: iris, wine."


@pytest.mark.parametrize("path", ["/models//invocations", "/models/a/b/invocations", "/models/iris/other"])
def test_a_path_that_names_no_endpoint_is_none(two, path):
    """A name has no slash and is not empty."""
    assert two.ask("POST", path, BODY, JSON).status == 404


def test_each_endpoint_says_whether_it_answers(two):
    """And what is none says which there are."""
    publish(two, {"iris": [1], "wine": []})

    assert [two.get(f"/models/{name}/ready").status for name in ("iris", "wine", "nope")] == [200, 503, 404]
    assert two.get("/models/iris/ready", "HEAD").status == 200
    assert two.ask("POST", "/models/iris/ready", b"").status == 405


def test_who_waits_for_one_endpoint_does_not_hold_up_another(start):
    """The first in line is for an endpoint without replicas; the second is served when its own has one."""
    server = start(pending_s=60.0)
    publish(server, {"iris": [], "wine": []})
    server.soon(lambda: server.ask("POST", "/models/iris/invocations", BODY, JSON))
    second = server.soon(lambda: server.ask("POST", "/models/wine/invocations", BODY, JSON))
    third = server.soon(lambda: server.ask("POST", "/models/wine/invocations", BODY, JSON))

    server.add(2, series=2, endpoint="wine").serve()
    publish(server, {"iris": [], "wine": [2]})

    assert (second.result().status, third.result().status) == (200, 200)


def test_a_full_line_of_one_endpoint_refuses_nobody_else(start):
    """Each has a line of its own, within the same bounds."""
    server = start(pending_s=60.0, max_pending=0)
    server.add(2, series=2, endpoint="wine").serve()
    publish(server, {"iris": [], "wine": [2]})

    refused = server.ask("POST", "/models/iris/invocations", BODY, JSON)

    assert (refused.status, server.ask("POST", "/models/wine/invocations", BODY, JSON).status) == (503, 200)


def test_nobody_waits_for_an_endpoint_that_nothing_will_serve(two):
    """Its model did not load: 503 at once, where others would wait for a minute."""
    publish(two, {"iris": [1], "wine": []}, hopeless=["wine"])

    answer = two.ask("POST", "/models/wine/invocations", BODY, JSON)

    assert (answer.status, answer.json["message"]) == (503, "The model did not load; the server's status says why.")
    assert two.score().status == 200


def test_what_reached_no_version_is_counted_under_no_name(two, until):
    """Of several endpoints nobody knows which one it was for."""
    two.ask("POST", "/models/nope/invocations", BODY, JSON)

    line = 'podium_requests_total{model="",version="",code="404"} 1'
    until(lambda: line in two.get("/metrics").body.decode().splitlines(), "it is counted")
