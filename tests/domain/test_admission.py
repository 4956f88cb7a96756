"""Whether a request is taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.clients.admission import AdmissionRefusal, Bounds, admit, admit_share


@pytest.mark.parametrize(
    ("held", "held_bytes", "body", "expected"),
    [
        (0, 0, 0, None),
        (1, 10, 90, None),
        (1, 10, 91, AdmissionRefusal.BODY_BYTES),
        (2, 0, 0, None),
        (3, 0, 0, AdmissionRefusal.REQUESTS),
        (3, 100, 100, AdmissionRefusal.REQUESTS),
        (0, 0, 1000, None),
        (1, 1000, 0, AdmissionRefusal.BODY_BYTES),
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


@pytest.mark.parametrize(
    ("held", "held_bytes", "own", "own_bytes", "body", "expected"),
    [
        (0, 0, 0, 0, 10, None),
        (4, 0, 4, 0, 0, None),
        (5, 0, 5, 0, 0, AdmissionRefusal.SHARE),
        (9, 0, 5, 0, 0, AdmissionRefusal.SHARE),
        (9, 0, 1, 0, 0, AdmissionRefusal.SHARE),
        (9, 0, 0, 0, 0, None),
        (6, 0, 3, 0, 0, None),
        (7, 0, 3, 0, 0, AdmissionRefusal.SHARE),
        (1, 500, 1, 500, 0, None),
        (1, 500, 1, 500, 1, AdmissionRefusal.SHARE),
        (1, 900, 0, 0, 90, None),
        (1, 900, 1, 50, 51, AdmissionRefusal.SHARE),
    ],
)
def test_a_model_holds_as_much_as_all_leave_free(held, held_bytes, own, own_bytes, body, expected):
    """The truth table at bounds of 10 requests and 1000 bytes."""
    assert admit_share(held, held_bytes, own, own_bytes, body, Bounds(10, 1000)) == expected


@given(flooding=st.integers(1, 5), rounds=st.integers(1, 60))
def test_however_many_models_flood_one_more_finds_room(flooding, rounds):
    """They come to equal parts and leave one part free."""
    bounds = Bounds(120, 1 << 30)
    held = [0] * flooding
    for _ in range(rounds):
        for number in range(flooding):
            if not admit(sum(held), 0, 0, bounds) and not admit_share(sum(held), 0, held[number], 0, 0, bounds):
                held[number] += 1

    assert sum(held) <= bounds.requests * flooding / (flooding + 1) + 1
    assert max(held) - min(held) <= 1
    assert admit(sum(held), 0, 0, bounds) is None
    assert admit_share(sum(held), 0, 0, 0, 0, bounds) is None
