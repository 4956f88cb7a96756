"""plan() with candidates and splits in thousands of random histories: safe at each step, and never flapping."""

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rollout_world import BROKEN, EVENTS, VERSIONS, World, happen

from podium.domain.lifecycle import ReplicaState
from podium.domain.planning import Candidate, Desired, beside, goal, note_beside
from podium.domain.traffic import Target

LIVING = {ReplicaState.STARTING, ReplicaState.READY}


@dataclass
class Trial(World):
    """A world in which a candidate and a split come and go, too."""

    candidate: Candidate | None = None
    split: tuple[Candidate, ...] = ()

    def desired(self) -> Desired:
        return Desired(self.wanted, self.replicas, self.candidate, self.split)

    def try_out(self, candidate: Candidate | None, split: tuple[Candidate, ...]) -> None:
        self.candidate, self.split = candidate, split
        self.journal = note_beside(self.journal, self.desired())

    def _check_settle(self, version: str) -> None:
        # Every gateway has it as the one that serves, and it is not there because of a candidate's weight.
        assert all(routed[0].version == version and routed[0].replicas for _, routed in self.gateways)
        assert version not in {each.version for each in beside(self.desired(), self.journal)}

    def _check_start(self, version: str, desired: Desired) -> None:
        besides = {each.version: each.percent for each in beside(desired, self.journal)}
        assert version in {goal(desired, self.journal), self.journal.stable, *besides}
        assert version not in self.journal.vetoed or version == self.journal.stable
        running = [p for p in self.processes.values() if p.version == version and p.state in LIVING]
        assert len(running) < self.replicas
        if version not in {goal(desired, self.journal), self.journal.stable}:
            assert self.targets, "what serves comes first"

    def _check_publish(self, targets: tuple[Target, ...], desired: Desired) -> None:
        besides = {each.version: each.percent for each in beside(desired, self.journal)}
        assert sum(target.weight for target in targets) == (100 if targets else 0)
        before = {target.version: target.weight for target in self.targets}
        is_down = bool(targets) and not targets[0].replicas
        for number, target in enumerate(targets):
            assert all(self.processes[i].state is ReplicaState.READY for i in target.replicas)
            assert all(self.processes[i].version == target.version for i in target.replicas)
            assert target.replicas or (number == 0 and target.weight == 0 and target.version == self.journal.stable)
            if not number:
                assert target.version in {goal(desired, self.journal), self.journal.stable} | before.keys()
                continue
            aim = goal(desired, self.journal)
            allowed = besides.get(target.version, before.get(target.version, 0) if target.version == aim else 0)
            assert target.weight <= allowed or (is_down and before.get(target.version, 0) + besides.get(target.version, 0))
            if target.weight and not before.get(target.version):
                known = [next((t for t in routed if t.version == target.version), None) for _, routed in self.gateways]
                assert all(known), "a gateway does not know it yet"
        if not targets and self.replicas:
            serving = {self.journal.stable, *(t.version for t in self.targets[:1])}
            assert not any(p.version in serving for p in self.processes.values() if p.state is ReplicaState.READY)

    def _check_drain(self, identity: int, desired: Desired) -> None:
        for _, routed in self.gateways:
            assert all(identity not in target.replicas for target in routed)
        if self.processes[identity].version == self.journal.stable:
            assert self._surplus(identity)

    def _surplus(self, identity: int) -> bool:
        besides = {each.version for each in beside(self.desired(), self.journal)}
        return self.processes[identity].version in besides or super()._surplus(identity)


PARTS = st.builds(Candidate, st.sampled_from(VERSIONS), st.sampled_from([0, 1, 5, 25, 50, 99, 100]))
TRIALS = st.tuples(st.just("try"), st.tuples(st.none() | PARTS, st.lists(PARTS, max_size=2).map(tuple)))


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 4), st.lists(EVENTS | TRIALS, max_size=50), st.sampled_from(["1", "2", "3"]), PARTS)
def test_any_history_is_safe_and_ends_with_the_parts_that_are_wanted(replicas, history, last, part):
    """Candidates that do not load, die, grow, shrink, are wanted or taken back; `Trial.step` checks the laws."""
    world = Trial(replicas)
    for event, value in history:
        if event == "try":
            world.try_out(*value)
        else:
            happen(world, event, value)
    world.scale(replicas)
    world.try_out(None, ())
    world.want("another")
    world.want(last)
    world.calm_down()
    world.try_out(part, ())
    world.calm_down()

    is_beside = part.version != last and part.version not in BROKEN
    percent = part.percent if is_beside else 0
    assert [(target.version, target.weight) for target in world.targets] == [
        (last, 100 - percent),
        *([(part.version, percent)] if is_beside else []),
    ]
    assert len(world.targets[0].replicas) == replicas
    assert world.journal.stable == last
    assert (part.version in world.journal.vetoed) == (part.version in BROKEN)
    assert world.alive(ReplicaState.STARTING, ReplicaState.DRAINING) == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 4), st.lists(st.integers(0, 100), min_size=1, max_size=6), st.lists(st.integers(0, 8), max_size=80))
def test_a_growing_candidate_never_loses_weight_and_what_serves_is_never_reduced(replicas, percents, beats):
    """From 5 to 25 to 100 and then wanted, in any order of loads and acknowledgements: its weight only grows."""
    world = Trial(replicas)
    world.want("1")
    world.calm_down()
    weights = [0]

    def watch() -> None:
        assert world.targets[0].version != "1" or len(world.targets[0].replicas) == replicas
        weights.append(next((target.weight for target in world.targets if target.version == "2"), 0))

    for number, beat in enumerate([*beats, *range(8)]):
        steps = sorted(percents)
        world.try_out(Candidate("2", steps[min(number // 3, len(steps) - 1)]), ())
        for _ in range(1 + beat % 3):
            world.step()
            watch()
        for identity in world.alive(ReplicaState.STARTING)[: beat % 2]:
            world.load(identity)
        world.acknowledge(beat % 2)
    world.want("2")
    for _ in range(60):
        world.step()
        watch()
        world.acknowledge(0)
        world.acknowledge(1)
        for identity in world.alive(ReplicaState.STARTING):
            world.load(identity)

    assert weights == sorted(weights)
    assert (weights[-1], world.journal.stable) == (100, "2")
