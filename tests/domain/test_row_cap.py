"""The cap of a batch's rows where memory is the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.row_cap import RowCap


@pytest.mark.parametrize(
    ("cap", "fits", "failed", "rows"),
    [
        (256, 256, 0, 256),  # nothing happened
        (256, 64, 256, 64),  # 256 and 128 failed, quarters went well
        (256, 0, 256, 128),  # nothing went well: half
        (256, 0, 1, 1),  # one row alone is too much: never less than one
        (8, 512, 600, 8),  # a request that was cut up in larger parts raises nothing
        (256, 300, 40, 39),  # what fitted a moment ago does not fit now
    ],
)
def test_the_cap_becomes_what_was_seen_to_fit(cap: int, fits: int, failed: int, rows: int) -> None:
    assert RowCap(cap, 256).observe(fits, failed).rows == rows


def test_a_lowered_cap_is_tried_again_after_a_while_and_each_time_later() -> None:
    """Memory that another process had is given back; a limit that stays costs a failed batch ever more rarely."""
    cap = RowCap(256, 256)
    waits = []
    for _ in range(3):
        cap = cap.observe(fits=64, failed=128)
        waits.append(0)
        while cap.rows == 64:
            cap = cap.observe(fits=64, failed=0)
            waits[-1] += 1

    assert (cap.rows, waits) == (128, [128, 256, 512])


def test_small_batches_say_nothing_of_larger_ones() -> None:
    cap = RowCap(256, 256).observe(64, 128)
    for _ in range(1000):
        cap = cap.observe(fits=3, failed=0)

    assert cap.rows == 64


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600)), max_size=300), st.integers(1, 512))
def test_the_cap_stays_between_one_and_what_was_set(history: list[tuple[int, int]], limit: int) -> None:
    cap = RowCap(limit, limit)
    for fits, failed in history:
        cap = cap.observe(fits, failed)
        assert 1 <= cap.rows <= limit
        assert not failed or cap.rows < max(failed, 2)
