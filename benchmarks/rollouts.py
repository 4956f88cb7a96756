"""How sure a rollout's judge is: candidates like the stable version (A/A), and bad ones, under load as it comes.

    python benchmarks/rollouts.py [--runs 200] [--rate 300] [--interval 20] [--before 300] [--only KIND] [--json]

Each run is a rollout by 5, 25 and 100 %, judged each second by the judge of the server on counts as the server cuts
them (`fleet/rollouts/witness.py`), and ended as the server ends it. What is simulated is the traffic: requests come in
waves (the rate's logarithm is an AR(1) process), latencies are lognormal with a Pareto tail and share a slowness of the
machine that comes and goes, a failure of something behind both versions makes three in ten answers errors for some
seconds, a candidate's first answers are slow, and what clients ask for drifts. Prints one line for each kind of
candidate: how many were rolled back and by what, how many were promoted, after how many of the candidate's own answers,
and after how many seconds. Who is neither after twice as long as the steps still waits for evidence.
"""

import argparse
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from podium.domain.rollouts.evidence import LATENCY_BOUNDS_US, SKETCH_CELLS, Evidence
from podium.domain.rollouts.judging import Opinion, Stratum, judge
from podium.domain.rollouts.schedule import FULL, Mark, MarkKind, Rollout, may_finish, phase
from podium.fleet.rollouts.history import History
from podium.fleet.rollouts.witness import Witness

STEPS = (5, 25, 100)
BOUNDS = np.array(LATENCY_BOUNDS_US)
USUAL_US = 4000.0
_LABELS = 6


