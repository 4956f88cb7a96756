"""W3C's trace context: whose trace a request belongs to, read from the header `traceparent`. Pure.

What is no such header is none: a request is never refused for it, as the recommendation says.
https://www.w3.org/TR/trace-context/
"""

import re
from dataclasses import dataclass

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_VERSION, _FIRST = "ff", "00"
_SAMPLED = 1
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where a request stands in a trace.

    Args:
        trace_id: 32 hexadecimal digits.
        span_id: 16, of the span that asked.
        is_sampled: Whether whoever asked keeps this trace.
    """

    trace_id: str
    span_id: str
    is_sampled: bool


def read_traceparent(header: str) -> TraceContext | None:
    """What a header says; None where it is not one.

    Of a later version what is known of this one counts, whatever follows it.
    """
    found = _HEADER.fullmatch(header.strip(" \t"))
    if found is None or found[1] == _NO_VERSION or (found[1] == _FIRST and found[5]):
        return None
    if found[2] == _NO_TRACE or found[3] == _NO_SPAN:
        return None
    return TraceContext(found[2], found[3], bool(int(found[4], 16) & _SAMPLED))
