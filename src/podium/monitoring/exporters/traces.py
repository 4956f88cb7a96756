"""Requests as OpenTelemetry's spans: a server's span for each, what it waited and what its batch took below it.

A batch is a span of a trace of its own, linked with the part that each traced request has in it, and they with it: a batch
has many requests, and a span has one parent. What a batch is found by is its worker and the moment when the model got it,
so that requests which came through several gateways link to the same one. Needs opentelemetry-proto.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from podium._version import __version__
from podium.domain.trace_context import read_traceparent
from podium.telemetry.seen import Seen

_FAULT = 500
_SAMPLED = 1
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_BATCHES_KNOWN = 4096
_LONGEST_TEXT = 1024

Value = str | int | float | bool


class Tracer:
    """Makes spans of requests.

    Args:
        resource: Of whom they are: OpenTelemetry's resource attributes.
        seed: What batches' ids are made with; the same for one exporter's life.
    """

    def __init__(self, resource: Mapping[str, str], seed: bytes | None = None) -> None:
        self._resource = Resource(attributes=attributes(resource))
        self._seed = os.urandom(16) if seed is None else seed
        self._told: OrderedDict[tuple[int, int], None] = OrderedDict()

    def spans_of(self, requests: Sequence[Seen]) -> list[Span]:
        """The spans of some requests that were answered together, and of the batches they were in."""
        spans: list[Span] = []
        parts: dict[tuple[int, int], list[tuple[Seen, Span]]] = {}
        for seen in requests:
            server = self._of_request(seen)
            spans.append(server)
            if seen.batch:
                waited, part = self._in_batch(seen, server)
                spans += (waited, part)
                parts.setdefault((seen.replica, seen.batch), []).append((seen, part))
        for key, members in parts.items():
            # One that was told of already keeps its links; who comes late links to it alone.
            if key not in self._told:
                spans.append(self._of_batch(key, members))
                self._told[key] = None
        while len(self._told) > _BATCHES_KNOWN:
            self._told.popitem(last=False)
        return spans

    def message(self, spans: Sequence[Span]) -> bytes:
        """The body of an export of OTLP."""
        scope = ScopeSpans(scope=InstrumentationScope(name="podium", version=__version__), spans=spans)
        data = TracesData(resource_spans=[ResourceSpans(resource=self._resource, scope_spans=[scope])])
        message: bytes = data.SerializeToString()
        return message

    def _of_request(self, seen: Seen) -> Span:
        """From its last byte to its answer."""
        parent = read_traceparent(seen.traceparent)
        trace = os.urandom(16) if parent is None else bytes.fromhex(parent.trace_id)
        ended = int(seen.ended * 1e9)
        server = Span(
            trace_id=trace,
            span_id=os.urandom(8),
            name=f"{seen.method} {seen.path}" if seen.version else seen.method,
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=ended - 1000 * seen.duration_us,
            end_time_unix_nano=ended,
            attributes=attributes(_about(seen)),
            flags=_SAMPLED,
        )
        if parent is not None:
            server.parent_span_id = bytes.fromhex(parent.span_id)
            server.flags |= _HAS_IS_REMOTE | _IS_REMOTE
        if seen.status >= _FAULT:
            server.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message=seen.error[:_LONGEST_TEXT]))
        return server

    def _in_batch(self, seen: Seen, server: Span) -> tuple[Span, Span]:
        """What it waited in the worker's queue, and what its batch took."""
        begun = int(seen.batch_at * 1e9)
        waited = self._below(server, "podium.queue", begun - 1000 * seen.queued_us, begun)
        part = self._below(server, "podium.predict", begun, begun + 1000 * seen.predict_us)
        trace_id, span_id = self._ids((seen.replica, seen.batch))
        part.links.append(Span.Link(trace_id=trace_id, span_id=span_id, flags=_SAMPLED))
        part.attributes.extend(attributes({"podium.rows": seen.rows, "podium.batch.rows": seen.batch_rows}))
        return waited, part

    @staticmethod
    def _below(server: Span, name: str, start: int, end: int) -> Span:
        return Span(
            trace_id=server.trace_id,
            span_id=os.urandom(8),
            parent_span_id=server.span_id,
            name=name,
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start,
            end_time_unix_nano=end,
            flags=_SAMPLED,
        )

    def _of_batch(self, key: tuple[int, int], members: Sequence[tuple[Seen, Span]]) -> Span:
        trace_id, span_id = self._ids(key)
        seen, part = members[0]
        about: dict[str, Value] = {
            "podium.model": seen.model,
            "podium.version": seen.version,
            "podium.replica": seen.replica,
            "podium.batch.rows": seen.batch_rows,
        }
        links = [Span.Link(trace_id=each.trace_id, span_id=each.span_id, flags=_SAMPLED) for _, each in members]
        return Span(
            trace_id=trace_id,
            span_id=span_id,
            name="podium.batch",
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=part.start_time_unix_nano,
            end_time_unix_nano=part.end_time_unix_nano,
            attributes=attributes(about),
            links=links,
            flags=_SAMPLED,
        )

    def _ids(self, key: tuple[int, int]) -> tuple[bytes, bytes]:
        """A batch's trace and span: the same for whoever was in it."""
        found = hashlib.blake2b(b"%d %d" % key, digest_size=24, key=self._seed).digest()
        return found[:16], found[16:]


def attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    """OpenTelemetry's attributes; what is empty is left out."""
    return [KeyValue(key=name, value=_value(value)) for name, value in values.items() if value != ""]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(string_value=value[:_LONGEST_TEXT].encode("utf-8", "replace").decode())


def _about(seen: Seen) -> dict[str, Value]:
    """HTTP's attributes as the semantic conventions call them, and podium's own."""
    return {
        "http.request.method": seen.method,
        "url.path": seen.path,
        "http.route": seen.path if seen.version else "",
        "http.response.status_code": seen.status,
        "http.request.body.size": seen.request_size,
        "http.response.body.size": seen.answer_size,
        "error.type": seen.error or (str(seen.status) if seen.status >= _FAULT else ""),
        "podium.request_id": seen.request_id,
        "podium.model": seen.model,
        "podium.version": seen.version,
        "podium.attempts": seen.attempts,
        "podium.rows": seen.rows,
    }
