"""Where one request wants to go, by what it says of itself: the version it names, the route it had, the key it shares."""

from podium.domain.traffic import Place, RoutingTable, Rules, Way, point_of
from podium.errors import NotFound, PermissionDenied
from podium.serving.walks.request_field import field_of
from podium.web.messages import Request

VERSION = b"x-podium-version"
ROUTE = "x-podium-route"
_ROUTE = ROUTE.encode()
_LONGEST_ROUTE, _LONGEST_NAME = 4096, 100


def route_token(endpoint: str, version: str) -> str:
    """What a client echoes to come back to the same version."""
    return f"{endpoint}/{version}"


def way_of(rules: Rules, endpoint: str, request: Request, request_id: str) -> Way:
    """The way of a request that names no version.

    An echoed route wins over the key; where its version has no traffic any more, the key decides, and the answer says the
    new route. Several routes in one header, of several endpoints, are each for their own.
    """
    headers = request.head.headers
    point = point_of(endpoint, rules.salt, _key(rules, request, request_id))
    echoed = headers.get(_ROUTE)
    return Way(point) if echoed is None else Way(point, _echoed(echoed, endpoint))


def way_to(version: str, table: RoutingTable, endpoint: str) -> Way:
    """The way of a request that names a version: to that one or nowhere.

    What has traffic may be named by everybody, who could get it anyway; what is dark where the endpoint allows it.

    Raises:
        PermissionDenied: The version is dark.
        NotFound: No such version takes requests here.
    """
    targets, rules = table.endpoints.get(endpoint, ()), table.rules.get(endpoint)
    if not targets and endpoint in table.endpoints:
        return Way(0, version, True)  # It sleeps, or loads: there may be such a version in a moment.
    may_see_all = rules is not None and rules.allows_naming
    for target in targets:
        if target.version == version and not (target.weight or may_see_all):
            raise PermissionDenied(
                f"Version {version} of {endpoint} has no traffic, and a request may not name it: the server was started "
                "without version_header."
            )
        if target.version == version:
            return Way(0, version, True)
    known = ", ".join(target.version for target in targets if target.weight or may_see_all)
    raise NotFound(f"No version {version[:_LONGEST_NAME]} of {endpoint} takes requests here. These do: {known or 'none'}.")


def _key(rules: Rules, request: Request, request_id: str) -> str:
    """What this request shares with those that are to get the same version; its own id where it does not say it."""
    sticky = rules.sticky
    if sticky is None:
        return request_id
    found: str | None
    match sticky.place:
        case Place.HEADER:
            found = request.header(sticky.name.encode("latin-1", "replace"))
        case Place.COOKIE:
            found = cookie_of(request.header(b"cookie") or "", sticky.name)
        case Place.FIELD:
            found = field_of(request.body, request.header(b"content-type") or "", sticky.name)
    return found or request_id


def needs_fields(rules: Rules | None) -> bool:
    """Whether a request's version depends on a field of its body."""
    return rules is not None and rules.sticky is not None and rules.sticky.place is Place.FIELD


def cookie_of(header: str, name: str) -> str | None:
    """A cookie's value out of a `Cookie` header; None where it is not there."""
    for part in header.split(";"):
        found, equals, value = part.partition("=")
        if equals and found.strip() == name:
            return value.strip().strip('"')
    return None


def _echoed(header: bytes, endpoint: str) -> str | None:
    if len(header) > _LONGEST_ROUTE:
        return None
    for token in header.decode("latin-1").split(","):
        name, _, version = token.strip().rpartition("/")
        if name == endpoint and version:
            return version
    return None
