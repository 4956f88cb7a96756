"""Who may pass: the one place that every protocol of a gateway asks before it takes a request.

    HTTP    a `Gate` stands before each head's taker; it asks again only when `Guard.epoch` has moved
    gRPC    `Guard.check` for each call, with the call's metadata as headers

What was decided is kept for as long as nothing can have changed it: a key that is revoked or expires, and a table with
another default, move the epoch.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from podium.domain.clients.access import ANYBODY, NOBODY, Need, Peer, Principal, allows
from podium.domain.clients.forwarding import CLAIMS
from podium.domain.clients.request_terms import PRIORITY, TIMEOUT, is_low_of, timeout_s_of
from podium.errors import InvalidInput, Overloaded, PermissionDenied, PodiumError, Unauthenticated, Unavailable
from podium.protocols.mlflow.problems import problem
from podium.serving.guard.cors import Cors
from podium.serving.guard.limiter import Limit, Limiter, Shortage
from podium.serving.guard.needs import need_of
from podium.serving.guard.proxies import Proxies
from podium.serving.pages import Finder, Pages, Taker
from podium.web.handling import NO_TERMS, Arrival, RequestTerms
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import Route

K = TypeVar("K")
V = TypeVar("V")

_NEVER = float("inf")
_MOST_DECISIONS = 1024  # of one head: of as many clients' certificates, or addresses
_NOBODY = "This needs a key, a token or a certificate; a key or a token is sent as the header Authorization: Bearer KEY."
_AGAIN = "This was refused when it began, and nothing of its body was read; it would be let in now. Send it again."
_SAID = frozenset({TIMEOUT, PRIORITY, b"origin"})


@dataclass(frozen=True, slots=True)
class GuardRefusal:
    """Why a request is not taken: an error for the protocol to write, and what goes with it.

    Args:
        error: `Unauthenticated` (401), `PermissionDenied` (403), `Overloaded` (429) or `Unavailable` (503).
        headers: Names and values for the answer, such as WWW-Authenticate and Retry-After.
        principal: Who is refused; empty where nobody knows.
    """

    error: PodiumError
    headers: tuple[tuple[str, str], ...] = ()
    principal: str = ""

    @property
    def told(self) -> str:
        """Why, for the log: more than the client hears, and no secret."""
        return f"{self.error.code}: {getattr(self.error, 'why', '') or self.error.message}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of a request by who asks and what for; it stands until the guard's epoch moves.

    Args:
        principal: Who asks.
        endpoint: The model that it is for; empty where it is for none.
        refusal: Why not; None where it may pass.
        limits: What it counts against, beside its address.
        terms: On which it is served; what is left of its limits is added.
        is_open: It counts against nothing.
    """

    principal: Principal
    endpoint: str
    refusal: GuardRefusal | None = None
    limits: tuple[Limit, ...] = ()
    terms: RequestTerms = NO_TERMS
    is_open: bool = False


class Identifying(Protocol):
    """One way to find out who asks."""

    @property
    def version(self) -> int:
        """Another number whenever what it said before may be wrong now."""

    @property
    def challenge(self) -> str | None:
        """What WWW-Authenticate says of it."""

    def identify(self, headers: Mapping[bytes, bytes], peer: Peer, now: float) -> Principal | PodiumError | None:
        """Who asks; an error where what came along proves nobody; None where nothing came along for this way."""

    def sweep(self, now: float) -> None:
        """Look for changes. `now` is Unix seconds."""


