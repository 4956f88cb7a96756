"""Which version a request goes to: the routing table, an immutable snapshot with an epoch, and the rules of each endpoint.

A request has a point from 0 to 99, made from its key: the first 8 bytes of BLAKE2b of `endpoint NUL salt NUL key`, as a
big-endian number, times 100, divided by 2^64. The first version of an endpoint has the points from 0 to its weight, the
next one those that follow. So a key has the same version on every node while the weights stand, and a candidate, which
follows the first, grows into the first one's points: no key ever moves from it, or between others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

from podium.errors import Misconfigured

POINTS = 100

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Target:
    """One version that may answer an endpoint's requests.

    Args:
        version: What the answer is labelled with: a registered version (`"7"`), or a digest's start for a folder.
        weight: Share of the traffic, 0 to 100; an endpoint's weights add up to 100. With 0 it gets what names it, and as
            the first of all what no other one can take.
        replicas: Ids of the worker processes that hold this version and are ready. None only for a first one with weight
            0, which is down while others have its traffic.
    """

    version: str
    weight: int
    replicas: tuple[int, ...]


class Place(StrEnum):
    """Where a request says who it is for."""

    HEADER = "header"
    COOKIE = "cookie"
    FIELD = "field"


_PLACES = frozenset(place.value for place in Place)


@dataclass(frozen=True, slots=True)
class Sticky:
    """What requests must share to be answered by the same version.

    Args:
        place: Where it stands.
        name: Of the header, the cookie, or the field of the request's first row.
    """

    place: Place
    name: str

    @classmethod
    def parse(cls, text: str) -> "Sticky":
        """Read `header:X-User`, `cookie:session`, `field:customer_id`.

        Raises:
            Misconfigured: It is none of these.
        """
        place, _, name = text.partition(":")
        name = name.strip()
        if place not in _PLACES or not name or not name.isprintable():
            raise Misconfigured(f"sticky = {text!r}: must be header:NAME, cookie:NAME or field:NAME")
        return cls(Place(place), name.lower() if place == Place.HEADER else name)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A version that gets copies of requests, whose answers nobody waits for.

    Args:
        version: Its label.
        percent: Of the requests that were answered by another version, above 0.
        tolerance: Numbers that differ by no more than this part of the larger one are the same.
    """

    version: str
    percent: int = 100
    tolerance: float = 0.01


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for an endpoint's requests beyond weights.

    Args:
        sticky: What requests must share to get the same version; None takes the request's id, hence each for itself.
        salt: Mixed into the hash: another rollout has other guinea pigs.
        allows_naming: Whether a request may name versions without traffic, too (`x-podium-version`).
        shadow: Who gets copies.
        is_compared: Whether predictions are counted, because versions are compared.
    """

    sticky: Sticky | None = None
    salt: str = ""
    allows_naming: bool = False
    shadow: Shadow | None = None
    is_compared: bool = False


class Way(NamedTuple):
    """Where one request wants to go.

    Args:
        point: From 0 to 99, made from its key.
        version: The version that it had before (`x-podium-route`) or names; None where it has no wish.
        is_bound: It goes to that version or to none.
    """

    point: int = 0
    version: str | None = None
    is_bound: bool = False


ANYWHERE = Way()


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Endpoint to targets. A gateway uses one table at a time, so a request never sees a mixture.

    Args:
        epoch: Grows by one with each publication; a gateway acknowledges it once it routes by it.
        endpoints: Public name to the versions that serve it; an endpoint with no target answers 503.
        default: The endpoint that `/invocations` without a model name goes to.
        hopeless: Endpoints that nothing will serve until something else is wanted; their requests need not wait.
        rules: Of endpoints that have any; each with more than one target has some.
        asleep: Endpoints that nothing serves until somebody asks for them; who has a request for one says so.
    """

    epoch: int
    endpoints: Mapping[str, tuple[Target, ...]]
    default: str
    hopeless: frozenset[str] = frozenset()
    rules: Mapping[str, Rules] = field(default_factory=dict)
    asleep: frozenset[str] = frozenset()

    @property
    def listed(self) -> str:
        """The first of the endpoints, for whoever asked for one that there is not."""
        names = list(self.endpoints)
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"These are: {', '.join(names[:_LISTED])}{more}." if names else "There is none."


def point_of(endpoint: str, salt: str, key: str) -> int:
    """A key's point, from 0 to 99; the formula stands at the top and in the documentation."""
    text = f"{endpoint}\0{salt}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) * POINTS >> 64


def pick(targets: Sequence[Target], way: Way) -> Target | None:
    """The version for a request.

    Args:
        targets: The endpoint's.
        way: Where the request wants to go. A version that it only had before is left once it has no traffic any more.
    Returns: None where nothing serves, or not the version that the request is bound to.
    """
    if way.version is not None:
        for target in targets:
            if target.version == way.version and (target.weight or way.is_bound):
                return target
        if way.is_bound:
            return None
    point = way.point
    for target in targets:
        point -= target.weight
        if point < 0:
            return target
    return targets[0] if targets else None


def table_to_json(table: RoutingTable) -> dict[str, object]:
    """Plain JSON for the control socket."""
    return {
        "epoch": table.epoch,
        "default": table.default,
        "hopeless": sorted(table.hopeless),
        "asleep": sorted(table.asleep),
        "endpoints": {
            name: [{"version": t.version, "weight": t.weight, "replicas": list(t.replicas)} for t in targets]
            for name, targets in table.endpoints.items()
        },
        "rules": {name: asdict(rules) for name, rules in table.rules.items()},
    }


def table_from_json(entry: Mapping[str, Any]) -> RoutingTable:
    """Read `table_to_json`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, Misconfigured: It is none.
    """
    endpoints = {
        str(name): tuple(
            Target(str(target["version"]), int(target["weight"]), tuple(int(replica) for replica in target["replicas"]))
            for target in targets
        )
        for name, targets in entry["endpoints"].items()
    }
    hopeless = frozenset(str(name) for name in entry.get("hopeless", ()))
    rules = {str(name): _rules_from_json(each) for name, each in entry.get("rules", {}).items()}
    asleep = frozenset(str(name) for name in entry.get("asleep", ()))
    return RoutingTable(int(entry["epoch"]), endpoints, str(entry["default"]), hopeless, rules, asleep)


def _rules_from_json(entry: Mapping[str, Any]) -> Rules:
    sticky, shadow = entry["sticky"], entry["shadow"]
    return Rules(
        None if sticky is None else Sticky(Place(sticky["place"]), str(sticky["name"])),
        str(entry["salt"]),
        bool(entry["allows_naming"]),
        None if shadow is None else Shadow(str(shadow["version"]), int(shadow["percent"]), float(shadow["tolerance"])),
        bool(entry["is_compared"]),
    )
