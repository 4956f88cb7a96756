"""When a request is sent again: truth tables, and whole histories on a clock of the test's own."""

import pytest

from podium import errors
from podium.client.exchanges import (
    ClientRequest,
    Loss,
    Lost,
    Pause,
    Received,
    ResendPatience,
    asked,
    awaited,
    pause_before,
    retry_after,
)

BUSY = Received(503, {"retry-after": "1"}, b"")
FULL = Received(429, {"retry-after": "2"}, b"")
DONE = Received(200, {}, b"{}")
UNREACHED = Lost(Loss.UNREACHED, "refused")
CLOSED = Lost(Loss.UNANSWERED, "disconnected")
LATE = Lost(Loss.LATE, "no answer")


@pytest.mark.parametrize(
    ("outcome", "is_repeatable", "expected"),
    [
        (DONE, True, None),
        (Received(500, {"retry-after": "1"}, b""), True, None),
        (Received(503, {}, b""), True, None),
        (BUSY, False, 1.025),
        (FULL, True, 2.025),
        (UNREACHED, False, 0.025),
        (CLOSED, True, 0.025),
        (CLOSED, False, None),
        (Lost(Loss.CUT, ""), True, None),
        (Lost(Loss.LATE, ""), True, None),
        (Lost(Loss.UNTRUSTED, ""), True, None),
    ],
)
def test_what_is_sent_again(outcome, is_repeatable, expected):
    """Only what was certainly not run, or may run twice; with a little chance in the pause."""
    assert pause_before(outcome, 0, is_repeatable, 0.5) == expected


def test_pauses_grow_to_a_bound():
    """Twice as long each time, two seconds at most."""
    assert [pause_before(UNREACHED, again, True, 1.0) for again in range(8)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:09 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 9.0),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:09 GMT", "date": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:09 GMT"}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers, expected):
    """A date counts from the answer's own."""
    assert retry_after(headers) == expected


class Told:
    """Runs a request's steps on a clock that only pauses and tries move; keeps what was done."""

    def __init__(self, *outcomes, limit_s=10.0, retries=3, try_s=0.1, is_repeatable=True):
        self.now, self.done, self._try_s = 0.0, [], try_s
        request = ClientRequest("POST", "/invocations", {"x-request-id": "one"}, b"{}", is_repeatable)
        self._steps = asked(request, "http://here", limit_s, ResendPatience(retries), lambda: self.now, lambda: 0.0)
        self._outcomes = list(outcomes)

    def end(self):
        outcome = None
        while True:
            try:
                step = self._steps.send(outcome)
            except StopIteration as stop:
                return stop.value
            if isinstance(step, Pause):
                self.now, outcome = self.now + step.seconds, None
                self.done.append(f"pause {step.seconds:g}")
            else:
                headers = step.headers
                self.done.append(f"send {headers['x-request-id']} {headers['x-podium-timeout-ms']}")
                self.now, outcome = self.now + self._try_s, self._outcomes.pop(0)


def test_each_try_has_the_same_id_and_says_what_time_is_left():
    """The server may drop what can no longer be answered in time."""
    told = Told(BUSY, CLOSED, DONE)

    assert told.end() is DONE
    assert told.done == ["send one 10000", "pause 1", "send one 8900", "pause 0", "send one 8800"]


def test_tries_are_bounded():
    """Four in all, by default."""
    told = Told(*[UNREACHED] * 9)

    with pytest.raises(errors.Unavailable, match="http://here could not be reached: refused"):
        told.end()
    assert len([step for step in told.done if step.startswith("send")]) == 4


def test_an_answer_that_says_to_come_back_too_late_is_the_answer():
    """Nobody waits for what cannot come in time; and nobody waits in vain."""
    told = Told(FULL, limit_s=1.5)

    assert told.end() is FULL
    assert told.done == ["send one 1500"]


def test_what_may_not_run_twice_is_not_sent_again_once_it_was_sent():
    """A server that closed may have run it."""
    with pytest.raises(errors.Unavailable, match="closed the connection before it answered"):
        Told(CLOSED, is_repeatable=False).end()


@pytest.mark.parametrize(
    ("outcomes", "seen"),
    [
        ([UNREACHED, UNREACHED, LATE], "could not be reached: refused"),
        ([BUSY, BUSY, LATE], "HTTP 503"),
        ([LATE], "did not answer in time: no answer"),
    ],
    ids=["nobody", "not yet", "one look"],
)
def test_waiting_tells_what_was_seen_and_not_that_its_own_end_cut_the_last_look_short(outcomes, seen):
    with pytest.raises(errors.DeadlineExceeded, match=f"not ready within 0.2 s; at last: (it )?{seen}"):
        wait_in_vain(0.2, *outcomes)


def wait_in_vain(limit_s, *outcomes):
    """Look until that is too long; on a clock that only pauses and looks without an answer move."""
    now, left = 0.0, list(outcomes)
    steps = awaited(ClientRequest("GET", "/ping"), "http://here", limit_s, lambda: now, lambda: 0.0)
    step = next(steps)
    while True:
        outcome = None if isinstance(step, Pause) else left.pop(0)
        now += step.seconds if isinstance(step, Pause) else step.limit_s if outcome is LATE else 0.0
        step = steps.send(outcome)


def test_a_deadline_is_a_deadline():
    """Said with its length, and the server's address."""
    with pytest.raises(errors.DeadlineExceeded, match=r"http://here did not answer within 3 s"):
        Told(Lost(Loss.LATE, "the answer is not there"), limit_s=3.0, try_s=3.0).end()
    with pytest.raises(errors.DeadlineExceeded):
        Told(limit_s=0.0).end()
