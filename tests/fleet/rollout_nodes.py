"""Nodes on one registry, in memory: what happens to them at random, and the laws that they keep whatever does.

A node is the real thing without processes: its desk, plan(), and a machine in memory that checks each action. Moves,
rollouts, vetoes, pauses, pins, crashes of workers, gateways and whole servers, nodes that stop and come back, that sleep
and wake, that nobody asks, clocks that differ, dates that are old, answers that are late or lost; a registry whose clock is
set, and one that comes back out of a backup.
"""

import contextlib
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rollout_world import World, happen

from podium.domain.lifecycle import ReplicaState
from podium.domain.planning import Candidate, Desired, Journal, note_beside
from podium.domain.references import StageRef
from podium.domain.rollouts.clocks import Reading, corrected
from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.records import read_notices
from podium.domain.rollouts.schedule import MarkKind, Pin, RolloutNotices, course, newest, phase, versions_named
from podium.domain.stages import Stage
from podium.errors import PodiumError, RegistryError
from podium.fleet.rollouts.desk import Desk, EndpointStanding
from podium.fleet.sources import Wish
from podium.registry.observe_rollouts import Tidings
from podium.registry.resolve import Resolved
from podium.registry.rollout_edits import Note, RolloutOrder, begin, note, pin, unpin
from podium.registry.rollouts import Edit, RolloutPage

REFERENCE = StageRef("tiny", Stage.PRODUCTION)
VERSIONS = ["1", "2", "3", "4"]  # 4 never loads: see rollout_world
INTERVAL_S = 10.0


def resolved(version: str) -> Resolved:
    return Resolved(REFERENCE, "tiny", int(version), version, Stage.PRODUCTION, None, Path("/nowhere"))


@dataclass
class Registry:
    """Tags, a stage and a clock; `has_moves` is podium's own, without it is MLflow's, which only takes tags.

    Args:
        now: By which everybody's own clock goes.
        set_by: How far its own clock was set away from that.
        backup: Its tags and what was live, when they were saved last.
    """

    has_moves: bool
    now: float = 1_000_000.0
    set_by: float = 0.0
    live: str = "1"
    tags: dict[str, str] = field(default_factory=dict)
    read: RolloutNotices | None = None
    backup: tuple[dict[str, str], str] = ({}, "1")

    @property
    def time(self) -> float:
        """What its clock shows."""
        return self.now + self.set_by

    def restore(self) -> None:
        """What was done since the last backup never was."""
        self.tags, self.live, self.read = dict(self.backup[0]), self.backup[1], None

    def notices(self) -> RolloutNotices:
        if self.read is None:
            self.read = read_notices(self.tags)
        return self.read

    def change(self, decide) -> None:
        edit = decide(RolloutPage(self.notices(), dict(self.tags), self.time, lambda _: self.live))
        for key, value in edit.tags.items():
            if value is None:
                del self.tags[key]
            else:
                assert key not in self.tags or key == "podium.pin", "written once"
                self.tags[key] = value
        self.read = None
        if edit.moves is not None:
            assert self.has_moves
            self.live = edit.moves[1]

    def note(self, asked: Note) -> None:
        self.change(lambda page: note(asked, "production", "tiny", self.has_moves, page))


