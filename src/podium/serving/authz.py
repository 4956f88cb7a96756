"""`/authz/PATH`: whether a request may pass, as proxies ask (Envoy's ext_authz over HTTP, nginx's auth_request).

200 with who asks and what they may do, which the proxy sets over whatever the client sent; else the refusal, which it hands
on. A path of podium's needs what it needs here; any other one needs somebody who is known.
"""

from podium.domain.access import Need
from podium.domain.forwarding import PRINCIPAL, SCOPES
from podium.serving.guarding import Gate, Guard
from podium.serving.pages import Finder, Pages, Taker
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import Routes, detail

PREFIX = "/authz"
_METHOD = b"x-original-method"
_MISREAD = frozenset({"", ".", ".."})
_WHOLE = tuple(Need)
"""From the least to the most."""


def authz_taker(guard: Guard, head: Head, routes: Routes[Finder], pages: Pages) -> Taker:
    """Who answers requests with a head whose path begins with `/authz/`."""
    # Some proxies hand on all that the client sent: who it says it is, is not asked of itself.
    kept = {name: value for name, value in head.headers.items() if name not in (PRINCIPAL, SCOPES)}
    head = Head(head.method, head.path, head.query, kept)
    path = head.path.removeprefix(PREFIX)
    if any(part in _MISREAD for part in path[1:].split("/")[:-1]) or path.endswith(("/.", "/..")):
        # Whoever answers it may clean it up into a path that needs more.
        return pages.taker(detail(400, "A path with an empty part, '.' or '..' is not judged."))
    found = routes.methods_of(path)
    need, endpoint = Need.KNOWN, None
    if found is not None:
        route, named, methods = found
        need = _need(guard, head, route, methods)
        endpoint = named.get("name")

    def allow(request: Request, arrival: Arrival) -> None:
        who = guard.decide(need, endpoint, head.headers, arrival.peer).principal
        said = (PRINCIPAL.decode(), who.name), (SCOPES.decode(), " ".join(sorted(who.scopes)))
        pages.answer(request, arrival, Response(200, b"", headers=header_lines(*said)))

    return Gate(guard, head, need, endpoint, allow, pages)


def _need(guard: Guard, head: Head, route: str, methods: tuple[str, ...]) -> Need:
    """What the request needs that a proxy asks about: the most of all that its methods could mean.

    nginx's auth_request asks with GET whatever the client sent, and may say that in X-Original-Method, which the client may
    have said, too. So GET alone means any method that the path has.
    """
    said = head.headers.get(_METHOD, b"").decode("latin-1").upper()
    asked = {method for method in (head.method, said) if method in methods}
    is_clear = bool(asked) and (head.method != "GET" or bool(said))
    needs = [guard.need_of(method, route) for method in (asked if is_clear else methods)]
    return max(needs, key=_WHOLE.index)
