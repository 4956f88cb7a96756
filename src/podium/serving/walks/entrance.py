"""Where a scoring request becomes a walk or an error: what it may hold, whose model it was let in for, where it goes."""

from podium.errors import NotFound, PermissionDenied, PodiumError
from podium.serving.recording import Recorder
from podium.serving.settings import GatewaySettings
from podium.serving.walks.request_ids import Naming
from podium.serving.walks.router import Router
from podium.serving.walks.shares import Shares, error_of, too_large
from podium.serving.walks.walk import Walk
from podium.serving.walks.ways import VERSION, way_to
from podium.telemetry.slots import UNROUTED
from podium.web.handling import Exchange
from podium.web.messages import Request


class Entrance:
    """Counts walks in and out. Event loop's thread only.

    Args:
        settings: Limits and time-outs.
        router: The table in force.
        recorder: Counts refusals.

    Attributes:
        naming: Names requests.
        shares: Where they are counted.
    """

    def __init__(self, settings: GatewaySettings, router: Router, recorder: Recorder) -> None:
        self.naming = Naming(recorder.slots.served, recorder.slot, settings.feedback_window_s)
        self._timeout_s = settings.timeout_s
        self._router = router
        self._recorder = recorder
        self._ids = self.naming.plain
        per_key = settings.clients.max_in_flight_per_key
        self.shares = Shares(settings.in_flight, settings.every_model, settings.models, per_key)

    def admit(self, request: Request, exchange: Exchange, endpoint: str | None) -> tuple[Walk, PodiumError | None]:
        """A walk, which is counted in, and why it ends at once; None where it may begin."""
        terms, table = exchange.terms, self._router.table
        name = table.default if endpoint is None else endpoint
        timeout_s = self._timeout_s if terms.timeout_s is None else min(terms.timeout_s, self._timeout_s)
        given = self._ids.given(request)
        walk = Walk(request, exchange, given or self._ids.new(), timeout_s, endpoint)
        walk.is_foreign = given is not None
        shares, size = self.shares, walk.body_size
        place = shares.place_of(name, terms.principal, name in table.endpoints)
        error: PodiumError | None = too_large(place.held, size)
        if terms.endpoint is not None and terms.endpoint != name:
            # Whoever let it pass had another model in mind: another path, another header.
            error = PermissionDenied(f"This request was let in for another model than {name}.")
        elif error is None:
            refusal = shares.refusal(place, size, terms.is_low, len(table.endpoints))
            if refusal is not None:
                self._recorder.count_rejected(UNROUTED, "gateway_full")
                error = error_of(refusal)
        named = request.head.headers.get(VERSION)
        if named is not None and error is None:
            try:
                walk.way = way_to(named.decode("latin-1"), table, name)
            except (NotFound, PermissionDenied) as refused:
                error = refused
        shares.enter(walk, place)
        return walk, error

    def leave(self, walk: Walk) -> None:
        """Count it out again; exactly once."""
        self.shares.leave(walk)
        if walk.timer is not None:
            walk.timer.cancel()

    def sweep(self) -> None:
        """Forget models that are none any more."""
        self.naming.sweep(self._router.replicas.values())
        endpoints = self._router.table.endpoints
        self.shares.keep(endpoints.__contains__, len(endpoints))
