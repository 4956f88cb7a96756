"""Token buckets: their arithmetic and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.clients.rates import TokenBucket, parse_rates, take
from podium.errors import InvalidInput

S = 1_000_000_000
[TEN] = parse_rates("10/s burst 3")


@pytest.mark.parametrize(
    ("text", "tokens", "period_s", "burst"),
    [
        ("100/s", 100, 1, 100),
        ("100/s burst 5", 100, 1, 5),
        ("6/m", 6, 60, 6),
        ("1/h burst 2", 1, 3600, 2),
        ("10000/d", 10000, 86400, 10000),
    ],
)
def test_a_rate_is_read_as_it_is_written(text, tokens, period_s, burst):
    """Without a burst a whole period's may come at once."""
    [rate] = parse_rates(text)

    assert (rate.tokens, rate.period_ns, rate.burst) == (tokens, period_s * S, burst)


def test_several_rates_hold_together():
    assert [rate.text for rate in parse_rates("50/s, 100000/d")] == ["50/s", "100000/d"]


@pytest.mark.parametrize(
    "text",
    ["", ",", "100", "/s", "0/s", "100/s burst 0", "100/y", "-1/s", "1.5/s", "1/s burst", "1/d burst 999", "1/s 2/s"],
)
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(InvalidInput, match=r"rate|proportion"):
        parse_rates(text)


def take_one(full_at, now, rate=TEN):
    """Of one bucket: when it is full again, and how long there is none."""
    bucket = TokenBucket(rate, 0)
    _, _, wait_ns = take([full_at], [bucket], now)
    return (full_at if wait_ns else bucket.after_ns), wait_ns


# Full again at, now, full again after, wait: in tenths of a second, which is one token's time.
@pytest.mark.parametrize(
    ("full_at", "now", "after", "wait"),
    [
        (0, 100, 101, 0),
        (100, 100, 101, 0),
        (101, 100, 102, 0),
        (102, 100, 103, 0),
        (103, 100, 103, 1),
        (103, 101, 104, 0),
        (103, 200, 201, 0),
    ],
)
def test_three_tokens_may_be_taken_at_once_and_one_each_tenth_of_a_second(full_at, now, after, wait):
    """The truth table of 10/s burst 3."""
    step = S // 10

    assert take_one(full_at * step, now * step) == (after * step, wait * step)


@given(st.lists(st.integers(0, 3 * S), max_size=60))
def test_no_window_holds_more_than_the_burst_and_what_came_back(pauses):
    """Whatever the pauses between requests: in any stretch of time at most burst + rate * stretch are let through."""
    now, full_at, passed = 10 * S, 0, []
    for pause in pauses:
        now += pause // 10
        full_at, wait_ns = take_one(full_at, now)
        if not wait_ns:
            passed.append(now)

    for first, start in enumerate(passed):
        for count, end in enumerate(passed[first:], 1):
            assert count <= TEN.burst + (end - start) / TEN.step_ns


@given(st.integers(0, 10 * S), st.integers(0, 10 * S))
def test_as_many_may_be_taken_as_remain_and_not_one_more(full_at, now):
    _, tokens, wait_ns = take([full_at], [TokenBucket(TEN, 0)], now)
    left = 0 if wait_ns else 1 + tokens

    for _ in range(left):
        full_at, wait_ns = take_one(full_at, now)
        assert not wait_ns
    assert take_one(full_at, now)[1] > 0


def test_who_waits_as_long_as_is_said_gets_a_token():
    full_at, wait_ns = take_one(103 * S // 10, 10 * S)

    assert wait_ns
    assert take_one(full_at, 10 * S + wait_ns)[1] == 0


def test_a_token_is_taken_of_each_bucket_or_of_none():
    """The scarcest is named, and of several equally scarce ones the first; an empty one says how long it is empty."""
    step, two = S // 10, parse_rates("20/s burst 2")[0]
    assert TEN.burst == 3

    first, scarcer, same = TokenBucket(TEN, 0), TokenBucket(two, 1), TokenBucket(TEN, 1)

    assert take([0, 0], [first, scarcer], S) == (scarcer, 1, 0)
    assert (first.after_ns, scarcer.after_ns) == (S + step, S + step // 2)
    assert take([0, 0], [first, same], S) == (first, 2, 0)
    assert take([0, S + 2 * (step // 2)], [first, scarcer], S) == (scarcer, 0, step // 2)
