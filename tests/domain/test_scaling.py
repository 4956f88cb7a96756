"""Scaling as a truth table, and in simulated days: it follows the load, and it does not flap."""

import itertools
import math
import random

import pytest

from podium.domain.capacity.scaling import Called, ScalingPolicy, Workload, call_for, decide, remembered

POLICY = ScalingPolicy(1, 8, target_latency_s=0.1)


@pytest.mark.parametrize(
    ("load", "workers", "expected"),
    [
        (Workload(0.0), 1, 1),
        (Workload(0.0), 4, 1),
        (Workload(0.69), 1, 1),
        (Workload(0.9), 1, 2),
        (Workload(1.4), 2, 2),
        (Workload(1.9), 2, 3),
        (Workload(2.0), 4, 3),
        (Workload(3.9), 4, 6),
        (Workload(8.0), 8, 8),
        (Workload(1.5), 2, 2),
        (Workload(1.2, waits_batches=1.5), 2, 2),
        (Workload(1.2, waits_batches=4.0), 2, 4),
        (Workload(0.2, waits_batches=4.0), 2, 1),
        (Workload(1.2, latency_s=0.2), 2, 4),
        (Workload(0.2, latency_s=0.2), 2, 1),
        (Workload(1.2, latency_s=0.105), 2, 2),
        (Workload(0.1, is_turned_away=True), 2, 3),
        (Workload(1.0, waits_batches=1000.0), 1, 8),
    ],
    ids=[
        "nobody asks", "nobody asks any more", "busy enough for one", "too busy for one", "two busy as they should be",
        "two too busy", "four half idle", "four too busy", "never beyond the most", "within a tenth nothing changes",
        "waiting for the next batch is no queue", "two batches too many ahead", "an idle worker's queue is something else",
        "twice as late as it may be", "a slow model is not made faster", "late within a tenth",
        "turned away is too many", "a flood",
    ],
)  # fmt: skip
def test_what_a_load_calls_for(load, workers, expected):
    """One row, one sentence."""
    assert call_for(load, workers, POLICY) == expected


def calls(*workers, step=1.0):
    return [Called(step * number, count) for number, count in enumerate(workers)]


@pytest.mark.parametrize(
    ("called", "workers", "now", "room", "expected"),
    [
        ([], 2, 0.0, 9, 2),
        (calls(4), 2, 0.0, 9, 2),
        (calls(*[4] * 6), 2, 5.0, 9, 4),
        (calls(4, 4, 4, 2, 4, 4), 2, 5.0, 9, 2),
        (calls(*[9] * 6), 2, 5.0, 9, 4),
        (calls(*[9] * 6), 2, 5.0, 1, 3),
        (calls(*[9] * 6), 2, 5.0, 0, 2),
        (calls(*[1] * 6), 4, 5.0, 9, 4),
        (calls(*[1] * 61), 4, 60.0, 9, 2),
        (calls(*[1] * 30, 4, *[1] * 30), 4, 60.0, 9, 4),
        (calls(*[3] * 61), 4, 60.0, 9, 3),
        (calls(4), 9, 0.0, 9, 8),
    ],
    ids=[
        "no look, no change", "one look moves nothing", "called for throughout, they come", "one look less and they do not",
        "at most twice as many", "as many as there is room for", "no room", "down takes longer", "at most half go",
        "one burst keeps them", "down to what was called for most", "bounds at once",
    ],
)  # fmt: skip
def test_what_is_decided(called, workers, now, room, expected):
    """One row, one sentence."""
    assert decide(called, workers, now, ScalingPolicy(1, 8), room) == expected


def live(demand, policy, seconds, seed=0):
    """Let a model live: `demand(t)` is work in workers; what is not done is a queue. Yields time and workers."""
    noise, workers, wanted, ready_at, called, backlog = random.Random(seed), policy.least, policy.least, 0.0, (), 0.0
    for second in range(seconds):
        now = float(second)
        if workers != wanted and now >= ready_at:
            workers = wanted
        work = max(demand(now) * noise.uniform(0.8, 1.2), 0.0) + backlog
        done = min(work, float(workers))
        backlog = min(work - done, 100.0)
        load = Workload(done, waits_batches=0.5 + 4 * backlog / workers, latency_s=0.05 + backlog / workers)
        if workers == wanted:
            called = remembered(called, Called(now, call_for(load, workers, policy)), policy)
            newer = decide(called, workers, now, policy, room=99)
            if newer != wanted:
                wanted, called, ready_at = newer, (), now + 3.0 if newer > workers else now
        yield now, workers, backlog


def changes(history):
    counts = [workers for _, workers, _ in history]
    return sum(before != after for before, after in itertools.pairwise(counts))


@pytest.mark.parametrize("demand", [0.1, 0.65, 0.7, 0.75, 1.3, 1.4, 2.1, 3.5, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_steady_load_comes_to_rest(demand, seed):
    """With a fifth of noise: some changes at the start, none after ten minutes, and nobody waits for long."""
    history = list(live(lambda _: demand, ScalingPolicy(1, 8), 1800, seed))

    assert changes(history[:600]) <= 6
    assert changes(history[600:]) <= 2
    assert history[-1][1] >= math.ceil(demand)
    assert history[-1][2] < 1.0


def test_a_step_is_followed_within_seconds_and_left_after_minutes():
    """From a tenth of a worker to five and back: enough in half a minute; all gone again a few minutes later."""
    history = list(live(lambda now: 5.0 if 100 <= now < 400 else 0.1, ScalingPolicy(1, 8), 1000))

    assert history[99][1] == 1
    assert history[140][1] >= 5
    assert history[399][2] < 1.0
    assert history[450][1] >= 5
    assert history[-1][1] == 1
    assert changes(history) <= 12


def test_a_day_is_followed_without_flapping():
    """A sine of an hour with bursts of seconds: as many changes as it has slopes, and hardly a queue."""

    def demand(now):
        return 2.5 - 2.4 * math.cos(2 * math.pi * now / 3600) + (3.0 if now % 300 < 3 else 0.0)

    history = list(live(demand, ScalingPolicy(1, 8), 7200))

    assert changes(history) <= 40
    assert sum(backlog > 5.0 for _, _, backlog in history) < 0.05 * len(history)
    assert {workers for _, workers, _ in history} <= set(range(1, 9))