@dataclass
class Node(World):
    """One server. Its own clock began at some other time, and the registry's shows whole seconds where it is remote.

    Args:
        began_at: Of the registry's clock, when its own began.
        is_asleep: It wants no replica until somebody asks.
        rate: Requests a second that come here.
        late_s: How long an answer of the registry's is under way.
        stale_s: How old its date is, below a second.
        bad: Versions half of whose answers are errors here.
    """

    registry: Registry | None = None
    began_at: float = 0.0
    is_remote: bool = False
    is_stopped: bool = False
    is_cut_off: bool = False
    is_asleep: bool = False
    rate: int = 100
    late_s: float = 0.0
    stale_s: float = 0.0
    candidate: Candidate | None = None
    wish: Wish = field(default_factory=lambda: Wish(None))
    offset: object = None
    bad: set[str] = field(default_factory=set)
    guided: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counted = {}
        self.counted_at = self.registry.now
        self.under_way = None
        self.wrongs = []
        self.set_by = 0.0
        self.sit_down()

    def sit_down(self) -> None:
        """Begin to take part in rollouts."""
        self.desk = Desk(
            REFERENCE, lambda: self.offset, self.write, self.evidence, lambda _: None, lambda: None, self.drive, self.clock
        )

    def crash(self) -> None:
        """kill -9 of the whole server, which is started again at once and knows nothing."""
        self.processes, self.targets, self.journal = {}, (), Journal()
        self.epoch, self.gateways = 0, [(0, ()), (0, ())]
        self.wanted, self.candidate, self.wish, self.offset = None, None, Wish(None), None
        self.counted, self.under_way, self.is_asleep, self.is_stopped = {}, None, False, False
        self.sit_down()

    def clock(self) -> float:
        return self.registry.now - self.began_at

    async def write(self, asked: Note, _followed) -> None:
        if self.is_cut_off:
            raise RegistryError("nobody answers")
        if asked.kind is MarkKind.FINISH and "by hand" not in asked.reason:
            [mine] = [each.rollout for each in self.registry.notices().entries if each.rollout.id == asked.rollout_id]
            answered, least = self.counted.get(mine.candidate, (0, 0))[0], mine.policy.least_requests
            # Not raised: whatever a registry raises is tried again.
            self.wrongs += [f"{mine.candidate} takes over after {answered} answers"] if answered < least else []
        self.registry.note(Note(asked.kind, f"node {self.began_at}", asked.reason, asked.evidence, asked.rollout_id))

    def drive(self, coroutine) -> None:
        with pytest.raises(StopIteration):
            coroutine.send(None)

    def count(self) -> None:
        """Requests came, and were answered by whoever had weight."""
        came = (self.registry.now - self.counted_at) * self.rate
        self.counted_at = self.registry.now
        for target in self.targets:
            served, errors = self.counted.get(target.version, (0.0, 0.0))
            more = came * target.weight / 100
            self.counted[target.version] = (served + more, errors + (more / 2 if target.version in self.bad else 0))

    def evidence(self, version: str) -> Evidence:
        served, errors = self.counted.get(version, (0.0, 0.0))
        return Evidence(int(served), int(errors))

    def desired(self) -> Desired:
        return Desired(self.wanted, 0 if self.is_asleep else self.replicas, self.candidate)

    # The candidate's part of these laws stands in tests/domain/test_rollout_beside_histories.py.

    def _check_start(self, version, desired) -> None:
        assert version not in self.journal.vetoed or version == self.journal.stable

    def _surplus(self, identity) -> bool:
        return self.is_asleep or super()._surplus(identity)

    def _check_settle(self, version) -> None:
        assert all(routed[0].version == version and routed[0].replicas for _, routed in self.gateways)

    def _check_publish(self, targets, desired) -> None:
        assert sum(target.weight for target in targets) == (100 if targets else 0)
        for target in targets:
            assert all(self.processes[i].state is ReplicaState.READY for i in target.replicas)
            assert target.replicas or target.weight == 0
        if not any(target.weight for target in targets) and not self.is_asleep:
            ready = {p.version for p in self.processes.values() if p.state is ReplicaState.READY}
            assert not ready & {self.journal.stable, self.wanted}, "who serves, or should, is ready and gets nothing"

    # What a server does.

    def poll(self) -> None:
        """One look at the registry, of which nothing is known when it is cut off."""
        if self.is_stopped:
            return
        if self.under_way is not None:
            answered_at, hear = self.under_way
            if self.registry.now < answered_at:
                return
            self.under_way = None
            hear()
            return
        began_at = self.clock()
        if self.is_cut_off:
            self.wish = Wish(self.wish.resolved, "down", is_up=False, tidings=self.wish.tidings)
            self.heard(began_at)
            return
        notices, live, shown = self.registry.notices(), self.registry.live, self.registry.time
        set_by = self.registry.set_by
        least = float(int(shown - self.stale_s)) if self.is_remote else shown

        def hear() -> None:
            self.offset = corrected(
                self.offset, Reading(began_at, self.clock(), least, least + (2 if self.is_remote else 0))
            )
            others = {each: resolved(each) for each in versions_named(notices, "production")}
            self.wish = Wish(resolved(live), tidings=Tidings(notices, "production", others))
            self.set_by = set_by
            self.heard(began_at)

        if self.late_s:
            self.under_way = (self.registry.now + self.late_s, hear)
        else:
            hear()

    def heard(self, began_at: float) -> None:
        """The answer is here."""
        self.desk.hear(self.wish)
        self.desk.asked(began_at + 1e-6)

    def run(self, steps: int = 8) -> None:
        """What the loop does at each tick."""
        if self.is_stopped:
            return
        self.now = self.clock()
        self.count()
        if self.is_asleep and not self.targets and not any(not each.state.is_over for each in self.processes.values()):
            return  # As fleet/supervisor.py: who is at rest is not steered.
        guidance = self.desk.guide()
        if guidance.resolved is not None and guidance.resolved.label != self.wanted:
            self.want(guidance.resolved.label)
        if guidance.candidate != self.candidate:
            self.candidate = guidance.candidate
            self.journal = note_beside(self.journal, self.desired())
        for _ in range(steps):
            if not self.step():
                break
        acknowledged = all(epoch == self.epoch for epoch, _ in self.gateways)
        self.desk.tick(EndpointStanding(self.targets, acknowledged, self.journal))
        tidings = self.wish.tidings
        known = (self.wish.resolved, tidings.notices if tidings else None, self.desk.pin() is None, self.set_by)
        self.guided.append((known, (self.wanted, self.candidate)))

    def settle(self) -> None:
        """Processes and gateways do what they were asked for."""
        for gateway in range(len(self.gateways)):
            self.acknowledge(gateway)
        for identity in self.alive(ReplicaState.STARTING):
            self.load(identity)
        for identity in self.alive(ReplicaState.DRAINING):
            self.drained(identity)

    def weights(self) -> dict[str, int]:
        return {target.version: target.weight for target in self.targets if target.weight}


