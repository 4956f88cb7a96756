"""What people and programs are told of a server: one JSON document, made from values. Pure.

Schema 1, as in `server.json`, `podium status --json` and `GET /status`. Names stay; new ones may come.

    schema, id, pid, pid_started, podium, started_at          the server; pid_started is in clock ticks since boot
    logs              whose name its own logs are under
    host, port, url   where it listens; grpc_address: HOST:PORT where it does for gRPC, or null;
                      certificate: the file of the one that it shows over TLS, or null
    settings          {"serve.port": {value, source}, …}: what was set, and by whom; values as people write them
    objectives        {"": [{kind, target, threshold_s, period_s}], …}: by model where it has its own, else under ""
    gateways          [{slot, pid}]
    restarts          {workers, gateways}, of all endpoints
    default           the endpoint that `/invocations` is for
    endpoints         {name: of each endpoint what follows}; what the default one has stands at the top, too

    endpoint, uri     its public name, what it was asked to serve
    state             starting | serving | swapping | degraded | down | failed | asleep | unloading | stopping; failed: it
                      never loaded; asleep: its next request wakes it
    wanted, serving   versions, or null: what the source names; what every gateway routes to
    is_settled        what is wanted serves, with all its replicas, in every gateway
    wanted_failure    {version, cause, message, at} when what is wanted did not load, else null
    source            {is_up, error, is_followed}: whether the registry answers, why not, whether it is asked at all
    replicas          [{id, version, state, step, pid, start: {is_forked, said}, rss_bytes, max_batch_rows,
                      device: {device, name, used_bytes, total_bytes} or null}]; replicas_wanted; of a forked one rss_bytes
                      is what it shares with nobody
    model             of what serves (asleep: served last), or null: {version, digest, is_verified, flavor, python,
                      executable, batching: {is_on, reason}, runtime, proof, requirements: {are_met, mismatches},
                      warnings, load_s, inputs, outputs: [{name, datatype, shape}], rows, audit: {counts, findings}};
                      the last as `podium env audit --json` has it, of what nobody needs to be asked for
    failed            [{version, cause, message, at, is_vetoed}], newest last; is_vetoed: not tried again
                      until another is wanted
    restarts          {workers}; swaps
    isolation         none, user or sandbox, and what it protects from
    rollout           the last one of what is followed, or null; see `fleet/rollouts/status.py`
    pin               {version, until, reason, by, at} while somebody holds the endpoint, else null
    clock             {skew_s, uncertainty_s}: the registry's clock, by which rollouts go, against this machine's; or null
    traffic           of several versions: weights, rules, shadow; see `fleet/telling/traffic_status.py`

`GET /status` adds what the gateway that answers knows of itself: is_ready, is_draining, epoch of its routing table.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from podium.domain.devices import DeviceUse
from podium.domain.lifecycle import ReplicaState
from podium.domain.monitoring.quality.tasks import SaidTask
from podium.domain.planning import Failure, Journal
from podium.domain.traffic import Target
from podium.fleet.rollouts.status import rollout_metrics
from podium.fleet.sources import Wish
from podium.fleet.telling.served_version import ServedVersion
from podium.fleet.telling.traffic_status import Traffic, traffic_status
from podium.fleet.workers.replica import WorkerReplica
from podium.fleet.workers.starting import Origin

ISOLATION = {
    "none": "none: processes of one user; a model's faults are contained, a hostile model is not",
    "user": "user: workers run as another user; they can use the network, and signal workers of the same user",
    "sandbox": "sandbox: workers run in bubblewrap, without the network and with nothing but their model's files",
}
_MEBIBYTE = 1 << 20


@dataclass(slots=True)
class Counts:
    """What happened so far."""

    worker_restarts: int = 0
    swaps: int = 0
    load_failures: dict[str, int] | None = None

    def failed(self, cause: str) -> None:
        """Count a version that did not load."""
        self.load_failures = {**(self.load_failures or {}), cause: (self.load_failures or {}).get(cause, 0) + 1}


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that an endpoint's status is made from."""

    endpoint: str
    uri: str
    wish: Wish
    is_followed: bool
    journal: Journal
    failures: Sequence[tuple[str, Failure]]
    targets: tuple[Target, ...]
    is_acknowledged: bool
    replicas: Sequence[WorkerReplica]
    replicas_wanted: int
    served: Mapping[str, ServedVersion]
    counts: Counts
    is_hopeless: bool
    isolation: str
    is_asleep: bool = False
    is_leaving: bool = False
    traffic: Traffic | None = None
    rollout: dict[str, Any] | None = None
    pin: dict[str, Any] | None = None
    clock: dict[str, float] | None = None
    purpose: SaidTask = field(default_factory=SaidTask)
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that a server's status is made from.

    Args:
        identity: What stays the same while it lives.
        default: The endpoint that a request which names none is for.
        endpoints: Each one's situation.
        gateways: Slot to process id.
        gateway_restarts: So far.
        is_stopping: Whether it ends.
    """

    identity: Mapping[str, Any]
    default: str
    endpoints: Sequence[Situation]
    gateways: Mapping[int, int]
    gateway_restarts: int
    is_stopping: bool


class ToldStatus:
    """What is said of each endpoint, made anew only where its situation is another value than before."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Situation, bool, dict[str, Any], list[dict[str, Any]]]] = {}

    def of(self, situation: Situation, *, is_stopping: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Its part of the document and its metrics; where they say the same as before, the very same objects."""
        known = self._told.get(situation.endpoint)
        if known is not None and known[0] is situation and known[1] == is_stopping:
            return known[2], known[3]
        status, metrics = _endpoint_status(situation, is_stopping), _endpoint_metrics(situation)
        if known is not None:
            status = known[2] if known[2] == status else status
            metrics = known[3] if known[3] == metrics else metrics
        self._told[situation.endpoint] = (situation, is_stopping, status, metrics)
        return status, metrics

    def forget(self, names: Container[str]) -> None:
        """Keep nothing of any endpoint but these."""
        self._told = {name: each for name, each in self._told.items() if name in names}


def status_of(overview: Overview, told: ToldStatus) -> dict[str, Any]:
    """The whole document."""
    endpoints = {each.endpoint: told.of(each, is_stopping=overview.is_stopping)[0] for each in overview.endpoints}
    told.forget(endpoints)
    workers = sum(each.counts.worker_restarts for each in overview.endpoints)
    return {
        **overview.identity,
        **endpoints.get(overview.default, {}),
        "gateways": [{"slot": slot, "pid": pid} for slot, pid in overview.gateways.items()],
        "restarts": {"workers": workers, "gateways": overview.gateway_restarts},
        "default": overview.default,
        "endpoints": endpoints,
    }


def _endpoint_status(situation: Situation, is_stopping: bool) -> dict[str, Any]:
    wanted = situation.wish.resolved.label if situation.wish.resolved else None
    serving = situation.targets[0].version if situation.targets else None
    failure = situation.journal.vetoed.get(wanted) if wanted else None
    ready = len(situation.targets[0].replicas) if situation.targets else 0
    is_whole = ready >= situation.replicas_wanted
    state = _state(situation, wanted, serving, is_vetoed=failure is not None, is_whole=is_whole)
    return {
        "endpoint": situation.endpoint,
        "uri": situation.uri,
        "state": "stopping" if is_stopping else state,
        "wanted": wanted,
        "serving": serving,
        "is_settled": wanted is not None
        and (wanted == serving == situation.journal.stable or situation.is_asleep)
        and is_whole
        and situation.is_acknowledged,
        "wanted_failure": None if failure is None else {"version": wanted, **asdict(failure)},
        "source": {
            "is_up": situation.wish.is_up,
            "error": situation.wish.error,
            "down_since": situation.wish.down_since,
            "place": situation.wish.resolved.place if situation.wish.resolved else None,
            "is_followed": situation.is_followed,
        },
        "replicas": [_replica(replica) for replica in situation.replicas],
        "replicas_wanted": situation.replicas_wanted,
        "model": _model(serving or (situation.journal.stable if situation.is_asleep else None), situation.served),
        "failed": [
            {"version": version, **asdict(entry), "is_vetoed": situation.journal.vetoed.get(version) == entry}
            for version, entry in situation.failures
        ],
        "restarts": {"workers": situation.counts.worker_restarts},
        "swaps": situation.counts.swaps,
        "isolation": ISOLATION[situation.isolation],
        "traffic": traffic_status(situation.traffic, situation.targets),
        "rollout": situation.rollout,
        "pin": situation.pin,
        "clock": situation.clock,
    }


def metrics_of(overview: Overview, told: ToldStatus) -> dict[str, list[dict[str, Any]]]:
    """The supervisor's part of `/metrics`: `{name, labels, value}`, by the names in `telemetry.metrics`.

    Those of each endpoint by its name, and those of the whole server under the empty one.
    """
    entries = [
        _metric("podium_gateway_restarts_total", {}, overview.gateway_restarts),
        _metric("podium_registry_up", {}, int(all(each.wish.is_up for each in overview.endpoints))),
    ]
    of_endpoints = {each.endpoint: told.of(each, is_stopping=overview.is_stopping)[1] for each in overview.endpoints}
    return {"": entries, **of_endpoints}


def _endpoint_metrics(situation: Situation) -> list[dict[str, Any]]:
    counts, own = situation.counts, {"model": situation.endpoint}
    entries = [
        _metric("podium_replicas_wanted", own, situation.replicas_wanted),
        _metric("podium_worker_restarts_total", own, counts.worker_restarts),
        _metric("podium_swaps_total", own, counts.swaps),
    ]
    states = [(replica.version, replica.state) for replica in situation.replicas]
    for version, state in sorted({(version, state) for version in dict(states) for state in _COUNTED}):
        value = states.count((version, state))
        entries.append(_metric("podium_replicas", {**own, "version": version, "state": state.value}, value))
    for cause, count in sorted((counts.load_failures or {}).items()):
        entries.append(_metric("podium_load_failures_total", {**own, "cause": cause}, count))
    for replica in situation.replicas:
        entries += _replica_metrics(replica, own)
    told = rollout_metrics(situation.rollout, situation.pin, situation.clock)
    entries += [_metric(name, {**own, **labels}, amount) for name, labels, amount in told]
    for target in situation.targets:
        entries += _target_metrics(target, own, situation.served.get(target.version))
    standings = situation.traffic.bandit if situation.traffic is not None else None
    for version, chance in () if standings is None else standings.chances.items():
        entries.append(_metric("podium_bandit_chance_ratio", {**own, "version": version}, round(chance, 3)))
    return entries


_COUNTED = (ReplicaState.STARTING, ReplicaState.READY, ReplicaState.DRAINING)


def _replica_metrics(replica: WorkerReplica, own: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    labels = {**own, "version": replica.version, "replica": str(replica.id)}
    if replica.row_cap:
        yield _metric("podium_batch_rows_limit", labels, replica.row_cap)
    use = replica.device
    if use is not None and use.total_bytes:
        on = {**labels, "device": use.device, "device_name": use.name}
        yield _metric("podium_device_memory_used_bytes", on, use.used_bytes)
        yield _metric("podium_device_memory_bytes", on, use.total_bytes)
    if use is not None and use.utilisation_percent is not None:
        on = {**labels, "device": use.device, "device_name": use.name}
        yield _metric("podium_device_utilisation_ratio", on, use.utilisation_percent / 100)


def _target_metrics(target: Target, own: Mapping[str, str], served: ServedVersion | None) -> Iterable[dict[str, Any]]:
    labels = {**own, "version": target.version}
    yield _metric("podium_traffic_share", labels, target.weight / 100)
    if served is not None:
        ready, prepared = served.ready, served.prepared
        yield _metric("podium_model_load_duration_seconds", labels, ready.load_s)
        yield _metric("podium_model_memory_bytes", labels, ready.rss_bytes)
        yield _metric("podium_environment_mismatches", labels, len(served.unmet))
        for severity, count in served.severities.items():
            yield _metric("podium_environment_findings", {**labels, "severity": severity}, count)
        info = {**labels, "flavor": ready.flavor, "python": ready.python, "digest": prepared.digest}
        yield _metric("podium_model_info", info, 1)


def _metric(name: str, labels: Mapping[str, str], value: float) -> dict[str, Any]:
    return {"name": name, "labels": dict(labels), "value": value}


def _state(situation: Situation, wanted: str | None, serving: str | None, *, is_vetoed: bool, is_whole: bool) -> str:
    if situation.is_leaving:
        return "unloading"
    if situation.is_hopeless:
        return "failed"
    if situation.is_asleep:
        return "asleep"
    if serving is None:
        return "starting" if situation.journal.stable is None else "down"
    if wanted is not None and wanted != serving and not is_vetoed:
        return "swapping"
    return "serving" if is_whole else "degraded"


def _replica(replica: WorkerReplica) -> dict[str, Any]:
    return {
        "id": replica.id,
        "version": replica.version,
        "state": replica.state.value,
        "step": replica.step if replica.state is ReplicaState.STARTING else None,
        "pid": replica.pid,
        "start": _start(replica.origin),
        # Sizes are rounded, so that the document does not change all the time.
        "rss_bytes": _rounded(replica.rss_bytes),
        "max_batch_rows": replica.row_cap or None,
        "device": _device(replica.device),
    }


def _start(origin: Origin | None) -> dict[str, Any] | None:
    return None if origin is None else {"is_forked": origin.is_forked, "said": origin.said}


def _device(use: DeviceUse | None) -> dict[str, Any] | None:
    if use is None:
        return None
    return {
        "device": use.device,
        "name": use.name or None,
        "used_bytes": _rounded(use.used_bytes) if use.total_bytes else None,
        "total_bytes": use.total_bytes or None,
    }


def _rounded(size: int) -> int:
    return size // (16 * _MEBIBYTE) * 16 * _MEBIBYTE


def _model(serving: str | None, served: Mapping[str, ServedVersion]) -> dict[str, Any] | None:
    return None if serving is None or serving not in served else {"version": serving, **served[serving].told}
