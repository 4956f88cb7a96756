"""W3C's `traceparent`, by the recommendation's own examples; what is none is none, and never an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.trace_context import TraceContext, read_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f" 00-{TRACE}-{SPAN}-02\t", False),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
        (f"cc-{TRACE}-{SPAN}-01", True),
    ],
)
def test_a_header_says_whose_trace_it_is_and_whether_it_is_kept(header: str, is_sampled: bool) -> None:
    assert read_traceparent(header) == TraceContext(TRACE, SPAN, is_sampled)


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}é-{SPAN}-01",
    ],
)
def test_what_is_no_such_header_is_none(header: str) -> None:
    assert read_traceparent(header) is None


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    found = read_traceparent(text)

    assert found is None or len(found.trace_id) == 32
