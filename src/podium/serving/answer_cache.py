"""Answers that are given again, for models whose answers depend on nothing but the request: whoever serves them says so.

An answer is known by the endpoint, the version that would answer now, what the request's head says that an answer depends
on, and a keyed digest of its body. Only whole answers with status 200 are kept, of each model in so many bytes on each
gateway; the one that was asked for least lately goes first. Who may ask, and how often, was decided before.

A request with `Cache-Control: no-cache` is answered by the model, and its answer kept; with `no-store` neither is one
looked up nor kept. Requests that name a version, bodies of more than a megabyte, streams and gRPC calls always go to the
model.
"""

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from podium.domain.traffic import ANYWHERE
from podium.serving.open_inference.infer import version_in
from podium.serving.open_inference.translated import ArrivalWayBack
from podium.serving.pages import Finder, Paths, Taker
from podium.serving.recording import Recorder
from podium.serving.settings import GatewaySettings
from podium.serving.walks.replica import Replica
from podium.serving.walks.request_ids import Naming
from podium.serving.walks.router import Router
from podium.serving.walks.ways import VERSION, way_of
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response

CACHED_PATHS = frozenset(
    {
        "/invocations",
        "/models/{name}/invocations",
        "/endpoints/{name}/invocations",
        "/models/{name}/invoke",
        "/v1/models/{name}:predict",
        "/v2/models/{name}/infer",
    }
)
_TOLD = (b"content-type", b"accept", b"content-encoding", b"inference-header-content-length")
_OVERHEAD_BYTES = 400  # of an entry's objects in memory, beside its texts
_LARGEST_PART = 8
_MOST_BODY_BYTES = 1 << 20  # a digest of more would hold up everybody else
_HIT, _MISS = b"x-podium-cache: hit\r\nage: %d\r\n", b"x-podium-cache: miss\r\n"
_OURS = (b"x-request-id:", b"x-podium-")
_CONTROL = b"cache-control"

Key = tuple[str, bytes, bytes]
"""Version, what the head says, digest of the body."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer.

    Args:
        body, content_type: As the client got it.
        lines: Header lines that belong to it, whoever asks.
        kept_at: Seconds, monotonic.
    """

    body: bytes
    content_type: str
    lines: bytes
    kept_at: float

    @property
    def size_bytes(self) -> int:
        return len(self.body) + len(self.lines) + _OVERHEAD_BYTES


