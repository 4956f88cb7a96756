"""A machine to roll out on, in memory: each action that plan() names is checked against the laws before it is done."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

from podium.domain.lifecycle import ReplicaState, advance
from podium.domain.planning import (
    Desired,
    Drain,
    Failure,
    Journal,
    Observed,
    ObservedReplica,
    Publish,
    Settle,
    Start,
    Stop,
    goal,
    note_end,
    note_settled,
    note_wanted,
    plan,
)
from podium.domain.traffic import Target

BROKEN = {"4", "5"}  # these versions never load
VERSIONS = ["1", "2", "3", "4", "5"]


@dataclass
class Process:
    version: str
    state: ReplicaState = ReplicaState.STARTING
    ready_at: float = 0.0


@dataclass
class World:
    """A machine to roll out on: processes and gateways that die and answer when the history says so."""

    replicas: int
    now: float = 0.0
    wanted: str | None = None
    processes: dict[int, Process] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    epoch: int = 0
    gateways: list[tuple[int, tuple[Target, ...]]] = field(default_factory=lambda: [(0, ()), (0, ())])
    journal: Journal = field(default_factory=Journal)
    last_id: int = 0

    def seen(self) -> Observed:
        replicas = tuple(ObservedReplica(i, p.version, p.state) for i, p in self.processes.items() if not p.state.is_over)
        acknowledged = all(epoch == self.epoch for epoch, _ in self.gateways)
        return Observed(replicas, self.targets, acknowledged, self.journal, self.now)

    def desired(self) -> Desired:
        return Desired(self.wanted, self.replicas)

    def alive(self, *states: ReplicaState) -> list[int]:
        return [i for i, p in self.processes.items() if p.state in states]

    # ── what happens by itself

    def want(self, version: str | None) -> None:
        self.wanted = version
        self.journal = note_wanted(self.journal, version)

    def scale(self, replicas: int) -> None:
        self.replicas = replicas

    def load(self, identity: int) -> None:
        process = self.processes[identity]
        if process.version in BROKEN:
            self.die(identity)
        else:
            process.state = advance(process.state, ReplicaState.READY)
            process.ready_at = self.now

    def die(self, identity: int) -> None:
        process = self.processes[identity]
        was_draining = process.state is ReplicaState.DRAINING
        ready_s = self.now - process.ready_at if process.state is ReplicaState.READY else None
        process.state = advance(process.state, ReplicaState.FAILED)
        if not was_draining:
            routed = any(target.version == process.version for target in self.targets)
            failure = Failure("signal", "SIGKILL", self.now)
            self.journal = note_end(self.journal, process.version, failure, ready_s, routed, self.now)

    def drained(self, identity: int) -> None:
        self.processes[identity].state = advance(self.processes[identity].state, ReplicaState.STOPPED)

    def acknowledge(self, gateway: int) -> None:
        self.gateways[gateway] = (self.epoch, self.targets)

    # ── what the loop does

    def step(self) -> bool:
        """Ask for one action, check that it is safe, do it; False when there was none."""
        seen, desired = self.seen(), self.desired()
        action = plan(desired, seen)
        assert action == plan(desired, seen)
        match action:
            case None:
                return False
            case Start(version):
                self._check_start(version, desired)
                self.last_id += 1
                self.processes[self.last_id] = Process(version)
            case Publish(targets):
                self._check_publish(targets, desired)
                self.targets, self.epoch = targets, self.epoch + 1
            case Settle(version):
                assert seen.is_acknowledged
                self._check_settle(version)
                self.journal = note_settled(self.journal, version)
            case Drain(identity):
                self._check_drain(identity, desired)
                self.processes[identity].state = advance(self.processes[identity].state, ReplicaState.DRAINING)
            case Stop(identity):
                assert self.processes[identity].version != goal(desired, self.journal) or self._surplus(identity)
                self.processes[identity].state = advance(self.processes[identity].state, ReplicaState.STOPPED)
        return True

    def _check_settle(self, version: str) -> None:
        assert all({t.version for t in routed} == {version} for _, routed in self.gateways)

    def _check_start(self, version: str, desired: Desired) -> None:
        assert version in {goal(desired, self.journal), self.journal.stable}
        assert version not in self.journal.vetoed or version == self.journal.stable
        running = [p for p in self.processes.values() if p.version == version and p.state in {"starting", "ready"}]
        assert len(running) < self.replicas

    def _check_publish(self, targets: tuple[Target, ...], desired: Desired) -> None:
        for target in targets:
            assert target.replicas
            assert all(self.processes[i].state is ReplicaState.READY for i in target.replicas)
            assert all(self.processes[i].version == target.version for i in target.replicas)
            now_routed = {t.version for t in self.targets}
            assert target.version in {goal(desired, self.journal), self.journal.stable} | now_routed
        assert sum(target.weight for target in targets) == (100 if targets else 0)
        if not targets and self.replicas:
            # Nothing to route to: because everything that served has died, or because it was sent to sleep.
            serving = {self.journal.stable, *(t.version for t in self.targets)}
            assert not any(p.version in serving for p in self.processes.values() if p.state is ReplicaState.READY)

    def _check_drain(self, identity: int, desired: Desired) -> None:
        for _, routed in self.gateways:
            assert all(identity not in target.replicas for target in routed)
        version = self.processes[identity].version
        if version == self.journal.stable:
            assert self._surplus(identity)

    def _surplus(self, identity: int) -> bool:
        mine = self.processes[identity]
        same = [p for p in self.processes.values() if p.version == mine.version and p.state in {"starting", "ready"}]
        return len(same) > self.replicas

    def calm_down(self) -> None:
        """Everything answers, nothing dies any more; the loop must come to rest soon."""
        for _ in range(120):
            self.step()
            for gateway in range(len(self.gateways)):
                self.acknowledge(gateway)
            for identity in self.alive(ReplicaState.STARTING):
                self.load(identity)
            for identity in self.alive(ReplicaState.DRAINING):
                self.drained(identity)
            self.now += 1.0
        assert plan(self.desired(), self.seen()) is None, "the loop never comes to rest"


EVENTS = st.one_of(
    st.tuples(st.just("want"), st.sampled_from([*VERSIONS, None])),
    st.tuples(st.just("scale"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["load", "die", "drained", "gateway dies", "acknowledge"]), st.integers(0, 9)),
    st.tuples(st.just("step"), st.integers(1, 6)),
    st.tuples(st.just("time"), st.sampled_from([0.1, 1.0, 7.0, 61.0])),
)


def happen(world: World, event: str, value) -> None:
    """Let one thing happen; one that has no subject is left out."""
    choose = {
        "load": (world.load, world.alive(ReplicaState.STARTING)),
        "die": (world.die, world.alive(ReplicaState.STARTING, ReplicaState.READY, ReplicaState.DRAINING)),
        "drained": (world.drained, world.alive(ReplicaState.DRAINING)),
        "acknowledge": (world.acknowledge, [0, 1]),
        # A gateway that died comes back with the table of now.
        "gateway dies": (world.acknowledge, [0, 1]),
    }
    if event in {"want", "scale"}:
        {"want": world.want, "scale": world.scale}[event](value)
    elif event == "time":
        world.now += value
    elif event == "step":
        for _ in range(value):
            world.step()
    elif choose[event][1]:
        act, subjects = choose[event]
        act(subjects[value % len(subjects)])
