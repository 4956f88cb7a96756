"""What a gateway says of itself and of the server when asked: readiness, status, metrics."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from podium._version import __version__
from podium.domain.open_inference import model_metadata
from podium.serving.recording import Recorder
from podium.serving.walks.router import Router
from podium.serving.walks.ways import VERSION
from podium.telemetry.exposition import CONTENT_TYPE, Family, MetricSample, expose, series_families, supervisor_families
from podium.telemetry.metrics import (
    BUILD_INFO,
    LOG_LINES_DROPPED,
    PAYLOAD_RESULTS,
    PAYLOAD_SINKS,
    PAYLOADS,
    QUEUED_ROWS,
    READY,
    REMEMBERED,
    REMEMBERED_RESULTS,
    SERIES_METRICS,
    SPANS,
)
from podium.telemetry.slots import UNROUTED
from podium.transport.messages import Tell
from podium.web.messages import Head, Response
from podium.web.routes import detail

_SEVERAL = 2


class Standing:
    """Filled by the supervisor's messages, read by the pages.

    Attributes:
        is_ready: What the supervisor published last.
        is_draining: This gateway takes no new connection any more; it is not ready then.
    """

    def __init__(self, router: Router, recorder: Recorder) -> None:
        self.is_ready = False
        self.is_draining = False
        self._router = router
        self._recorder = recorder
        self._status: Mapping[str, Any] = {}
        self._supervisor: Mapping[str, Sequence[Mapping[str, Any]]] = {}
        self._series: Sequence[Mapping[str, str]] = ()

    def tell(self, told: Tell) -> None:
        """Take what the supervisor says."""
        if told.is_part:
            known, gone = self._status.get("endpoints", {}), set(told.gone)
            endpoints = {name: each for name, each in known.items() if name not in gone} | told.status["endpoints"]
            metrics = {name: each for name, each in self._supervisor.items() if name not in gone} | told.metrics
            self._status, self._supervisor = {**told.status, "endpoints": endpoints}, metrics
        else:
            self._status, self._supervisor = told.status, told.metrics
        if told.series is not None:
            self._series = told.series

    @property
    def takes_traffic(self) -> bool:
        return self.is_ready and not self.is_draining

    def readiness(self) -> Response:
        """As MLflow answers `/ping`, but 503 while not ready."""
        return Response(200 if self.takes_traffic else 503, b"\n")

    def readiness_of(self, endpoint: str) -> Response:
        """Whether one endpoint answers, if need be once it is awake; 404 for what is none."""
        table = self._router.table
        if endpoint not in table.endpoints:
            return detail(404, f"No model is served here as {endpoint}. {table.listed}")
        answers = table.endpoints[endpoint] or endpoint in table.asleep
        return Response(200 if answers and not self.is_draining else 503, b"\n")

    def version_of(self, series: int) -> str | None:
        """The version whose requests are counted in a series; None where nobody has said so."""
        return self._series[series].get("version") if series < len(self._series) else None

    def names(self) -> list[str]:
        """The endpoints that are published."""
        return list(self._router.table.endpoints)

    def versions_of(self, endpoint: str) -> list[str]:
        """The versions that have traffic of an endpoint now; not those that are loaded and dark."""
        return [target.version for target in self._router.table.endpoints.get(endpoint, ()) if target.weight]

    def bound(self, head: Head, endpoint: str, version: str | None) -> Head:
        """The head of a request for one version: where several are loaded, bound to it as by `x-podium-version`."""
        if not version or len(self._router.table.endpoints.get(endpoint, ())) < _SEVERAL:
            return head
        return Head(head.method, head.path, head.query, {**head.headers, VERSION: version.encode("latin-1", "replace")})

    def model_of(self, endpoint: str) -> Mapping[str, Any] | None:
        """What the supervisor says of the model that serves; None while none does."""
        known = self._status.get("endpoints")
        return known[endpoint].get("model") if isinstance(known, Mapping) and endpoint in known else None

    def absence_of(self, endpoint: str, version: str | None = None) -> Response | None:
        """Why nothing answers for an endpoint, or for one version of it, in the Open Inference Protocol's words."""
        if endpoint not in self._router.table.endpoints:
            return _error(404, f"No model is served here as {endpoint}.")
        if endpoint in self._router.table.asleep and version in (None, *self._coming(endpoint)):
            return None  # It wakes when it is asked.
        loaded = [target.version for target in self._router.table.endpoints[endpoint]]
        if version is not None and version not in loaded:
            if version in self._coming(endpoint):
                return _error(503, f"Version {version} of {endpoint} is not ready.")
            serving = ", ".join(self.versions_of(endpoint))
            return _error(404, f"{endpoint} has no version {version} here. These serve: {serving}.")
        return None if loaded else _error(503, f"{endpoint} is not ready.")

    def metadata_of(self, endpoint: str, version: str | None = None) -> Response:
        """What the Open Inference Protocol says of a model, and podium's `runtime` and `proof`; 404 for what is none."""
        model = self.model_of(endpoint)
        absence = self.absence_of(endpoint, version)
        if absence is not None and (absence.status == 404 or model is None):
            return absence
        if model is None:
            return _error(503, f"{endpoint} is not ready.")
        metadata = model_metadata(endpoint, model, self.versions_of(endpoint) if version is None else [version])
        return Response(200, msgspec.json.encode(metadata) + b"\n")

    def _coming(self, endpoint: str) -> list[str]:
        """Versions that are wanted and do not serve yet."""
        known = self._status.get("endpoints")
        told = known.get(endpoint, {}) if isinstance(known, Mapping) else {}
        return [str(told.get("wanted")), *(str(each.get("version")) for each in told.get("replicas") or ())]

    def status(self) -> Response:
        mine = {"is_ready": self.takes_traffic, "is_draining": self.is_draining, "epoch": self._router.table.epoch}
        return Response(200, msgspec.json.encode({**self._status, **mine}) + b"\n")

    def metrics(self) -> Response:
        """Prometheus' page for the whole server: the sums over all gateways."""
        slots = self._recorder.slots
        series = [(labels, slots.totals(index)) for index, labels in enumerate(self._series) if labels and index < UNROUTED]
        unrouted = slots.totals(UNROUTED)
        if any(unrouted):
            # Where there are several, nobody knows which one these were for.
            table = self._router.table
            series.append(({"model": table.default if len(table.endpoints) == 1 else "", "version": ""}, unrouted))
        families = [
            *series_families(SERIES_METRICS, series),
            *self._own(),
            *supervisor_families([each for of in self._supervisor.values() for each in of]),
        ]
        return Response(200, expose(families), CONTENT_TYPE)

    def _own(self) -> Iterable[Family]:
        queued: dict[tuple[str, str], int] = {}
        for replica in self._router.replicas.values():
            name = (replica.endpoint, replica.version)
            queued[name] = queued.get(name, 0) + replica.board.queued_rows
        yield Family(QUEUED_ROWS, [MetricSample({"model": m, "version": v}, rows) for (m, v), rows in queued.items()])
        yield Family(LOG_LINES_DROPPED, [MetricSample({}, self._recorder.slots.lines_dropped())])
        exported = self._recorder.slots.exported
        yield Family(
            PAYLOADS,
            [
                MetricSample({"sink": sink, "result": result}, count)
                for sink in PAYLOAD_SINKS
                for result in PAYLOAD_RESULTS
                if (count := exported(f"{sink}_{result}"))
            ],
        )
        sent = [MetricSample({"result": each}, count) for each in PAYLOAD_RESULTS if (count := exported(f"spans_{each}"))]
        yield Family(SPANS, sent)
        kept = [MetricSample({"result": each}, n) for each in REMEMBERED_RESULTS if (n := exported(f"answers_{each}"))]
        yield Family(REMEMBERED, kept)
        yield Family(READY, [MetricSample({}, int(self.takes_traffic))])
        yield Family(BUILD_INFO, [MetricSample({"version": __version__}, 1)])


def _error(status: int, text: str) -> Response:
    """As the Open Inference Protocol answers what it cannot."""
    return Response(status, msgspec.json.encode({"error": text}) + b"\n")
