"""What the supervisor and its children say to each other on their control sockets, as values and as JSON.

    supervisor → worker   Load, Attach (+ data socket), GiveWay, CountBy (+ profile), Drain
    worker → supervisor   Loading, Ready (+ slab, where its rows are counted), LoadError, Bootstrapped, Counting (+ slab),
                          Drained
    supervisor → gateway  AddReplica (+ data socket, board), Publish, DropReplica, Drain, Tell, AskOutcome
    gateway → supervisor  Started, Acknowledge, ReplicaLost, ReplicaReleased, Drained, Ask
    a fork server's       stand in `fork_messages.py`, what gateways hear of one another in `door_messages.py`,
                          the monitor's in `monitor_messages.py`, those about counting rows in `counting_messages.py`

End-of-file says the rest: the supervisor sees a child's death, and a child its supervisor's, by its socket closing.
"""

import dataclasses
import math
import types
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin

from podium.domain.devices import CPU, DeviceUse
from podium.domain.dialect import COMPAT, Dialect
from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.errors import Misconfigured, PodiumError
from podium.transport.counting_messages import Bootstrapped, CountBy, Counting
from podium.transport.door_messages import StandBack, StandIn
from podium.transport.fork_messages import Fork, Forked, Preload, Preloaded, Unforkable
from podium.transport.monitor_messages import Look, Sight


class BrokenMessage(PodiumError):
    """The other side sent what is not a message; its socket is of no further use."""

    code = "BROKEN_MESSAGE"


# ── supervisor → worker


@dataclass(frozen=True, slots=True)
class Load:
    """Load this model and say Ready or LoadError. The first message a worker gets, once.

    Args:
        path: The verified private copy of the model's folder.
        mlmodel: The whole MLmodel file as JSON; the worker reads no YAML.
        endpoint: Public name, for logs and messages.
        version: The version's label, likewise.
        batching: A `domain.batching.BatchingMode`.
        max_batch_rows: A batch never holds more, unless one request alone does.
        gather_percent: After a batch of several, wait up to this part of its cost for as many again; 0: never.
        max_queue_rows: Requests beyond are REFUSED with QUEUE_FULL; one request alone is always taken by an empty queue.
        packages: Names whose installed versions Ready reports (the model's requirements).
        busy_wait_us: How long to look for the next request of a lone client before sleeping; 0 never.
        has_shortcuts: Whether the model may be answered for by what is proven equal to it.
        conversion: The folder of a conversion that was accepted, or None; `prefers_conversion` takes it before others.
        threads: For BLAS, OpenMP and onnxruntime; set before anything is imported.
        is_low_priority: Load at low priority because something is served meanwhile, of this model or of others.
        is_awaited: Nothing of this model is: at a low priority that is not the lowest.
        model_config: Overrides of the model's own config, or None.
        dialect: How requests are read and answers written.
        terms: Where the model is to compute, and whether its folder may run code.
        memory_bytes: The most memory that the worker may hold; None for what the machine has.
        is_hidden: It runs as a user of its own, whose other processes may not look into it.
        is_watched: Whether its rows are counted by its monitoring profile, or are to make one where it has none.
        hash_key: That the profile's categories may be hashed with; a secret.
    """

    path: str
    mlmodel: dict[str, Any]
    endpoint: str
    version: str
    batching: str = "auto"
    max_batch_rows: int = 256
    gather_percent: int = 10
    max_queue_rows: int = 4096
    packages: list[str] = field(default_factory=list)
    busy_wait_us: int = 0
    has_shortcuts: bool = True
    conversion: str | None = None
    prefers_conversion: bool = False
    threads: int = 1
    is_low_priority: bool = False
    is_awaited: bool = False
    model_config: dict[str, Any] | None = None
    dialect: Dialect = COMPAT
    terms: LoadTerms = DEFAULT_TERMS
    memory_bytes: int | None = None
    is_hidden: bool = False
    is_watched: bool = False
    hash_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Attach:
    """Answer requests from this gateway; the data socket comes with the message.

    Args:
        socket: Serial of the data socket: what the board names it by.
    """

    socket: int


