"""How many workers a model should have, between two bounds: by how busy they are, who waits and how late answers come.

Three recommendations, and the largest counts; each follows a formula of the field:

- load: workers that were busy on average, over the share of them that should be (Little's law; HPA's ratio
  `ceil(workers * observed / target)` of utilisation).
- queue: what a request waited for its batch, in batches. A worker that is just keeping up makes it wait for one; with two
  ahead of it half of the workers are missing.
- latency: `ceil(workers * observed / target)` of the slow ones' duration, where a target is said.

Queue and latency count only while the workers are busy: more of them do not make a slow model faster. A recommendation
within a tenth of what is there changes nothing, up goes what was asked for throughout a short window, down what was asked
for throughout a long one (HPA's stabilisation; Ray Serve's delays), by at most a doubling or a halving at a time, and
nothing moves while workers still start. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BUSY_SHARE = 0.7
"""A worker that is busy for more of its time makes requests wait in bursts."""
TOLERANCE = 0.1
_BUSY_ENOUGH = 0.5
_BATCHES_AHEAD = 2.0


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """What is asked for of one model.

    Args:
        least, most: Workers while it is awake.
        target_latency_s: What the slow ones may take (see `Workload.latency_s`); None: they are not looked at.
        up_after_s: For so long more must be called for before there are more.
        down_after_s: For so long fewer before there are fewer.
    """

    least: int
    most: int
    target_latency_s: float | None = None
    up_after_s: float = 5.0
    down_after_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What a model's workers did between two looks.

    Args:
        busy: Workers that were predicting on average; more than there are is not possible.
        waits_batches: What requests waited in queues on average, in times of one batch; 0 where none came.
        latency_s: What 95 of 100 requests did not exceed; None where none came.
        is_turned_away: Whether requests were refused because queues were full.
    """

    busy: float
    waits_batches: float = 0.0
    latency_s: float | None = None
    is_turned_away: bool = False


@dataclass(frozen=True, slots=True)
class Called:
    """How many workers a look called for."""

    at: float
    workers: int


def call_for(load: Workload, workers: int, policy: ScalingPolicy) -> int:
    """How many workers this load calls for, within the policy's bounds and a tenth's tolerance.

    Args:
        load: What they did.
        workers: How many did it; at least 1.
        policy: The bounds and the target.
    """
    wanted = load.busy / BUSY_SHARE
    if load.busy >= _BUSY_ENOUGH * workers:
        if load.waits_batches > _BATCHES_AHEAD:
            wanted = max(wanted, workers * load.waits_batches / _BATCHES_AHEAD)
        if policy.target_latency_s is not None and load.latency_s is not None:
            wanted = max(wanted, workers * load.latency_s / policy.target_latency_s)
    if load.is_turned_away:
        wanted = max(wanted, workers + 1.0)
    if abs(wanted - workers) <= TOLERANCE * workers:
        wanted = workers
    return min(max(math.ceil(wanted - 1e-9), policy.least, 1), policy.most)


def remembered(called: Sequence[Called], newer: Called, policy: ScalingPolicy) -> tuple[Called, ...]:
    """The calls that `decide` can still look at, with one more."""
    until = newer.at - max(policy.down_after_s, policy.up_after_s)
    older = [each for each in called if each.at < until][-1:]
    return (*older, *(each for each in called if each.at >= until), newer)


def decide(called: Sequence[Called], workers: int, now: float, policy: ScalingPolicy, room: int) -> int:
    """How many workers there should be from now on.

    Laws: always within the policy's bounds; at most twice as many and at least half as many as now; never more than there
    is room for, but for the least; one look alone moves nothing.

    Args:
        called: What each look called for since the last change, oldest first.
        workers: How many are wanted now, all of them ready.
        now: The clock of `called`.
        policy: What is asked for.
        room: How many more workers memory and processors have room for.
    """
    bounded = min(max(workers, policy.least), policy.most)
    if bounded != workers or not called:
        return bounded
    since = called[0].at
    up = [each.workers for each in called if each.at >= now - policy.up_after_s]
    if since <= now - policy.up_after_s and up and min(up) > workers:
        return max(min(*up, 2 * workers, workers + max(room, 0), policy.most), workers)
    down = [each.workers for each in called if each.at >= now - policy.down_after_s]
    if since <= now - policy.down_after_s and down and max(down) < workers:
        return max(*down, workers // 2, policy.least, 1)
    return workers
