"""A server that keeps what it is asked: every request once, through an exporter's death, and found again by commands."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from receiving import Receiver
from tinyhouse import House, Server, until

from podium.api.requests import erase, replay, show
from podium.errors import NotFound
from podium.monitoring.payloads.files import files_of
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home

_ANSWER = "answers.append([VERSION, row[0]]); continue"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
pytestmark = pytest.mark.slow


def exporter(house: House, other_than: int = 0) -> int:
    """The process of the one there is."""

    def found() -> list[int]:
        return [pid for pid, line in house.processes().items() if "monitoring.exporters" in line and pid != other_than]

    until(lambda: bool(found()), "an exporter")
    return found()[0]


def kept(house: House) -> list[dict[str, Any]]:
    """What is whole: a line may be half written when it is looked at."""
    whole = [Path(path).read_text().rpartition("\n")[0] for path in files_of(house.home / "payloads")]
    return [json.loads(line) for text in whole for line in text.splitlines()]


def ask(server: Server, times: int) -> None:
    for _ in range(times):
        assert server.ask()[0] == 200


@pytest.fixture
def collector() -> Iterator[Receiver]:
    """Who is sent traces."""
    made = Receiver()
    yield made
    made.close()


def spans_at(collector: Receiver) -> list[Span]:
    """All that arrived, read as OpenTelemetry's collector reads it."""
    requests = [
        ExportTraceServiceRequest.FromString(body) for headers, body in collector.events if headers[":path"] == "/v1/traces"
    ]
    return [span for each in requests for of in each.resource_spans for scope in of.scope_spans for span in scope.spans]


def requests_at(collector: Receiver) -> float:
    """How many requests the newest metrics say there were."""
    *_, (_, body) = [event for event in collector.events if event[0][":path"] == "/v1/metrics"]
    of = ExportMetricsServiceRequest.FromString(body).resource_metrics[0].scope_metrics[0]
    return sum(point.as_double for each in of.metrics if each.name == "podium_requests" for point in each.sum.data_points)


def test_each_request_is_kept_once_though_the_exporter_is_killed_and_can_be_shown_replayed_and_erased(
    house: House, collector: Receiver
) -> None:
    for version in (1, 2):
        house.register(version, before_answer=_ANSWER)
    house.promote(1)
    flags = ("--payload-log", "jsonl", "--gateways", "2", "--otlp-endpoint", collector.base, "--trace-sample", "0")
    with house.serving(*flags) as server:
        ask(server, 20)
        until(lambda: len(kept(house)) == 20, "the first rows")
        first = exporter(house)
        os.kill(first, signal.SIGKILL)
        ask(server, 20)
        until(lambda: len(kept(house)) == 40, "the rows of after the exporter's death")
        second = exporter(house, other_than=first)
        os.kill(second, signal.SIGSTOP)
        ask(server, 20)
        os.kill(second, signal.SIGCONT)
        server.score(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
        assert server.stop() == 0

    spans = {span.name: span for span in spans_at(collector)}
    assert set(spans) == {"POST /invocations", "podium.queue", "podium.predict", "podium.batch"}
    part, batch = spans["podium.predict"], spans["podium.batch"]
    assert [(link.trace_id, link.span_id) for link in part.links] == [(batch.trace_id, batch.span_id)]
    assert [(link.trace_id, link.span_id) for link in batch.links] == [(part.trace_id, part.span_id)]
    assert part.trace_id.hex() == TRACE
    assert requests_at(collector) == 61
    rows = kept(house)
    assert (len(rows), len({row["request_id"] for row in rows})) == (61, 61)
    name = rows[-1]["request_id"]
    home = Home(house.home)
    shown = show(name, home)
    assert (shown["version"], shown["payload"]["request"], shown["access_log"]["status"]) == ("1", rows[-1]["request"], 200)
    again = house.command("requests", "replay", name, "--version", "2", "--env-manager", "local", "--json")
    assert (again.returncode, json.loads(again.stdout)["is_same"]) == (1, False), again.stderr
    assert erase(home, name, None).payloads == 1
    with pytest.raises(NotFound, match="was not kept"):
        replay(name, "2", None, EnvironmentOrder(), home, print, 0.0, 60.0)
