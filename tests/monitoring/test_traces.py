"""Requests as OpenTelemetry's spans, and their way to a receiver that reads them as a collector does."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from receiving import Receiver

from podium.monitoring.exporters.otlp import Traces, pairs, resource_of
from podium.monitoring.exporters.traces import Tracer
from podium.telemetry.seen import Seen

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def seen(number: int = 1, **changes: Any) -> Seen:
    fields: dict[str, Any] = {
        "ended": 1000.01, "duration_us": 10_000, "request_id": f"r{number}", "method": "POST", "path": "/invocations",
        "status": 200, "model": "iris", "version": "3", "principal": "", "error": "", "attempts": 1, "rows": 2,
        "batch_rows": 8, "queued_us": 2000, "predict_us": 5000, "request_type": "application/json",
        "answer_type": "application/json", "request_size": 10, "answer_size": 20, "is_traced": True, "replica": 7,
        "batch": 123, "batch_at": 1000.004,
    }  # fmt: skip
    return Seen(**(fields | changes))


def by_name(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans}


def told(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_request_is_a_server_s_span_below_whoever_asked() -> None:
    span = by_name(Tracer({}).spans_of([seen(traceparent=f"00-{TRACE}-{SPAN}-01")]))["POST /invocations"]

    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.kind) == (TRACE, SPAN, Span.SPAN_KIND_SERVER)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_000_000_000_000, 1_000_010_000_000)
    about = told(span)
    assert (about["http.response.status_code"], about["podium.version"], about["podium.request_id"]) == (200, "3", "r1")


def test_what_it_waited_and_what_its_batch_took_lie_within_it() -> None:
    spans = by_name(Tracer({}).spans_of([seen()]))
    server, waited, part = spans["POST /invocations"], spans["podium.queue"], spans["podium.predict"]

    assert waited.parent_span_id == part.parent_span_id == server.span_id
    assert waited.trace_id == part.trace_id == server.trace_id
    times = [server.start_time_unix_nano, waited.start_time_unix_nano, waited.end_time_unix_nano, part.start_time_unix_nano]
    assert sorted(times) == times
    assert part.end_time_unix_nano - part.start_time_unix_nano == 5_000_000
    assert part.end_time_unix_nano <= server.end_time_unix_nano


def test_a_batch_is_linked_with_each_of_its_requests_whichever_gateway_they_came_through() -> None:
    spans = Tracer({}).spans_of([seen(1), seen(2), seen(3, batch=124)])
    batches = [span for span in spans if span.name == "podium.batch"]
    parts = [span for span in spans if span.name == "podium.predict"]

    assert len(batches) == 2
    assert {link.span_id for link in batches[0].links} == {part.span_id for part in parts[:2]}
    assert [part.links[0].span_id for part in parts] == [batches[0].span_id, batches[0].span_id, batches[1].span_id]
    assert [part.links[0].trace_id for part in parts[:2]] == [batches[0].trace_id] * 2


def test_a_batch_is_told_of_once_and_who_comes_late_is_linked_to_it() -> None:
    tracer = Tracer({})
    first = tracer.spans_of([seen(1)])

    late = tracer.spans_of([seen(2)])

    assert [span.name for span in late] == ["POST /invocations", "podium.queue", "podium.predict"]
    assert late[-1].links[0].span_id == first[-1].span_id


def test_a_request_without_a_parent_begins_a_trace_of_its_own() -> None:
    one, other = (Tracer({}).spans_of([seen()])[0] for _ in range(2))

    assert (len(one.trace_id), len(one.span_id), one.parent_span_id) == (16, 8, b"")
    assert one.trace_id != other.trace_id


def test_a_fault_of_ours_is_an_error_and_a_client_s_is_not() -> None:
    ours = Tracer({}).spans_of([seen(status=500, error="INTERNAL_ERROR")])[0]
    theirs = Tracer({}).spans_of([seen(status=400, error="BAD")])[0]

    assert (ours.status.code, theirs.status.code) == (Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET)
    assert told(ours)["error.type"] == "INTERNAL_ERROR"


def test_a_path_that_nobody_serves_names_no_span() -> None:
    """Whoever scans a server would otherwise make a name for each address that he tries."""
    spans = Tracer({}).spans_of([seen(status=404, version="", path="/invocations/wp-login.php", batch=0)])

    assert [span.name for span in spans] == ["POST"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_traces_arrive_as_a_collector_reads_them(receiver: Receiver) -> None:
    counted: list[tuple[str, int]] = []
    environ = {"OTEL_SERVICE_NAME": "fraud", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b"}
    traces = Traces(receiver.base, lambda *told: counted.append(told), environ, 60.0)
    with receiver.slow():
        traces.add(seen())
        receiver.wait_for(1)
        # The first is being sent: all that comes meanwhile waits.
        for number in range(300):
            traces.add(seen(number, batch=124))
    traces.close(60)

    (headers, body), *_ = receiver.events
    message = ExportTraceServiceRequest.FromString(body)
    of = message.resource_spans[0]
    assert (headers[":path"], headers["api-key"]) == ("/v1/traces", "a b")
    assert headers["content-type"] == "application/x-protobuf"
    assert ("service.name", "fraud") in {(each.key, each.value.string_value) for each in of.resource.attributes}
    assert counted == [("written", 3 + 1), ("written", 3 * 256 + 1), ("written", 3 * 44)]


def test_what_a_collector_does_not_take_is_tried_again_and_then_counted(receiver: Receiver) -> None:
    counted: list[tuple[str, int]] = []
    receiver.statuses = [503]
    traces = Traces(receiver.base, lambda *told: counted.append(told), {}, 60.0)
    traces.add(seen())
    receiver.wait_for(2)
    traces.close(60)
    receiver.statuses = [503] * 3
    lost = Traces(receiver.base, lambda *told: counted.append(told), {}, 60.0)
    lost.add(seen(2))
    lost.close(60)

    assert counted == [("written", 4), ("failed", 4)]


def test_who_sends_is_said_by_opentelemetry_s_variables() -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,deployment.environment.name=prod%2C1,odd"}

    assert resource_of(environ)["deployment.environment.name"] == "prod,1"
    assert (resource_of(environ)["service.name"], resource_of({})["service.name"]) == ("a", "podium")
    assert resource_of({**environ, "OTEL_SERVICE_NAME": "b"})["service.name"] == "b"
    assert pairs(" ,=x,a=b=c") == {"a": "b=c"}
