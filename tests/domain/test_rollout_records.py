"""Rollouts as tags: what is written is read again, and what anybody else wrote moves nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.rollouts.judging import JudgingPolicy
from podium.domain.rollouts.records import (
    PIN_KEY,
    check_interval,
    check_policy,
    check_steps,
    mark_key,
    mark_text,
    next_number,
    pin_text,
    read_notices,
    record_key,
    record_text,
)
from podium.domain.rollouts.schedule import Mark, MarkKind, Pin, Rollout
from podium.errors import InvalidInput

ROLLOUT = Rollout(
    "20261121-1a2b",
    "fräud",
    "@champion",
    "6",
    "6",
    "7",
    (5, 100),
    10.5,
    1e9,
    "ann@host/1",
    JudgingPolicy(errors=None, latency=4),
)
MARKS = (
    Mark(MarkKind.BEGIN, 1e9 + 1, "node"),
    Mark(MarkKind.PAUSE, 1e9 + 2, "ann", "lunch"),
    Mark(MarkKind.RESUME, 1e9 + 3, "ann"),
    Mark(MarkKind.PAUSE, 1e9 + 4, "ann"),
    Mark(MarkKind.VETO, 1e9 + 5, "node", "errors", evidence={"errors": {"e_value": 600.0}}),
)
PIN = Pin("5", 2e9, "the audit", "ann", 1e9)


def written():
    tags = {record_key(ROLLOUT.id): record_text(ROLLOUT), PIN_KEY: pin_text(PIN), "team": "risk"}
    for position, mark in enumerate(MARKS):
        tags[mark_key(ROLLOUT.id, mark.kind, next_number(MARKS[:position], mark.kind))] = mark_text(mark)
    return tags


def test_what_is_written_is_read_again():
    """Every field of it, and nothing of other tags."""
    notices = read_notices(written())

    assert (notices.pin, notices.problems) == (PIN, ())
    assert [entry.rollout for entry in notices.entries] == [ROLLOUT]
    assert sorted(MARKS, key=lambda mark: mark.at) == sorted(notices.entries[0].marks, key=lambda mark: mark.at)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", [5, 25]),
        ("steps", [25, 5, 100]),
        ("steps", [0, 100]),
        ("steps", ["5", 100]),
        ("steps", [100] * 500),
        ("steps", 100),
        ("interval_s", 0),
        ("interval_s", 5e-324),
        ("started_at", 1e300),
        ("interval_s", float("nan")),
        ("interval_s", 1e400),
        ("follows", "../production"),
        ("candidate", 7),
        ("candidate", "7/../8"),
        ("started_at", None),
        ("policy", {"alpha": 1.0}),
        ("policy", {"alpha": None}),
        ("policy", {"least_requests": None}),
        ("policy", {"shell": "rm"}),
        ("model", ["x"]),
    ],
)
def test_a_record_that_makes_no_sense_is_a_problem_and_no_rollout(field, value):
    """Whoever may write tags may write anything."""
    tags = {record_key("a"): json.dumps({**json.loads(record_text(ROLLOUT)), field: value})}

    notices = read_notices(tags)

    assert notices.entries == ()
    assert len(notices.problems) == 1
    assert record_key("a") in notices.problems[0]


@given(
    st.dictionaries(
        st.sampled_from([*written(), "podium.rollout.", "podium.rollout.a.b.c"]), st.text() | st.just("[" * 9000)
    )
)
def test_no_text_breaks_the_reading(tags):
    """Whatever stands in the tags."""
    read_notices(tags)


def test_a_mark_without_a_record_is_told():
    """Somebody removed a tag."""
    tags = {key: text for key, text in written().items() if key != record_key(ROLLOUT.id)}

    assert "has no record" in read_notices(tags).problems[0]


@pytest.mark.parametrize("steps", [(), (5, 25), (100, 5), (5, 5, 100), (-1, 100), (101,)])
def test_steps_that_cannot_be_taken_are_refused_with_the_way_out(steps):
    """The last is 100, and they rise."""
    with pytest.raises(InvalidInput, match="--steps 5,25,100"):
        check_steps(steps)


def test_limits_that_cannot_be_kept_are_refused():
    """A policy's, and an interval of no length."""
    with pytest.raises(InvalidInput, match=r"latency is .*; expected 1 to 100"):
        check_policy(JudgingPolicy(latency=0.5))
    with pytest.raises(InvalidInput, match="--interval 600"):
        check_interval(0)


def test_of_more_tags_than_anybody_needs_the_newest_are_read():
    """Whoever may write tags must not hold up every server that reads them."""
    text = record_text(ROLLOUT)
    tags = {record_key(f"2026{number:05}-x"): text for number in range(20_000)}

    notices = read_notices(tags)

    assert len(notices.entries) == 5_000
    assert notices.entries[-1].rollout.id == "202619999-x"
    assert notices.problems == ("20000 tags of rollouts: the 5000 newest are read; remove those of old rollouts",)


@pytest.mark.parametrize("at", [-1, -1e300, 1e12, float("nan"), float("inf"), True, "1", None, 10**400])
def test_no_time_that_a_clock_cannot_show_is_understood(at):
    tags = written() | {mark_key(ROLLOUT.id, MarkKind.FINISH): json.dumps({"at": at, "by": "x"})}
    tags |= {PIN_KEY: json.dumps({"version": "1", "until": at, "reason": "", "by": "x", "at": 0})}

    notices = read_notices(tags)

    assert (notices.pin, len(notices.problems)) == (None, 2)
    assert MarkKind.FINISH not in {mark.kind for mark in notices.entries[0].marks}