@dataclass(frozen=True, slots=True)
class GiveWay:
    """Take only what other processes leave of the processor, or as much as any again; where the system allows the latter.

    Args:
        is_on: Whether clients wait for others and nobody for this one.
    """

    is_on: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what is queued, refuse what comes later with DRAINING, say Drained, exit 0.

    For a gateway: say not ready, take no new connection, finish what is in flight, say Drained, exit 0.

    Args:
        limit_s: Exit anyway after so many seconds.
    """

    limit_s: float


# ── worker → supervisor


@dataclass(frozen=True, slots=True)
class Loading:
    """A step of loading began, in this order: `import`, `load`, `warm`, `probe`."""

    step: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and warm.

    Args:
        flavor: `sklearn`, `onnx`, `python_function`, …
        python: Version of the interpreter; `executable` is its path.
        installed: The versions of `Load.packages` here; None where one is missing.
        is_batching: Whether requests are merged; `batching_reason` says why or why not, for people.
        example: A JSON body to POST, made from the input example, or None.
        load_s: Seconds from Load to Ready.
        rss_bytes: Resident memory now.
        warnings: Sentences for people (a library mismatch, an example that failed).
        plan: `domain.inputs.plan.InputPlan` as JSON: bodies that gateways may decode; None where there is no such plan.
        runtime: What runs the model, for people: its own method, or a shortcut that was proven equal to it.
        proof: What was compared for that (`worker.proofs.parity.Proof` as JSON); None where the model answers by itself.
        device: Where it computes, and how full that is.
        is_streaming: Whether it answers in parts, too.
        profile_id: By which its rows are counted in the slab that comes with the message; None where nobody counts them.
    """

    flavor: str
    python: str
    executable: str
    installed: dict[str, str | None]
    is_batching: bool
    batching_reason: str
    example: str | None
    load_s: float
    rss_bytes: int
    warnings: list[str] = field(default_factory=list)
    plan: dict[str, Any] | None = None
    runtime: str = ""
    proof: dict[str, Any] | None = None
    device: DeviceUse = CPU
    is_streaming: bool = False
    profile_id: str | None = None