class Guard:
    """Decides of every request of a gateway. Event loop's thread only.

    Args:
        ways: How somebody may be known, in the order in which they are asked; with none, nobody is asked who they are.
        default: The endpoint that a request which names none is for, now.
        limiter: Counts requests against their limits.
        proxies: Whose word on who asks is taken.
        cors: Which web pages may read answers.
        opened: Pages that are open to everybody, as in `needs.SWITCHED`.
        clock: Unix seconds.

    Attributes:
        epoch: Moves whenever a `Decision` may have become wrong.
    """

    def __init__(
        self,
        ways: Iterable[Identifying],
        default: Callable[[], str],
        limiter: Limiter,
        proxies: Proxies,
        cors: Cors,
        opened: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ways = tuple(ways)
        self._limiter = limiter
        self.proxies = proxies
        self.cors = cors
        self._default = default
        self._opened = opened
        self._clock = clock
        self._ends = _NEVER  # the first time at which something that was decided ends
        self._seen: tuple[object, ...] = ()
        self.epoch = 1

    def sweep(self) -> None:
        """Notice what has changed. Call it several times a second."""
        now = self._clock()
        for way in self._ways:
            way.sweep(now)
        seen = (self._default(), *(way.version for way in self._ways))
        if seen != self._seen or now >= self._ends:
            self._seen = seen
            self._ends = _NEVER
            self.epoch += 1

    def has_business_with(self, head: Head) -> bool:
        """Whether requests with this head need a gate at all; it does not change while the server lives."""
        if self._ways or self._limiter.has_any or self.proxies.are_any():
            return True
        return not (_SAID | CLAIMS).isdisjoint(head.headers)

    def need_of(self, method: str, path: str) -> Need:
        """What a request needs by the route that was found for it; of an unknown one, the scope `admin`."""
        return need_of(method, path, self._opened)

    def check(
        self, need: Need, endpoint: str | None, headers: Mapping[bytes, bytes], peer: Peer
    ) -> RequestTerms | GuardRefusal:
        """Decide of one request and count it: what every protocol calls once for each call.

        Args:
            need: What it asks for.
            endpoint: The model by its public name; None for the default one, or where it is for none.
            headers: By lower-case name, repeated ones joined by `, `; of gRPC the metadata.
            peer: The other side of its connection.

        Returns: The terms on which it is served, or why it is not.
        """
        decision = self.decide(need, endpoint, headers, peer)
        return self.pass_by(decision, self.limits_of(decision, self.proxies.client_of(headers, peer.address)))

    def decide(self, need: Need, endpoint: str | None, headers: Mapping[bytes, bytes], peer: Peer) -> Decision:
        """The part of `check` that is the same for all requests with these headers, until `epoch` moves."""
        is_of_model = need in (Need.SCORE, Need.DESCRIBE)
        name = (self._default() if endpoint is None else endpoint) if is_of_model else ""
        if need is Need.OPEN:
            return Decision(NOBODY, name, is_open=True)
        found = self._identify(headers, peer) if self._ways else ANYBODY
        if isinstance(found, PodiumError):
            return Decision(NOBODY, name, self._unknown(found))
        if found.ends is not None:
            self._ends = min(self._ends, found.ends)
        if not allows(found, need, name):
            if found is NOBODY:
                return Decision(found, name, self._unknown(Unauthenticated(_NOBODY)))
            return Decision(found, name, GuardRefusal(PermissionDenied(_denied(need, name)), (), found.name))
        try:
            let_in_for = None if not self._ways else name if need is Need.SCORE else ""
            terms = RequestTerms(found.name, let_in_for, timeout_s_of(headers), found.is_low or is_low_of(headers))
        except InvalidInput as error:
            return Decision(found, name, GuardRefusal(error, (), found.name))
        limits = self._limiter.limits_of(found, name if need is Need.SCORE else "")
        return Decision(found, name, None, limits, terms)

    def limits_of(self, decision: Decision, address: str) -> tuple[Limit, ...]:
        """What requests of which that was decided count against, from this address; refused ones only against that."""
        if decision.is_open:
            return ()
        others = decision.limits if decision.refusal is None else ()
        return self._limiter.joined(self._limiter.of_address(address), others)

    def pass_by(self, decision: Decision, limits: tuple[Limit, ...]) -> RequestTerms | GuardRefusal:
        """The part of `check` that is done for each request: it is counted.

        Args:
            decision: What was decided of it.
            limits: As `limits_of` says.
        """
        if not limits:
            return decision.refusal or decision.terms
        if self._limiter.is_refusing:
            told = "Rates cannot be counted now; nobody passes whose requests are limited."
            return GuardRefusal(Unavailable(told, 5.0), (), decision.principal.name)
        lines = self._limiter.take(limits)
        if isinstance(lines, Shortage):
            return GuardRefusal(lines.error, lines.headers, decision.principal.name)
        if decision.refusal is not None:
            return decision.refusal
        terms = decision.terms
        return RequestTerms(terms.principal, terms.endpoint, terms.timeout_s, terms.is_low, lines)

    def would_stop(self, decision: Decision, limits: tuple[Limit, ...]) -> bool:
        """Whether `pass_by` would refuse now; nothing is counted."""
        if decision.refusal is not None:
            return True
        return bool(limits) and (self._limiter.is_refusing or self._limiter.is_short(limits))

    def _identify(self, headers: Mapping[bytes, bytes], peer: Peer) -> Principal | PodiumError:
        now = self._clock()
        for way in self._ways:
            found = way.identify(headers, peer, now)
            if found is not None:
                return found
        return NOBODY

    def _unknown(self, error: PodiumError) -> GuardRefusal:
        challenges = [("www-authenticate", way.challenge) for way in self._ways if way.challenge is not None]
        return GuardRefusal(error, tuple((name, text) for name, text in challenges if text is not None))


class Passage(NamedTuple):
    """How requests with one head from one place pass, until the guard's epoch moves."""

    decision: Decision
    limits: tuple[Limit, ...]
    client: str
    is_trusted: bool


class Gate:
    """Stands before whoever takes the requests with one head.

    Args:
        guard: Decides.
        head: Of the requests.
        need: What they ask for.
        endpoint: The model that their path names; None where it names none.
        taker: Takes those that may pass.
        pages: Answers those that may not.
        asks_for_others: Whose certificate comes with them is not who is asked about.
    """

    __slots__ = (
        "_asks_for_others", "_decisions", "_endpoint", "_epoch", "_guard", "_head", "_lines", "_need", "_pages",
        "_passages", "_stripped", "_taker",
    )  # fmt: skip

    def __init__(
        self,
        guard: Guard,
        head: Head,
        need: Need,
        endpoint: str | None,
        taker: Taker,
        pages: Pages,
        *,
        asks_for_others: bool = False,
    ) -> None:
        self._asks_for_others = asks_for_others
        self._guard = guard
        self._head = head
        self._need = need
        self._endpoint = endpoint
        self._taker = taker
        self._pages = pages
        self._epoch = 0
        self._decisions: dict[tuple[bool, tuple[str, ...]], Decision] = {}
        self._passages: dict[tuple[str, tuple[str, ...]], Passage] = {}
        self._lines = guard.cors.lines_of(head)
        self._stripped = guard.proxies.stripped(head)

    def __call__(self, request: Request, arrival: Arrival) -> None:
        """Let a request pass, or answer it with why not."""
        guard, peer = self._guard, arrival.peer
        passage = self._passages.get((peer.address, peer.names)) if self._epoch == guard.epoch else None
        decision, limits, arrival.client, is_trusted = passage or self._passage(peer)
        if self._stripped is not None and not is_trusted:
            request = Request(self._stripped, request.body)
        terms = guard.pass_by(decision, limits)
        if isinstance(terms, GuardRefusal):
            self._answer(request, arrival, terms)
            return
        arrival.terms = replace(terms, lines=terms.lines + self._lines) if self._lines else terms
        self._taker(request, arrival)

    def turns_away(self, peer: Peer) -> bool:
        """Whether whoever asks is refused, whatever the body says; nothing is counted."""
        decision, limits, _, _ = self._passage(peer)
        return self._guard.would_stop(decision, limits)

    def refuse(self, request: Request, arrival: Arrival) -> None:
        """Refuse a request that `turns_away` was said of, and count it; its body is not there."""
        decision, limits, arrival.client, _ = self._passage(arrival.peer)
        terms = self._guard.pass_by(decision, limits)
        if not isinstance(terms, GuardRefusal):
            terms = GuardRefusal(Unavailable(_AGAIN, 1.0), (), terms.principal)
        self._answer(request, arrival, terms)

    def _answer(self, request: Request, arrival: Arrival, refusal: GuardRefusal) -> None:
        arrival.terms = RequestTerms(refusal.principal, lines=self._lines)
        identity = self._pages.ids.of(request)
        self._pages.answer(request, arrival, refused(refusal, self._head.path, identity), identity, refusal.told)

    def _passage(self, peer: Peer) -> Passage:
        if self._asks_for_others:
            peer = without_names(peer)
        if self._epoch != self._guard.epoch:
            self._epoch = self._guard.epoch
            self._decisions.clear()
            self._passages.clear()
        return self._passages.get((peer.address, peer.names)) or self._find(peer)

    def _find(self, peer: Peer) -> Passage:
        guard, headers = self._guard, self._head.headers
        is_trusted = guard.proxies.trusts(peer.address)
        decision = self._decisions.get((is_trusted, peer.names))
        if decision is None:
            decision = guard.decide(self._need, self._endpoint, headers, peer)
            _keep(self._decisions, (is_trusted, peer.names), decision)
        client = guard.proxies.client_of(headers, peer.address)
        passage = Passage(decision, guard.limits_of(decision, client), client, is_trusted)
        _keep(self._passages, (peer.address, peer.names), passage)
        return passage


def gate(guard: Guard, head: Head, route: Route[Finder] | None, taker: Taker, pages: Pages) -> Taker:
    """The taker behind the gate of a head, or the taker itself where the head needs none.

    Args:
        guard: Decides.
        head: Its line and headers.
        route: What was found for its path; None where nothing was: then nobody who is unknown hears that.
        taker: Answers it.
        pages: Answers refusals.
    """
    if not guard.has_business_with(head):
        return taker
    preflight = guard.cors.preflight(head)
    if preflight is not None:
        return Gate(guard, head, Need.OPEN, None, pages.taker(preflight), pages)
    need = Need.KNOWN if route is None else guard.need_of(head.method, route.path)
    return Gate(guard, head, need, None if route is None else route.named.get("name"), taker, pages)


def _keep(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= _MOST_DECISIONS:
        known.clear()
    known[key] = value


def without_names(peer: Peer) -> Peer:
    """A proxy that asks about a request: where it is, and not who it is by its own certificate."""
    return Peer(peer.address, (), peer.is_encrypted)


def refused(refusal: GuardRefusal, path: str, request_id: str) -> Response:
    """A refusal as the protocol of this path writes errors."""
    found = problem(refusal.error, request_id)
    headers = refusal.headers
    if isinstance(refusal.error, Overloaded | Unavailable) and all(name != "retry-after" for name, _ in headers):
        headers = (*headers, ("retry-after", "1"))
    body = found.body
    if path.startswith(("/v1/", "/v2/")) or path in {"/v1", "/v2"}:
        body = msgspec.json.encode({"error": refusal.error.message}) + b"\n"
    return Response(found.status, body, found.content_type, header_lines(*headers))


def _denied(need: Need, endpoint: str) -> str:
    match need:
        case Need.SCORE:
            return f"Your scopes do not cover the model {endpoint}. This needs score:{endpoint} or score:*."
        case Need.DESCRIBE:
            return f"Your scopes do not cover the model {endpoint}. This needs score:{endpoint}, score:* or read."
        case Need.READ:
            return "Your scopes do not cover this. It needs read or admin."
        case _:
            return "Your scopes do not cover this. It needs admin."