class AnswerCache:
    """The answers of one model on one gateway.

    Args:
        most_bytes: What they may take together.

    Attributes:
        size_bytes: What they take.
    """

    def __init__(self, most_bytes: int) -> None:
        self.size_bytes = 0
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, KeptAnswer] = OrderedDict()
        self._sizes: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: Key) -> KeptAnswer | None:
        """The answer of a key, which is now the one that was asked for last."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def keep(self, key: Key, answer: KeptAnswer) -> None:
        """Keep an answer, unless it is so large that it would push out all others."""
        if answer.size_bytes * _LARGEST_PART > self._most_bytes:
            return
        former = self._kept.pop(key, None)
        if former is not None:
            self._count(key[0], -1, -former.size_bytes)
        self._kept[key] = answer
        self._count(key[0], 1, answer.size_bytes)
        while self.size_bytes > self._most_bytes:
            (version, *_), pushed_out = self._kept.popitem(last=False)
            self._count(version, -1, -pushed_out.size_bytes)

    def size_of(self, version: str) -> tuple[int, int]:
        """How many answers of a version are kept, and how many bytes they take."""
        return self._sizes.get(version, (0, 0))

    @property
    def versions(self) -> tuple[str, ...]:
        """Those of which answers are, or were, kept."""
        return tuple(self._sizes)

    def keep_only(self, versions: frozenset[str]) -> None:
        """Forget the answers of all other versions."""
        for key in [key for key in self._kept if key[0] not in versions]:
            self.size_bytes -= self._kept.pop(key).size_bytes
        self._sizes = {version: size for version, size in self._sizes.items() if version in versions}

    def _count(self, version: str, answers: int, size_bytes: int) -> None:
        before = self.size_of(version)
        self._sizes[version] = (before[0] + answers, before[1] + size_bytes)
        self.size_bytes += size_bytes


class AnswerCaches:
    """Stands before whoever takes scoring requests of models that are cached. Event loop's thread only.

    Args:
        settings: How many bytes for which model.
        router: Says which version would answer.
        naming: Names the requests that are answered here.
        recorder: Counts and writes down.
    """

    def __init__(self, settings: GatewaySettings, router: Router, naming: Naming, recorder: Recorder) -> None:
        self._every_model = settings.every_model.cache_bytes
        self._of_models = {name: limits.cache_bytes for name, limits in settings.models.items()}
        self._router = router
        self._naming = naming
        self._recorder = recorder
        self._secret = os.urandom(16)
        self._caches: dict[str, AnswerCache] = {}
        self._series: dict[tuple[str, str], int] = {}
        if self.are_any:
            router.on_table = self._forget

    @property
    def are_any(self) -> bool:
        """Whether any model is cached, or could be once it is loaded."""
        return self._every_model is not None or any(size is not None for size in self._of_models.values())

    def over(self, paths: Paths) -> Paths:
        """Paths whose takers ask here first; the same paths where no model is cached, at no cost."""
        if not self.are_any:
            return paths
        return {
            path: {method: self._finder(finder) for method, finder in methods.items()} if path in CACHED_PATHS else methods
            for path, methods in paths.items()
        }

    def _forget(self) -> None:
        """Keep nothing of versions that the table does not name: whatever comes back under their names may be another."""
        table = self._router.table
        for (name, version), series in list(self._series.items()):
            if not any(target.version == version for target in table.endpoints.get(name, ())):
                self._recorder.set_kept(series, 0, 0)
                del self._series[name, version]
        for name, cache in list(self._caches.items()):
            if name in table.endpoints:
                cache.keep_only(frozenset(target.version for target in table.endpoints[name]))
            else:
                del self._caches[name]  # What is still in flight is kept where nobody looks any more.

    def _finder(self, finder: Finder) -> Finder:
        def find(head: Head, *parts: str) -> Taker:
            taker, endpoint = finder(head, *parts), parts[0] if parts else None
            control = _directives(head.headers)
            if VERSION in head.headers or "no-store" in control or self._is_never(endpoint):
                return taker
            parts_told = (head.path.encode(), head.query.encode(), *(head.headers.get(name, b"") for name in _TOLD))
            told = self._digest(b"".join(b"%d:%s" % (len(part), part) for part in parts_told))
            return partial(self._take, taker, endpoint, told, control.isdisjoint({"no-cache", "max-age=0"}))

        return find

    def _is_never(self, endpoint: str | None) -> bool:
        return endpoint is not None and self._size_of(endpoint) is None

    def _size_of(self, endpoint: str) -> int | None:
        return self._of_models.get(endpoint, self._every_model)

    def _take(
        self, taker: Taker, endpoint: str | None, told: bytes, may_look: bool, request: Request, exchange: Arrival
    ) -> None:
        table, terms = self._router.table, exchange.terms
        name = table.default if endpoint is None else endpoint
        # Who was let in for another model is refused where that is always done.
        is_other = terms.endpoint is not None and terms.endpoint != name
        cache = None if is_other or len(request.body) > _MOST_BODY_BYTES else self._cache_of(name)
        replica = None if cache is None else self._replica(name, request)
        if cache is None or replica is None:
            taker(request, exchange)
            return
        digest = self._digest(request.body)
        found = cache.find((replica.version, told, digest)) if may_look else None
        if found is not None:
            self._give(found, replica, request, exchange)
            return
        self._recorder.count_miss(replica.series)
        self._series[name, replica.version] = replica.series
        taker(request, ArrivalWayBack(exchange, partial(self._keep, name, cache, told, digest, replica)))

    def _keep(
        self, name: str, cache: AnswerCache, told: bytes, digest: bytes, replica: Replica, response: Response
    ) -> Response:
        given = _kept(cache, told, digest, replica, response)
        for version in cache.versions:
            series = self._series.get((name, version))
            if series is not None:
                self._recorder.set_kept(series, *cache.size_of(version))
        return given

    def _digest(self, data: bytes | bytearray) -> bytes:
        # With a key: nobody can look for two bodies that have the same.
        return hashlib.blake2b(data, digest_size=20, key=self._secret).digest()

    def _cache_of(self, name: str) -> AnswerCache | None:
        found = self._caches.get(name)
        if found is None and name in self._router.table.endpoints and (size := self._size_of(name)) is not None:
            found = self._caches[name] = AnswerCache(size)
        return found

    def _replica(self, name: str, request: Request) -> Replica | None:
        """Who would answer now; None where nobody does."""
        rules = self._router.table.rules.get(name)
        way = ANYWHERE if rules is None else way_of(rules, name, request, self._naming.plain.new())
        return self._router.choose(name, way)

    def _give(self, found: KeptAnswer, replica: Replica, request: Request, exchange: Arrival) -> None:
        began, principal = time.monotonic(), exchange.terms.principal
        given = self._naming.plain.given(request)
        if given is not None:
            self._naming.note_given(replica, given)
        identity = given or replica.ids.new()
        age = _HIT % int(began - found.kept_at)
        headers = b"x-request-id: %s\r\n%s%s%s" % (identity.encode("latin-1"), replica.headers, found.lines, age)
        exchange.answer(Response(200, found.body, found.content_type, headers))
        label = (replica.endpoint, replica.version)
        self._recorder.record_hit(replica.series, label, request, identity, exchange.client, len(found.body), principal)


def _kept(cache: AnswerCache, told: bytes, digest: bytes, replica: Replica, response: Response) -> Response:
    """What the client gets; kept where it may be given again. `replica` is the one that was expected to answer."""
    if response.status == 200:
        version, lines = replica.version, response.headers.partition(b"\r\n")[2]
        if lines == replica.headers:
            lines = b""  # as nearly always: nothing but its name and who answers
        else:
            version = version_in(response.headers)
            every = response.headers.splitlines(keepends=True)
            lines = b"".join(line for line in every if not line.lower().startswith(_OURS))
        if version:
            cache.keep(
                (version, told, digest), KeptAnswer(bytes(response.body), response.content_type, lines, time.monotonic())
            )
    return Response(response.status, response.body, response.content_type, response.headers + _MISS)


def _directives(headers: Mapping[bytes, bytes]) -> frozenset[str]:
    said = headers.get(_CONTROL, b"").decode("latin-1").lower()
    return frozenset(word.strip() for word in said.split(",")) if said else frozenset()