@dataclass(frozen=True, slots=True)
class World:
    """What befalls both versions alike.

    Args:
        errors: The share of errors that both have, always.
        waves: By how much the rate swings: the standard deviation of its logarithm.
        slowness: The same of the time that all answers take.
        outages: How many a minute; each lasts `outage_s` on average.
        tail: The share of answers that take three to a hundred times as long.
        drift: How fast what is asked for changes: 1 is another mixture each minute.
        tide: How the share of errors comes and goes within ten minutes: by so many times at the most, and the least.
    """

    errors: float = 0.0
    waves: float = 0.0
    slowness: float = 0.0
    outages: float = 0.0
    outage_s: float = 2.0
    tail: float = 0.0
    drift: float = 0.0
    tide: float = 1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is different about a candidate.

    Args:
        errors: More of its answers are errors.
        slower: Its answers take so many times as long.
        sorts: The share of its answers that are another prediction.
        cold: Its first answers take ten times as long, and so many answers later they do not.
    """

    errors: float = 0.0
    slower: float = 1.0
    sorts: float = 0.0
    cold: int = 0


CALM = World()
USUAL = World(errors=0.002, waves=0.5, slowness=0.4, tail=0.02, drift=0.3)
STORMY = World(errors=0.01, waves=0.8, slowness=0.5, outages=0.5, tail=0.05, drift=1.0)
KINDS = {
    "A/A, calm": (CALM, Fault()),
    "A/A, 5 % errors": (World(errors=0.05), Fault()),
    "A/A, waves, heavy tails": (USUAL, Fault()),
    "A/A, waves, cold start": (USUAL, Fault(cold=15)),
    "A/A, outages, drift": (STORMY, Fault(cold=15)),
    "A/A, outages of 10 s": (replace(STORMY, outage_s=10.0), Fault(cold=15)),
    "A/A, rare outages of 10 s": (replace(USUAL, outages=0.2, outage_s=10.0), Fault(cold=15)),
    "A/A, errors come and go": (replace(USUAL, errors=0.01, tide=2.0), Fault(cold=15)),
    "2 % errors, calm": (CALM, Fault(errors=0.02)),
    "2 % errors": (USUAL, Fault(errors=0.02)),
    "2 % errors, outages": (STORMY, Fault(errors=0.02)),
    "3 times slower": (USUAL, Fault(slower=3.0)),
    "3 times slower, outages": (STORMY, Fault(slower=3.0)),
    "predicts differently": (USUAL, Fault(sorts=0.3)),
    "predicts differently, drift": (STORMY, Fault(sorts=0.3)),
}


@dataclass(frozen=True, slots=True)
class End:
    """How a rollout ended.

    Args:
        criterion: By which it was rolled back; None where it was not.
        is_finished: Whether it took over; if neither, it still waits for evidence.
        answers: Of the candidate's, until then.
        seconds: Since it began.
    """

    criterion: str | None
    is_finished: bool
    answers: int
    seconds: int


class Traffic:
    """The answers of two versions, second by second."""

    def __init__(self, luck: np.random.Generator, world: World, fault: Fault, rate: float) -> None:
        self._luck, self._world, self._fault, self._rate = luck, world, fault, rate
        self._wave = self._slow = 0.0
        self._outage_s = 0.0
        self._answered = 0
        self._tide, self._second = float(luck.uniform(0, 2 * math.pi)), 0
        # Some labels, each half as frequent as the one before; who predicts differently says the rarest instead.
        self._labels = luck.choice(SKETCH_CELLS, _LABELS, replace=False)
        self._shares = 0.5 ** np.arange(1, _LABELS + 1) / (1 - 0.5**_LABELS)

    def second(self, percent: int) -> tuple[Evidence, Evidence]:
        """What the stable version and the candidate answered in one second."""
        luck, world = self._luck, self._world
        self._wave = 0.9 * self._wave + math.sqrt(1 - 0.81) * world.waves * luck.normal()
        self._slow = 0.9 * self._slow + math.sqrt(1 - 0.81) * world.slowness * luck.normal()
        if luck.random() < world.outages / 60:
            self._outage_s = luck.exponential(world.outage_s)
        self._outage_s = max(0.0, self._outage_s - 1.0)
        self._second += 1
        if world.drift:
            kept = math.exp(-world.drift / 60)
            self._shares = kept * self._shares + (1 - kept) * luck.dirichlet(np.ones(_LABELS))
        came = int(luck.poisson(self._rate * math.exp(self._wave - world.waves**2 / 2)))
        mine = int(luck.binomial(came, percent / 100))
        return self._answers(came - mine, is_candidate=False), self._answers(mine, is_candidate=True)

    def _answers(self, count: int, *, is_candidate: bool) -> Evidence:
        luck, world, fault = self._luck, self._world, self._fault if is_candidate else Fault()
        tide = world.tide ** math.sin(self._tide + self._second * 2 * math.pi / 600)
        share = min(1.0, world.errors * tide + fault.errors + (0.3 if self._outage_s else 0.0))
        failed = int(luck.binomial(count, share))
        took_us = USUAL_US * math.exp(self._slow) * fault.slower * luck.lognormal(0.0, 0.4, count)
        is_odd = luck.random(count) < world.tail
        took_us[is_odd] *= np.minimum(3.0 * (1 + luck.pareto(1.1, int(is_odd.sum()))), 100.0)
        if is_candidate:
            cold = np.arange(self._answered, self._answered + count) < fault.cold
            took_us[cold] *= 10.0
            self._answered += count
        latency = np.bincount(np.searchsorted(BOUNDS, took_us), minlength=len(BOUNDS) + 1)
        shares = (1 - fault.sorts) * self._shares
        shares[-1] += fault.sorts
        sorts = np.zeros(SKETCH_CELLS, dtype=np.int64)
        sorts[self._labels] = luck.multinomial(count - failed, shares / shares.sum())
        return Evidence(count, failed, tuple(latency.tolist()), tuple(sorts.tolist()))


def rolled_out(seed: int, world: World, fault: Fault, chosen: argparse.Namespace) -> End:
    """One rollout, until it is rolled back or its steps are over."""
    traffic, interval_s = Traffic(np.random.default_rng(seed), world, fault, chosen.rate), chosen.interval
    record = Rollout("a", "m", "production", "1", "1", "2", STEPS, float(interval_s), 0.0, "ann")
    begun, witness = (Mark(MarkKind.BEGIN, 0.0, "node"),), Witness()
    # A server has served for a while before it rolls anything out.
    stable, candidate = Evidence(), Evidence()
    clock = [0.0]
    history = History(lambda: clock[0])
    for second in range(-chosen.before, chosen.lasts * len(STEPS) * interval_s + 1):
        clock[0] = float(second)
        at = phase(record, begun, float(second))
        percent = at.percent if second >= 0 else 0
        its_counts = stable
        history.look("1", lambda _, counted=its_counts: counted, now=percent == FULL)
        if second < 0:
            its, mine = traffic.second(0)
            stable, candidate = stable + its, candidate + mine
            continue
        strata = witness.see("a", ("1", "2"), percent or None, Stratum(stable, candidate), history.moments())
        verdict = judge(strata, record.policy)
        if verdict.opinion is Opinion.WORSE:
            assert verdict.criterion is not None
            return End(verdict.criterion.value, False, candidate.requests, second)
        if may_finish(record, at, verdict):
            return End(None, True, candidate.requests, second)
        its, mine = traffic.second(percent)
        stable, candidate = stable + its, candidate + mine
    return End(None, False, candidate.requests, second)


def line(name: str, ends: Sequence[End]) -> str:
    """One row of the table."""
    found = [end for end in ends if end.criterion is not None]
    taken = sum(end.is_finished for end in ends)
    by = ", ".join(f"{criterion} {count}" for criterion, count in Counter(end.criterion for end in found).most_common())
    rows = [f"{name:28}", f"{len(found):4}/{len(ends)}", f"{100 * len(found) / len(ends):6.1f} %", f"{taken:4}"]
    if found:
        columns = [end.answers for end in found], [end.seconds for end in found]
        rows += [f"{statistics.median(values):7.0f} {max(values):7.0f}" for values in columns]
    return "  ".join([*rows, by])


def run(chosen: argparse.Namespace) -> Iterator[tuple[str, list[End]]]:
    """The ends of each kind of candidate."""
    for name, (world, fault) in KINDS.items():
        if chosen.only not in name:
            continue
        runs = chosen.runs if name.lower().startswith("a") else max(1, chosen.runs // 4)
        yield name, [rolled_out(seed, world, fault, chosen) for seed in range(runs)]


def main() -> int:
    """Simulate and print; 1 where more than 2 % of some A/A were rolled back, or some bad one was not in usual traffic."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200, help="A/A rollouts of each kind; of bad ones a quarter")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--interval", type=int, default=20, help="seconds of a step")
    parser.add_argument("--before", type=int, default=300, help="seconds that the stable version served before")
    parser.add_argument("--lasts", type=int, default=2, help="times as long as the steps that it is looked at")
    parser.add_argument("--only", default="", help="kinds with this in their names")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if not chosen.json:
        print(f"{'candidate':28}  rolled back  promoted    its answers      seconds, median and most; by", flush=True)
    is_good, told = True, {}
    for name, ends in run(chosen):
        rejected = sum(end.criterion is not None for end in ends)
        if name.startswith("A/A"):
            is_good &= rejected <= 0.02 * len(ends)
        else:
            is_good &= KINDS[name][0] == STORMY or rejected == len(ends)
            # Of who is worse at most one in twenty may be taken for fine.
            is_good &= sum(end.is_finished for end in ends) <= max(1, 0.05 * len(ends))
        told[name] = [asdict(end) for end in ends]
        if not chosen.json:
            print(line(name, ends), flush=True)
    if chosen.json:
        print(json.dumps(told))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
