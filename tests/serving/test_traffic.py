"""Several versions of one endpoint at once: who gets which, by weight, key, echo and name."""

import contextlib
import threading

import pytest

from podium.domain.inputs.plan import Field, InputPlan
from podium.domain.traffic import Place, Rules, Sticky, point_of
from podium.telemetry.metrics import PREDICTIONS, REQUESTS

ENDPOINT = "iris"
PAIRS = InputPlan("tensor", (Field(None, "float64", (2,)),)).to_json()


def two(start, first=50, gateways=1, rules=None, **settings):
    """A server whose versions 1 and 2 answer at once."""
    server = start(gateways=gateways, **settings)
    for gateway in range(gateways):
        for replica, version in ((1, "1"), (2, "2")):
            server.add(replica, version=version, series=replica, gateway=gateway).serve()
        server.publish({"1": (first, [1]), "2": (100 - first, [2])}, gateway=gateway, rules=rules)
        server.epoch -= gateway < gateways - 1
    return server


def version(answer):
    assert answer.status == 200
    return answer.headers["x-podium-version"]


def test_a_key_in_a_header_keeps_its_version_at_every_gateway(start):
    """The version is what the formula says, whichever process answers."""
    server = two(start, gateways=2, rules=Rules(Sticky(Place.HEADER, "x-user"), salt="2"))

    for user in map(str, range(40)):
        expected = "1" if point_of(ENDPOINT, "2", user) < 50 else "2"
        assert {version(server.score(X_User=user)) for _ in range(3)} == {expected}


def test_a_key_in_a_cookie_keeps_its_version(start):
    server = two(start, rules=Rules(Sticky(Place.COOKIE, "session")))

    for user in map(str, range(20)):
        expected = "1" if point_of(ENDPOINT, "", user) < 50 else "2"
        assert version(server.score(Cookie=f'a=b; session="{user}"; c')) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataframe_split": {"columns": ["a", "user"], "data": [[1, %d]]}}',
        b'{"dataframe_records": [{"user": %d}]}',
        b'{"inputs": {"user": [%d]}}',
        b'{"instances": [{"user": "%d"}]}',
        b'{"inputs": [1], "params": {"user": %d}}',
        b'{"messages": [NaN], "user": "%d"}',
        b'{"inputs": [{"name": "user", "datatype": "INT64", "shape": [1], "data": [%d]}]}',
    ],
)
def test_a_key_in_the_body_keeps_its_version_whatever_its_form(start, body):
    """A number and the text of its digits are one key."""
    server = two(start, rules=Rules(Sticky(Place.FIELD, "user")))

    for user in range(12):
        expected = "1" if point_of(ENDPOINT, "", str(user)) < 50 else "2"
        assert version(server.score(body % user)) == expected


def test_a_request_without_the_key_goes_by_its_own_id(start):
    """Nobody is refused for it, and the weights hold."""
    server = two(start, rules=Rules(Sticky(Place.FIELD, "user")))

    assert {version(server.score(body)) for body in [b'{"inputs": [1]}'] * 30 + [b"odd"] * 5} == {"1", "2"}


def test_the_echoed_route_pins_a_client(start):
    """What an answer says as its route, a request may say again; other endpoints' routes may stand beside."""
    server = two(start)

    for _ in range(4):
        first = server.score()
        route = first.headers["x-podium-route"]
        assert route == f"{ENDPOINT}/{version(first)}"
        assert {version(server.score(X_Podium_Route=f"wine/9, {route}")) for _ in range(8)} == {version(first)}


def test_a_route_that_is_gone_is_a_new_one(start):
    """A version that has no traffic any more, or never had: the weights decide, and the answer tells the new route."""
    server = two(start)
    expected = [("1", "2")[point_of(ENDPOINT, "", f"r{step}") >= 50] for step in range(24)]
    for route in ("iris/9", "iris/", "/", "wine/1", "x" * 5000, "iris/1/2"):
        found = [version(server.score(X_Podium_Route=route, X_Request_ID=f"r{step}")) for step in range(24)]
        assert found == expected
    assert set(expected) == {"1", "2"}

    server.publish({"1": (100, [1]), "2": (0, [2])})
    found = server.score(X_Podium_Route="iris/2")

    assert (version(found), found.headers.get("x-podium-route")) == ("1", None)


def test_a_server_with_one_version_says_nothing_of_routes(server):
    server.workers[0].serve()

    assert "x-podium-route" not in server.score().headers


