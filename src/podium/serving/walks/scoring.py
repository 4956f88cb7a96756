"""A scoring request's walk through a gateway: admit, route, frame, reply; and what happens when that does not go well.

    worker says DRAINING, QUEUE_FULL     sent to another replica; none has room: 429
    worker dies while it runs the request  sent once more, SOLO; dies again: 500
    worker dies while the request queues   sent again, nobody charged
    no such endpoint                     404
    no replica is ready                  waits in a bounded line; 503 when the line is full or too long
    time is up                           504, and the worker is told to drop it
    the client leaves                    the worker is told to drop it

Nothing is sent again once an answer began: a reply is one whole frame before the client sees its first byte, and an
answer in parts whose worker dies is ended as failed.
"""

import asyncio
import math
from collections.abc import Callable, Sequence

from podium.domain.traffic import ANYWHERE
from podium.errors import NotFound, Overloaded, PodiumError, Unavailable, WorkerCrashed
from podium.serving.recording import Recorder
from podium.serving.remembering import Lottery, Remembering
from podium.serving.settings import GatewaySettings
from podium.serving.walks.entrance import Entrance
from podium.serving.walks.open_walks import RETRY_AFTER_S, OpenWalks
from podium.serving.walks.parts import Parts
from podium.serving.walks.replica import Replica
from podium.serving.walks.request_ids import REQUEST_ID
from podium.serving.walks.router import Router
from podium.serving.walks.shadowing import Shadowing
from podium.serving.walks.spare_time import SpareTime
from podium.serving.walks.waking import Waking
from podium.serving.walks.walk import Detour, Walk
from podium.serving.walks.ways import needs_fields, way_of
from podium.telemetry.slots import UNROUTED
from podium.transport import frames
from podium.web.handling import Exchange, PartsTaker
from podium.web.messages import JSON_ANSWER, Request, Response


