"""Which version a key gets: evenly, the same everywhere, and only ever moving towards what grows."""

import hashlib
import json

import pytest

from podium.domain.traffic import (
    Place,
    RoutingTable,
    Rules,
    Shadow,
    Sticky,
    Target,
    Way,
    pick,
    point_of,
    table_from_json,
    table_to_json,
)
from podium.errors import Misconfigured

KEYS = [f"customer-{number}" for number in range(20_000)]
POINTS = {key: point_of("iris", "", key) for key in KEYS}


def split(**weights):
    """`_7=95` is version 7 with weight 95."""
    return tuple(Target(name.strip("_"), weight, (number,)) for number, (name, weight) in enumerate(weights.items()))


def versions(targets):
    return {key: pick(targets, Way(POINTS[key])).version for key in KEYS}


def test_the_point_is_what_the_documentation_says():
    """Anybody can work out in any language who gets what."""
    digest = hashlib.blake2b(b"iris\0\0customer-1", digest_size=8).digest()

    assert point_of("iris", "", "customer-1") == int.from_bytes(digest, "big") * 100 // 2**64


def test_points_are_even():
    """Each of the hundred within five standard deviations, for keys that differ in a digit only."""
    counts = [list(POINTS.values()).count(point) for point in range(100)]

    assert min(counts) > 200 - 5 * 14
    assert max(counts) < 200 + 5 * 14


def test_weights_hold():
    """A share of 5 in a hundred is 5 in a hundred, within four standard deviations."""
    given = list(versions(split(_7=95, _8=5)).values()).count("8")

    assert abs(given - 1000) < 4 * (20_000 * 0.05 * 0.95) ** 0.5


def test_a_growing_weight_only_moves_keys_towards_the_candidate():
    """From 1 to 5, 25, 60 and 100: whoever had 8 keeps it, also where a split stands beside."""
    for beside in ({}, {"_9": 10}):
        before = {}
        for percent in (0, 1, 5, 25, 60, 100 - sum(beside.values())):
            now = versions(split(_7=100 - percent - sum(beside.values()), _8=percent, **beside))
            moved = {(before.get(key, version), version) for key, version in now.items()}
            assert {pair for pair in moved if pair[0] != pair[1]} <= {("7", "8")}
            before = now


def test_endpoints_and_rollouts_choose_other_keys():
    """Who tries one canary does not have to try them all."""
    first = {key for key in KEYS if POINTS[key] >= 90}
    again = {key for key in KEYS if point_of("iris", "8", key) >= 90}
    elsewhere = {key for key in KEYS if point_of("wine", "", key) >= 90}

    assert len(first & again) < 0.2 * len(first)
    assert len(first & elsewhere) < 0.2 * len(first)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (Way(0), "7"),
        (Way(94), "7"),
        (Way(95), "8"),
        (Way(0, "8"), "8"),
        (Way(99, "7"), "7"),
        (Way(0, "9"), "7"),
        (Way(99, "9"), "8"),
        (Way(0, "gone"), "7"),
        (Way(0, "9", True), "9"),
        (Way(0, "gone", True), None),
    ],
    ids=[
        "first",
        "last of the first",
        "first of the second",
        "echoed",
        "echoed back",
        "dark is not for echoes",
        "dark, by its point",
        "gone",
        "named",
        "named and gone",
    ],
)
def test_the_way_decides(way, expected):
    """An echo counts while its version has traffic; a name binds, also to what has none."""
    found = pick(split(_7=95, _8=5, _9=0), way)

    assert expected == (found and found.version)


def test_nothing_that_serves_is_nothing_to_pick():
    assert pick((), Way(5)) is None


def test_a_table_survives_the_control_socket():
    """With rules of every kind, and with none."""
    rules = {
        "iris": Rules(Sticky(Place.COOKIE, "session"), "8", True, Shadow("9", 50, 0.1), True),
        "wine": Rules(),
    }
    table = RoutingTable(
        7, {"iris": split(_7=95, _8=5), "wine": split(_1=100), "new": ()}, "iris", frozenset(["new"]), rules
    )

    assert table_from_json(json.loads(json.dumps(table_to_json(table)))) == table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("header:X-User", Sticky(Place.HEADER, "x-user")),
        ("cookie:Session", Sticky(Place.COOKIE, "Session")),
        ("field: customer id", Sticky(Place.FIELD, "customer id")),
    ],
)
def test_what_is_shared_is_read(text, expected):
    assert expected == Sticky.parse(text)


@pytest.mark.parametrize("text", ["", "header", "header:", "query:a", "X-User", "field:a\nb"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(Misconfigured, match="header:NAME"):
        Sticky.parse(text)
