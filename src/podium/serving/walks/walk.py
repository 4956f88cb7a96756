"""One scoring request on its way through a gateway."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from podium.domain.traffic import ANYWHERE
from podium.serving.walks.shares import NOWHERE
from podium.transport import frames
from podium.web.handling import Exchange, PartsTaker
from podium.web.messages import Request

_OK, _BAD = 200, 400
_JSON = "application/json"

if TYPE_CHECKING:
    from podium.protocols.mlflow.fast_packing import Packed
    from podium.serving.walks.replica import Replica


class Detour(Protocol):
    """How a request of another protocol takes MLflow's quickest way: read as records, answered by MLflow's text."""

    @property
    def answers_to(self) -> Exchange:
        """Who takes the answer that `made_of` made."""

    @property
    def says_fields(self) -> bool:
        """Whether the request's body, as it came, says each field that it says on the long way."""

    @property
    def wants_tensors(self) -> bool:
        """Whether it is better answered with tensors, where it shares its frame with nobody."""

    def read(self, replica: "Replica") -> "Packed | None":
        """The request as records of the replica's plan; None where it has to go the long way."""

    def start(self) -> None:
        """Take the long way, from the start."""

    def request(self) -> Request:
        """The request as the long way has it, for when the quick one did not get there."""

    def made_of(self, version: str, body: bytes, rows: int, form: int) -> bytes:
        """The client's answer out of MLflow's; empty where it cannot be made, and the long way is to be taken.

        `form` is the number of what the answer was cut from, as in `transport.frames.Answers`.
        """


class Walk:
    """What is known of a request until its answer left.

    Attributes:
        started, deadline: Seconds, monotonic: the clock of a frame's deadline.
        endpoint: Public name of the one it is for; None for the table's default.
        client, principal: Who asks: the address, and as whom they are known; empty where nobody was asked.
        replica, identity: Where it is outstanding; None while it waits.
        last: The replica it was sent to last: what an error is counted for.
        rows: Estimated; what it counts for on its replica.
        attempts: How often it was sent.
        avoid: Ids of replicas that were too full for it.
        body_size: Bytes.
        place: Where it is counted; as in `shares`.
        on_leave: Told when its client left.
        timer: Ends it, where its client waits for less than the server allows.
        is_foreign: Its id does not say which version answers: the client's own, or of another version.
        is_solo: It was in a batch that a worker died of: never merged again, and not sent a third time.
        taker: The exchange, where it takes the answer in parts.
        parts, sent: How many there were, and their bytes.
        taken, told: How many the client took that the worker was not told of yet, and that it was told of.
        detour: Of a request of another protocol that goes as records; None for all others.
        way: Which version it wants; decided when it was taken.
        packed: Its body, decoded, where a shadow may want it, too; else None.
    """

    __slots__ = (
        "attempts", "avoid", "body_size", "client", "deadline", "detour", "endpoint", "exchange", "identity", "is_foreign",
        "is_solo", "last", "on_leave", "packed", "parts", "place", "principal", "replica", "request", "request_id", "rows",
        "sent",
        "started", "taken", "taker", "timer", "told", "way",
    )  # fmt: skip

    def __init__(
        self, request: Request, exchange: Exchange, request_id: str, timeout_s: float, endpoint: str | None = None
    ) -> None:
        self.request = request
        self.exchange = exchange
        self.request_id = request_id
        self.body_size = len(request.body)
        self.client = exchange.client
        self.principal = exchange.terms.principal
        self.endpoint = endpoint
        self.started = now = time.monotonic()
        self.deadline = now + timeout_s
        self.replica: Replica | None = None
        self.last: Replica | None = None
        self.identity = 0
        self.rows = 1
        self.attempts = 0
        self.avoid: tuple[int, ...] = ()
        self.is_foreign = self.is_solo = False
        self.taker: PartsTaker | None = None
        self.parts = self.sent = self.taken = self.told = 0
        self.way = ANYWHERE
        self.packed: Packed | None = None
        self.detour: Detour | None = None
        self.place = NOWHERE
        self.on_leave: Callable[[Walk], None] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def leave(self) -> None:
        """Its client has left."""
        if self.on_leave is not None:
            self.on_leave(self)

    def be_named_by(self, replica: "Replica") -> None:
        """Have an id that says which version answers, where nobody has heard of another one yet."""
        if self.last is None:
            if not self.is_foreign:
                self.request_id = replica.ids.new()
        elif self.last.series != replica.series:
            self.is_foreign = True

    def told_by(self, version: str, reply: frames.Reply) -> bytes | memoryview | None:
        """The body for the client; None where a detour's answer cannot be made, and the long way is to be taken.

        That one also says in its protocol's words what is wrong with a request, or with the model.
        """
        if self.detour is not None and self.attempts == 1 and reply.status == _BAD:
            return None
        if self.detour is None or reply.status != _OK or reply.content_type != _JSON:
            return reply.body
        return self.detour.made_of(version, bytes(reply.body), self.rows, 0) or None

    def as_frame(self, request: Request) -> tuple[bytes, ...]:
        """The request as a worker gets it, in parts; its own, or what its detour makes of it."""
        return frames.request_parts(
            frames.RequestFrame(
                id=self.identity,
                body=request.body,  # type: ignore[arg-type]  # sent, never kept
                content_type=request.header(b"content-type"),
                request_id=self.request_id,
                deadline_ns=int(self.deadline * 1e9),
                is_solo=self.is_solo,
                is_stream=self.taker is not None,
            )
        )