class Scoring:
    """All walks of this gateway. Event loop's thread only.

    Args:
        loop: The event loop.
        settings: Limits and time-outs.
        router: Tables and replicas.
        recorder: Counts and logs.
        on_lost: Told when a replica's socket broke; `on_released` when a dropped one has nothing outstanding.
        waking: Asks that endpoints wake which sleep; None where nobody could.
        remembering: Hands on some of the answers; None: nobody wants any.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: GatewaySettings,
        router: Router,
        recorder: Recorder,
        on_lost: Callable[[Replica, str], None],
        on_released: Callable[[int], None],
        waking: Waking | None = None,
        remembering: Remembering | None = None,
    ) -> None:
        self._loop = loop
        self._remembering = remembering
        self._timeout_s = settings.timeout_s
        self._router = router
        self._recorder = recorder
        self._on_lost = on_lost
        self._on_released = on_released
        self._entrance = Entrance(settings, router, recorder)
        self.naming = self._entrance.naming
        self.ids = self.naming.plain
        self._shares = self._entrance.shares
        self._walks = OpenWalks(settings, router, recorder, self._entrance, waking, self._release_dropped)
        self._open, self._lines = self._walks.walks, self._walks.lines
        self._leave = self._walks.abandon
        self._parts = Parts(self._open, settings.timeout_s, loop, self._walks.expire)
        self._is_last_crew = False
        self._shadowing = Shadowing(loop, router, recorder, settings.timeout_s, SpareTime().since_last)

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._open)

    # ── from the client

    def start(
        self, request: Request, exchange: Exchange, endpoint: str | None = None, taker: PartsTaker | None = None
    ) -> None:
        """Take a request for an endpoint, None for the table's default, or refuse it.

        `taker` is the exchange again, where the answer may come in parts.
        """
        walk, error = self._entrance.admit(request, exchange, endpoint)
        walk.taker = taker
        self._open[walk] = None
        walk.on_leave = self._leave
        exchange.on_leave = walk.leave
        if error is not None:
            self._walks.fail(walk, error)
            return
        if exchange.terms.timeout_s is not None:
            walk.timer = self._loop.call_at(self._loop.time() + walk.deadline - walk.started, self._walks.expire, walk)
        self._route(walk)

    def start_json(
        self, request: Request, exchange: Exchange, endpoint: str | None = None, detour: Detour | None = None
    ) -> None:
        """As `start`, for a request whose head says JSON: decoded here if it fits the model's plan."""
        router = self._router
        table = router.table
        name = table.default if endpoint is None else endpoint
        rules = table.rules.get(name)
        if rules is not None and detour is not None and needs_fields(rules) and not detour.says_fields:
            detour.start()
            return
        given = self.ids.given(request) if REQUEST_ID in request.head.headers else None
        drawn = None if rules is None else given or self.ids.new()
        way = ANYWHERE if rules is None or drawn is None else way_of(rules, name, request, drawn)
        replica = router.choose(name, way)
        size = len(request.body)
        if (
            replica is None
            or (reader := replica.reader) is None
            or (detour is None and size > reader.most_bytes)
            or (place := self._shares.let_in(name, exchange.terms, size, table.endpoints)) is None
            or (packed := reader.read(request.body) if detour is None else detour.read(replica)) is None
        ):
            if drawn is not None and given is None:
                # The long way draws by its own id: by the same one, or a version whose requests all take that way would get
                # the square of its part.
                self.ids.take_back()
            self.start(request, exchange, endpoint) if detour is None else detour.start()
            return
        walk = Walk(request, exchange, given or replica.ids.new(), self._timeout_s, endpoint)
        if given is not None:
            walk.is_foreign = True
        self._shares.enter(walk, place)
        self._open[walk] = None
        walk.on_leave = self._leave
        (exchange if detour is None else detour.answers_to).on_leave = walk.leave
        walk.rows = packed.rows
        walk.replica = walk.last = replica
        walk.attempts = 1
        if rules is not None:
            walk.way = way
        if detour is not None:
            walk.detour = detour
        if replica.shadow is not None:
            walk.packed = packed
        replica.gather(walk, packed)

    # ── from the workers

    def add(self, replica: Replica) -> None:
        """Talk to a worker from now on; it gets requests once a table names it."""
        former = self._router.replicas.get(replica.id)
        if former is not None:
            self._lose_connection(former)  # the supervisor connects us anew
        self.naming.name(replica)
        own = self._remembering
        replica.lottery = Lottery(is_off=True) if own is None else own.lottery_of(replica.endpoint, replica.version)
        self._router.connect(replica)
        replica.start(self._on_reply, self._on_answers, self._on_refused, self._parts.pass_on, self.lose)
        self.serve_waiting()

    def drop(self, identity: int) -> None:
        """Give a replica no new request; it is released when nothing is outstanding; an unknown one at once."""
        replica = self._router.replicas.get(identity)
        if replica is None:
            self._on_released(identity)
        else:
            replica.is_dropped = True
            self._shadowing.withdraw(replica)
            self._release_dropped(replica)

    def lose(self, replica: Replica, reason: str) -> None:
        """A worker is gone, or talks nonsense: everything that it owes goes elsewhere.

        What the board says was running is charged: the first time it is sent again, alone; the second time it is given up.
        """
        if replica.is_dropped:
            self._on_released(replica.id)
        else:
            self._on_lost(replica, reason)
        self._lose_connection(replica)

    def _lose_connection(self, replica: Replica) -> None:
        running = replica.running() if replica.outstanding else set()
        replica.close()
        self._router.forget(replica.id)
        outstanding = list(replica.outstanding.items())
        replica.outstanding.clear()
        for identity, walk in outstanding:
            walk.replica = None
            if walk not in self._open:
                self._shadowing.lose(walk)
                continue
            if identity in running:
                self._recorder.count_crashed(replica.series)
            if walk.parts:
                self._walks.fail(walk, WorkerCrashed("The model's process ended in the middle of this answer."))
                continue
            if identity in running:
                if walk.is_solo:
                    self._walks.fail(
                        walk,
                        WorkerCrashed("The model's process died while it ran this request, and again on a second try."),
                    )
                    continue
                walk.is_solo = True
            self._route(walk)

    def serve_waiting(self) -> None:
        """Send those who wait for a replica, if there is one now: after each new table and each new replica."""
        self._lines.serve(self._send)

    def look_after_waiting(self) -> None:
        """There is a new table: whom it gives no hope is refused at once."""
        for walk in self._lines.hopeless():
            self._route(walk)

    def expect_no_replica(self) -> None:
        """No replica will be added any more: who finds none is refused, now and from now on."""
        self._is_last_crew = True
        for walk in self._lines.expired(float("inf")):
            self._route(walk)

    # ── from the clock

    def sweep(self, now: float) -> None:
        """Give up whoever's time is over. `now` is `time.monotonic()`."""
        self._walks.sweep(now)
        self._shadowing.sweep(now)
        self._recorder.set_in_flight(
            (replica.series, len(replica.outstanding), sum(w.body_size for w in replica.outstanding.values()))
            for replica in self._router.replicas.values()
        )

    def fail_all(self, error: PodiumError) -> None:
        """Answer whoever still waits: the gateway ends."""
        self._walks.fail_all(error)

    # ── steps

    def _route(self, walk: Walk) -> None:
        """Send a request to a replica; where none takes it, let it wait or refuse it."""
        if self._send(walk):
            return
        table = self._router.table
        endpoint = walk.endpoint or table.default
        if endpoint not in table.endpoints and table.epoch:
            self._walks.fail(walk, NotFound(f"No model is served here as {endpoint}. {table.listed}"))
            return
        if walk.way.is_bound:
            self._lines.wake(endpoint)
            self._recorder.count_rejected(UNROUTED if walk.last is None else walk.last.series, "not_ready")
            self._walks.fail(walk, self._router.refusal_of(endpoint, walk.way))
            return
        if endpoint in table.hopeless:
            self._walks.refuse(walk, Unavailable("The model did not load; the server's status says why.", RETRY_AFTER_S))
            return
        if self._router.is_any_full(endpoint):
            self._recorder.count_rejected(UNROUTED if walk.last is None else walk.last.series, "queue_full")
            self._walks.fail(
                walk, Overloaded("The queues of all replicas of the model are full. Try again.", RETRY_AFTER_S)
            )
            return
        if self._is_last_crew:
            self._walks.refuse(walk, Unavailable("The server is shutting down.", RETRY_AFTER_S))
            return
        walk.avoid = ()
        refusal = self._lines.join(walk)
        if refusal is not None:
            self._recorder.count_rejected(UNROUTED, "waiting_full")
            self._walks.fail(walk, Unavailable(f"No replica of the model is ready, and {refusal.value}.", RETRY_AFTER_S))

    def _send(self, walk: Walk) -> bool:
        router = self._router
        endpoint = walk.endpoint or router.table.default
        rules = router.table.rules.get(endpoint)
        if rules is not None and not walk.way.is_bound and walk.last is None:
            walk.way = way_of(rules, endpoint, walk.request, walk.request_id)
        replica = router.choose(endpoint, walk.way, walk.avoid)
        if replica is None:
            return False
        walk.rows = router.estimate_rows(replica, len(walk.request.body))
        walk.be_named_by(replica)
        walk.replica = walk.last = replica
        walk.attempts += 1
        if walk.attempts > 1:
            self._recorder.count_retry(replica.series)
        replica.send(walk)
        return True

    def _on_reply(self, replica: Replica, walk: Walk | None, reply: frames.Reply) -> None:
        if walk is None:
            self._recorder.record_batch(replica.series, reply)
            return
        if walk not in self._open:
            self._shadowing.hear(replica, walk, reply)
            return
        walk.replica = None
        if (body := walk.told_by(replica.version, reply)) is None:
            self._route(walk)
            self._release_dropped(replica)
            return
        self._walks.release(walk)
        self.naming.note(replica, walk)
        self._router.learn_rows(replica, walk.body_size, reply.rows)
        headers = b"x-request-id: %s\r\n%s" % (walk.request_id.encode("latin-1"), replica.headers)
        if replica.is_compared and reply.status == 200:
            self._recorder.record_predictions(replica.series, reply.content_type, (reply.body,), (walk,), reply.predict_us)
        if reply.status in (429, 503):
            headers += b"retry-after: %d\r\n" % math.ceil(RETRY_AFTER_S)
        status = reply.status if 200 <= reply.status <= 599 else 500
        walk.exchange.answer(Response(status, body, reply.content_type, headers))
        self._walks.close(walk, 200 if walk.taker is not None and status == 204 else status, body, reply=reply)
        if replica.shadow is not None and status == 200 and walk.taker is None:
            self._shadowing.offer(replica, walk, reply.body, reply.content_type)
        if status == 200 and walk.taker is None:
            replica.lottery.left -= 1
            if replica.lottery.left < 0 and self._remembering is not None:
                self._remembering.see(replica, walk, reply)
        self._release_dropped(replica)

    def _on_answers(self, replica: Replica, walks: Sequence[Walk | None], answers: frames.Answers) -> None:
        opened, leave = self._open, self._shares.leave
        answered: list[tuple[Walk, bytes]] = []
        lines = replica.headers
        for walk, body in zip(walks, answers.bodies, strict=True):
            if walk is None or walk not in opened:
                if walk is not None:
                    self._shadowing.hear_planned(walk, body)
                continue
            walk.replica = None
            detour, exchange = walk.detour, walk.exchange
            if detour is None:
                made = body
            elif made := detour.made_of(replica.version, body, walk.rows, answers.form):
                exchange = detour.answers_to
            else:
                self._route(walk)
                continue
            del opened[walk]
            leave(walk)
            if walk.is_foreign:
                self.naming.note(replica, walk)
            size, name = len(made), walk.request_id.encode("latin-1")
            answered.append((walk, made))
            if not exchange.answer_raw(JSON_ANSWER % (size, name, lines, exchange.lines, made)):
                exchange.answer(Response(200, made, "application/json", b"x-request-id: %s\r\n%s" % (name, lines)))
        if replica.is_compared:
            self._recorder.record_predictions(replica.series, "application/json", answers.bodies, walks, answers.predict_us)
        if replica.shadow is not None:
            self._shadowing.offer_all(replica, walks, answers.bodies)
        self._recorder.record_answers(replica.series, (replica.endpoint, replica.version), answered, answers)
        replica.lottery.left -= len(answered)
        if replica.lottery.left < 0 and self._remembering is not None:
            given = dict(zip(walks, answers.bodies, strict=True))
            self._remembering.see_all(replica, [(walk, given[walk]) for walk, _ in answered])
        self._release_dropped(replica)

    def _on_refused(self, replica: Replica, walk: Walk, reason: int) -> None:
        replica.is_draining |= reason == frames.DRAINING
        if walk not in self._open:
            self._shadowing.refuse(walk)
            return
        walk.replica = None
        if reason != frames.DRAINING:
            walk.avoid = (*walk.avoid, replica.id)
        self._route(walk)
        self._release_dropped(replica)

    def _release_dropped(self, replica: Replica) -> None:
        if replica.is_dropped and not replica.outstanding and not replica.is_closed:
            replica.finish()
            self._router.forget(replica.id)
            self._on_released(replica.id)