def person(luck: random.Random, registry: Registry, number: int) -> None:
    """Somebody does something, or is told why not."""
    candidate = luck.choice(VERSIONS)
    steps = luck.choice([(5, 25, 100), (50, 100), (100,)])
    is_again, held_s = luck.random() < 0.5, luck.choice([3, 15])

    def start(page: RolloutPage) -> Edit:
        return begin(
            RolloutOrder(
                f"r{len(page.tags)}-{number}", "tiny", "production", candidate, steps, INTERVAL_S, "ann", is_again=is_again
            ),
            page,
        )

    deeds = [
        lambda: registry.change(start),
        lambda: registry.change(lambda page: pin(Pin(candidate, registry.time + held_s, "a test", "ann", 0.0), page)),
        lambda: registry.change(lambda page: unpin("tiny", page)),
        lambda: setattr(registry, "live", candidate),
        *(lambda kind=kind: registry.note(Note(kind, "ann", "a wish")) for kind in
          (MarkKind.PAUSE, MarkKind.RESUME, MarkKind.FINISH, MarkKind.UNDO, MarkKind.VETO)),
    ]  # fmt: skip
    with contextlib.suppress(PodiumError):
        luck.choices(deeds, weights=[10, 1, 1, 1, 2, 3, 1, 1, 1])[0]()


def disaster(luck: random.Random, registry: Registry) -> None:
    """Something befalls the registry: its clock is set, or it is saved, or is again what it was when it was saved."""
    match luck.randrange(4):
        case 0:
            registry.set_by += luck.choice([-3600.0, -30.0, 30.0])
        case 1:
            registry.restore()
        case _:
            registry.backup = dict(registry.tags), registry.live


def chaos(luck: random.Random, nodes: list[Node]) -> None:
    """Something befalls one node."""
    node = luck.choice(nodes)
    changes = {
        "stop": {"is_stopped": True},
        "go on": {"is_stopped": False},
        "cut off": {"is_cut_off": True},
        "mend": {"is_cut_off": False},
        "bad": {"bad": {luck.choice(VERSIONS)} if luck.random() < 0.3 else set()},
        "sleep": {"is_asleep": True},
        "wake": {"is_asleep": False},
        "traffic": {"rate": luck.choice([0, 1, 100])},
        "late": {"late_s": luck.choice([0.0, 0.1, 0.3])},
        "stale": {"stale_s": luck.choice([0.0, 0.5, 0.99])},
    }
    event = luck.choice([*changes, "die", "load", "acknowledge", "drained", "gateway dies", "crash"])
    if event == "crash":
        node.crash()
    elif event in changes:
        for name, value in changes[event].items():
            setattr(node, name, value)
    else:
        happen(node, event, luck.randrange(10))


def is_near_a_step(registry: Registry) -> bool:
    """Whether clocks that are a second apart may disagree about the step."""
    entry, pinned = newest(registry.notices().entries, "production"), registry.notices().pin
    if pinned is not None and abs(pinned.until - registry.time) < 1.1:
        return True
    if entry is None:
        return False
    at = [phase(entry.rollout, entry.marks, registry.time + late) for late in (-1.1, 1.1)]
    return at[0].percent != at[1].percent


def calm_down(registry: Registry, nodes: list[Node]) -> None:
    """Everybody runs, everything answers, for three seconds and one more after the last mark was written."""
    for node in nodes:
        node.is_stopped = node.is_cut_off = node.is_asleep = False
        node.bad, node.late_s = set(), 0.0
    rounds, written = 12, len(registry.tags)
    while rounds:
        rounds -= 1
        registry.now += 0.25
        for node in nodes:
            node.poll()
            node.run()
            node.settle()
        if len(registry.tags) != written:
            rounds, written = max(rounds, 4), len(registry.tags)


def check_agreement(registry: Registry, nodes: list[Node]) -> None:
    """All who could load what is wanted send the same shares to the same versions, and those that the registry says."""
    if is_near_a_step(registry):
        return
    able = [node for node in nodes if not node.journal.vetoed and not node.journal.crashes]
    assert len({(node.wanted, node.candidate) for node in able}) <= 1
    assert len({tuple(sorted(node.weights().items())) for node in able}) <= 1
    said = course(registry.notices(), "production", registry.live, registry.time)
    shares = {said.version: 100 - said.percent, said.candidate: said.percent}
    for node in able:
        assert node.weights() == {version: share for version, share in shares.items() if share}


def check_no_flap(node: Node) -> None:
    """While it hears nothing new, what a node wants never comes back to what it was."""
    assert node.wrongs == []
    knew, history = None, []
    for known, wanted in node.guided:
        if known != knew:
            knew, history = known, []
        if not history or history[-1] != wanted:
            assert wanted not in history, f"it wanted {wanted} again, after {history}"
            history.append(wanted)
