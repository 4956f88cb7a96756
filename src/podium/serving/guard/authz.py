"""`/authz/PATH`: whether a request may pass, as proxies ask (Envoy's ext_authz over HTTP, nginx's auth_request).

200 with who asks and what they may do, which the proxy sets over whatever the client sent; else the refusal, which it hands
on. A path of podium's needs what it needs here; any other one needs somebody who is known.
"""

from podium.domain.clients.access import Need
from podium.domain.clients.forwarding import PRINCIPAL, SCOPES
from podium.serving.guard.guard import Gate, Guard, without_names
from podium.serving.guard.needs import METHOD_NEEDS, METHODS_PREFIX
from podium.serving.pages import Finder, Pages, Taker
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import Routes, detail

PREFIX = "/authz"
_MISREAD = frozenset({"", ".", ".."})
_WHOLE = tuple(Need)
"""From the least to the most."""


def authz_taker(guard: Guard, head: Head, routes: Routes[Finder], pages: Pages) -> Taker:
    """Who answers requests with a head whose path begins with `/authz/`."""
    # Some proxies hand on all that the client sent: who it says it is, is not asked of itself.
    kept = {name: value for name, value in head.headers.items() if name not in (PRINCIPAL, SCOPES)}
    head = Head(head.method, head.path, head.query, kept)
    # nginx's auth_request asks with GET whatever the client sent, and no header that says more is surely the proxy's own.
    method = "" if head.method == "GET" else head.method
    found = judged(guard, routes, method, head.path.removeprefix(PREFIX))
    if found is None:
        return pages.taker(detail(400, "A path with an empty part, '.' or '..' is not judged."))
    need, endpoint = found

    def allow(request: Request, arrival: Arrival) -> None:
        who = guard.decide(need, endpoint, head.headers, without_names(arrival.peer)).principal
        said = (PRINCIPAL.decode(), who.name), (SCOPES.decode(), " ".join(sorted(who.scopes)))
        pages.answer(request, arrival, Response(200, b"", headers=header_lines(*said)))

    return Gate(guard, head, need, endpoint, allow, pages, asks_for_others=True)


def judged(guard: Guard, routes: Routes[Finder], method: str, path: str) -> tuple[Need, str | None] | None:
    """What a request needs that a proxy asks about, and of which model.

    Args:
        guard: Knows what each route needs.
        routes: Podium's paths.
        method: Of the request; one that the path has not means the most that any of the path's needs.
        path: Percent-decoded, without the query.

    Returns: None for a path that whoever answers it may clean up into one that needs more.
    """
    if any(part in _MISREAD for part in path[1:].split("/")[:-1]) or path.endswith(("/.", "/..")):
        return None
    if path.startswith(METHODS_PREFIX):
        # Which model is asked stands in the message, which a proxy does not hand on: whoever may score all of them, may.
        return METHOD_NEEDS.get(path.removeprefix(METHODS_PREFIX), Need.ADMIN), ""
    found = routes.methods_of(path)
    if found is None:
        return Need.KNOWN, None
    route, named, methods = found
    meant = (method,) if method in methods else methods
    return max((guard.need_of(each, route) for each in meant), key=_WHOLE.index), named.get("name")