def test_a_tester_names_a_version_also_a_dark_one(start):
    """Where the endpoint allows it; nobody else gets there, and its answers tell no route to it."""
    server = two(start, first=100, rules=Rules(allows_naming=True))

    named = server.score(X_Podium_Version="2")

    assert (version(named), named.headers.get("x-podium-route")) == ("2", None)
    assert {version(server.score()) for _ in range(30)} == {"1"}
    assert {version(server.score(X_Podium_Route="iris/2")) for _ in range(10)} == {"1"}


def test_a_name_that_is_not_loaded_is_refused_with_those_that_are(start):
    server = two(start, rules=Rules(allows_naming=True))

    found = server.score(X_Podium_Version="7")

    assert (found.status, found.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "These do: 1, 2." in found.json["message"]


def test_a_name_is_refused_where_it_is_not_allowed(start):
    """It is not passed over, for a tester would be deceived; what has traffic may be named by everybody."""
    server = two(start, first=100)

    found = server.score(X_Podium_Version="2")

    assert (found.status, found.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert version(server.score(X_Podium_Version="1")) == "1"


def test_a_name_where_nothing_serves_yet_is_to_be_said_again(start):
    """The endpoint loads, or wakes: there may be such a version in a moment."""
    server = start()
    server.publish({}, rules=Rules(allows_naming=True))

    assert server.score(X_Podium_Version="2").status == 503


def test_a_named_version_is_not_replaced_by_another(start):
    """Its replica is gone: 503, and no answer of another version under its name."""
    server = start()
    server.add(1).serve()
    server.publish({"1": (100, [1]), "2": (0, [2])}, rules=Rules(allows_naming=True))

    found = server.score(X_Podium_Version="2")

    assert (found.status, found.headers["retry-after"]) == (503, "1")


def test_a_candidate_that_dies_takes_no_request_with_it(start):
    """What it had is sent to the first version; it never sees a failure."""
    server = start()
    server.add(1).serve()
    dying = server.add(2, version="2", series=2)
    server.publish({"1": (0, [1]), "2": (100, [2])})
    soon = [server.score_soon() for _ in range(5)]
    taken = [dying.take() for _ in range(5)]
    dying.announce(*taken[:2])

    dying.die()

    assert [version(each.result()) for each in soon] == ["1"] * 5


def test_what_is_full_does_not_spill_over_to_a_candidate(start):
    """Its weight is the most that it gets: the first version's clients are told to come again."""
    server = start()
    full = server.add(1)
    server.add(2, version="2", series=2).serve()
    server.publish({"1": (100, [1]), "2": (0, [2])})
    soon = server.score_soon()

    full.refuse(full.take(), 2)

    assert soon.result().status == 429


def test_weights_hold_at_a_gateway(start, until):
    """A quarter, within seven standard deviations, and both versions count their own."""
    server = two(start, first=75)
    wanted = 400

    for _ in range(wanted):
        server.score()

    cell = REQUESTS.cell("200")
    until(
        lambda: server.counted(1)[cell] + server.counted(2)[cell] == wanted, "each to be counted, which follows its answer"
    )
    second = server.counted(2)[cell]
    assert abs(second - wanted / 4) < 7 * (wanted * 0.25 * 0.75) ** 0.5


def test_predictions_are_counted_while_versions_are_compared_and_not_before(start, until):
    """One cell for each answer, the same for the same prediction of either version."""
    server = two(start, rules=Rules())
    server.score()
    assert sum(server.counted(1)[PREDICTIONS.offset :][:32] + server.counted(2)[PREDICTIONS.offset :][:32]) == 0
    server.publish({"1": (50, [1]), "2": (50, [2])}, rules=Rules(is_compared=True))

    for _ in range(20):
        server.score()

    def cells():
        return [server.counted(series)[PREDICTIONS.offset :][:32] for series in (1, 2)]

    until(lambda: sum(map(sum, cells())) == 20, "each to be counted, which follows its answer")
    assert {number for each in cells() for number, count in enumerate(each) if count} == {1}


def test_a_version_that_is_asked_the_long_way_has_its_part(start):
    """One reads requests by its plan, the other takes them as they come: who leaves the quick way draws no other lot."""
    server = start()
    planned = server.add(1, version="1", series=1, plan=PAIRS)
    server.add(2, version="2", series=2).serve()
    server.publish({"1": (50, [1]), "2": (50, [2])})

    def work():
        with contextlib.suppress(OSError, AssertionError):
            planned.sock.settimeout(None)
            while True:
                planned.answer(planned.take_group(), b'{"predictions": [1]}')

    threading.Thread(target=work, daemon=True).start()
    found = [version(server.score(b'{"inputs": [[1.0, 2.5]]}')) for _ in range(600)]

    # Seven deviations below its part; a second lot would give it a hundred and fifty.
    assert found.count("2") > 214
