"""Whether a request is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.admission import Bounds, Refusal, admit


@pytest.mark.parametrize(
    ("held", "held_bytes", "body", "expected"),
    [
        (0, 0, 0, None),
        (1, 10, 90, None),
        (1, 10, 91, Refusal.BODY_BYTES),
        (2, 0, 0, None),
        (3, 0, 0, Refusal.REQUESTS),
        (3, 100, 100, Refusal.REQUESTS),
        (0, 0, 1000, None),
        (1, 1000, 0, Refusal.BODY_BYTES),
    ],
)
def test_three_requests_of_a_hundred_bytes_are_taken_at_a_time(held, held_bytes, body, expected):
    """The truth table at bounds of 3 requests and 100 bytes."""
    assert admit(held, held_bytes, body, Bounds(3, 100)) == expected


@given(bodies=st.lists(st.integers(0, 50), max_size=50), requests=st.integers(1, 10), size=st.integers(1, 100))
def test_the_bounds_hold_whatever_comes(bodies, requests, size):
    """Neither count nor bytes pass the bounds, but for one request alone."""
    held: list[int] = []
    for body in bodies:
        if admit(len(held), sum(held), body, Bounds(requests, size)) is None:
            held.append(body)

    assert len(held) <= requests
    assert sum(held) <= size or len(held) == 1 or sum(held[1:]) == 0