@dataclass(frozen=True, slots=True)
class LoadError:
    """The model did not load; the worker exits with status 3 after this.

    Args:
        cause: One of the names in `domain/causes.py`. An input example that fails is a warning of Ready, not an error: the
            example may be stale where the model is well.
        message: One or two sentences for people, without the traceback (which is in the worker's log).
    """

    cause: str
    message: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing is in flight any more; exiting."""


# ── supervisor → gateway


@dataclass(frozen=True, slots=True)
class AddReplica:
    """Connect to a worker; its data socket and its board come with the message, in this order.

    Args:
        replica: Id, never reused while the supervisor lives.
        endpoint, version: What it answers for.
        socket: Serial of the data socket: what the board names it by.
        series: Index of the metric series that its requests are counted in (`telemetry/slots.py`).
        plan: As in Ready.
        group_rows: Requests that fit the plan are sent together up to so many rows; 0: each by itself.
    """

    replica: int
    endpoint: str
    version: str
    socket: int
    series: int
    plan: dict[str, Any] | None = None
    group_rows: int = 0


@dataclass(frozen=True, slots=True)
class Publish:
    """Route by this table from now on and say Acknowledge.

    Args:
        table: `domain.traffic.RoutingTable` as JSON.
        is_ready: What `/readyz` and `/ping` answer.
    """

    table: dict[str, Any]
    is_ready: bool


@dataclass(frozen=True, slots=True)
class DropReplica:
    """Give this replica no new request; say ReplicaReleased when none is outstanding, and close its socket."""

    replica: int


@dataclass(frozen=True, slots=True)
class Tell:
    """What a gateway answers with when people and monitoring ask it.

    Args:
        status: What `/status` shows; its schema stands in `fleet/telling/status.py`.
        metrics: The supervisor's part of `/metrics`, by endpoint and for the server under the empty name: `{"name",
            "labels", "value"}`, names from `telemetry/metrics.py`.
        series: Labels of the metric series in `telemetry/slots.py`, by index; None: as before.
        is_part: Whether endpoints that are in neither `status` nor `gone` stay as they were told before.
        gone: Endpoints that there are no more.
    """

    status: dict[str, Any]
    metrics: dict[str, list[dict[str, Any]]]
    series: list[dict[str, str]] | None
    is_part: bool = False
    gone: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AskOutcome:
    """What came of an Ask.

    Args:
        number: The question's.
        status: As HTTP has it: 200 done, 404 no such subject, 409, 501 an unknown verb, 503, 507.
        body: Any JSON; `error` is a sentence where the status is 400 or more.
    """

    number: int
    status: int
    body: dict[str, Any] = field(default_factory=dict)


# ── gateway → supervisor


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody wants the server to do something that only the supervisor can: load a model, unload it. AskOutcome follows.

    Args:
        number: The gateway's own, to know the AskOutcome by.
        verb: What to do (`fleet/asks.py` knows them).
        subject: What to do it with: mostly an endpoint's name.
        arguments: Any JSON.
    """

    number: int
    verb: str
    subject: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Started:
    """The gateway accepts connections."""

    pid: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The gateway routes by the table of this epoch; no request will be sent by an older one."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ReplicaLost:
    """The data socket of a replica broke."""

    replica: int


@dataclass(frozen=True, slots=True)
class ReplicaReleased:
    """No request of this gateway is outstanding on a dropped replica."""

    replica: int


Message = (
    Load | Attach | GiveWay | CountBy | Drain | Loading | Ready | LoadError | Bootstrapped | Counting | Drained
    | AddReplica | Publish | DropReplica | Tell | AskOutcome | Ask | Started | Acknowledge | ReplicaLost | ReplicaReleased
    | StandIn | StandBack | Preload | Fork | Preloaded | Forked | Unforkable | Look | Sight
)  # fmt: skip

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}

_NESTED: dict[type[Any], dict[str, type[Any]]] = {
    Load: {"dialect": Dialect, "terms": LoadTerms},
    Ready: {"device": DeviceUse},
}


def message_to_json(message: Message) -> dict[str, Any]:
    """The message's fields, and its class name as `type`."""
    fields = {item.name: getattr(message, item.name) for item in dataclasses.fields(message)}
    fields |= {name: dataclasses.asdict(fields[name]) for name in _NESTED.get(type(message), ())}
    return {"type": type(message).__name__, **fields}


def message_from_json(entry: Any) -> Message:
    """Read a message.

    Raises:
        BrokenMessage: An unknown type, or fields that do not fit it, in name or in type.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or entry["type"] not in _KINDS:
        raise BrokenMessage("a control message of no known type")
    kind = _KINDS[entry["type"]]
    fields = {name: value for name, value in entry.items() if name != "type"}
    nested = _NESTED.get(kind, {})
    fields |= {name: _value(inner, fields[name]) for name, inner in nested.items() if name in fields}
    for item in dataclasses.fields(kind):
        if item.name in fields and not _fits(fields[item.name], item.type):
            raise BrokenMessage(f"a {kind.__name__} message whose {item.name} is not of type {item.type}")
    try:
        message: Message = kind(**fields)
    except TypeError as error:
        raise BrokenMessage(f"a {kind.__name__} message with other fields than expected: {error}") from error
    return message


def _value(kind: type[Any], entry: Any) -> Any:
    try:
        value = kind(**entry)
    except (TypeError, Misconfigured) as error:
        raise BrokenMessage(f"a message with a {kind.__name__} that cannot be read: {error}") from error
    if odd := [item.name for item in dataclasses.fields(kind) if not _fits(getattr(value, item.name), _plain(item.type))]:
        raise BrokenMessage(f"a message with a {kind.__name__} whose {odd[0]} is of another type")
    return value


def _plain(kind: Any) -> Any:
    """A word's type is text: which words there are, its class has checked."""
    return str if get_origin(kind) is Literal else kind


def _fits(value: Any, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in {Union, types.UnionType}:
        return any(_fits(value, option) for option in arguments)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, arguments[1]) for item in value.values())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)
