"""What to do next so that what runs becomes what is wanted: swap, rollback and crash recovery as one pure function.

`plan` sees the whole world as one value and names a single action; the loop in `fleet/` does it, looks again and asks
again, until `plan` says None. Nothing is remembered between two calls but the `Journal`, which is part of what is seen.
After TF Serving's aspired-versions policy (core/availability_preserving_policy.h). Plans without a journal were wrong
(a vetoed version was tried for ever; a crash of the stable one counted as a veto; the larger weight was taken for
the stable version).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from podium.domain.causes import KILLED
from podium.domain.lifecycle import ReplicaState
from podium.domain.traffic import Target

SURVIVED_S = 60.0
"""A replica that was ready for so long starts its version's count of crashes anew."""

LONGEST_DELAY_S = 30.0

MOST_CRASHES = 3
"""A version beside the stable one that died so often in a row is vetoed: it takes traffic and loses it no more."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version did not load.

    Args:
        cause: One of the names in `domain/causes.py`.
        message: One or two sentences for people.
        at: Seconds since the epoch, for people.
    """

    cause: str
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class Crashes:
    """How often in a row replicas of one version that serves died, and when the last did (the clock of `Observed.now`)."""

    count: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Journal:
    """What cannot be seen by looking at the processes and must be remembered.

    Args:
        wanted: The version that was wanted last; unlike `Desired.version` never forgotten.
        stable: The version that every gateway routed to last: what runs on while the wanted one cannot.
        vetoed: Versions that failed to load; not tried again until something else is wanted.
        crashes: By version; of versions that serve.
        beside: The versions that were wanted beside it last.
    """

    wanted: str | None = None
    stable: str | None = None
    vetoed: Mapping[str, Failure] = field(default_factory=dict)
    crashes: Mapping[str, Crashes] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that runs beside the one that is wanted, and takes a part of its traffic.

    Args:
        version: Its label.
        percent: 0 to 100: its part of the traffic. With 0 it is loaded and gets only what names it: a dark launch.
    """

    version: str
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Desired:
    """What should run.

    Args:
        version: None when the source says that nothing is there, which unloads nothing that serves.
        replicas: Worker processes for it. With 0 the endpoint sleeps: what serves leaves the table, and is drained once
            every gateway knows; nothing is started. Which version was stable stays in the journal.
        candidate: What a rollout tries; it becomes the stable version only by being wanted, never by its weight.
        beside: What else runs and takes a fixed part: the other versions of a split, a shadow with 0. What all of them
            leave of 100 percent is the wanted version's.
    """

    version: str | None
    replicas: int = 1
    candidate: Candidate | None = None
    beside: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedReplica:
    """One worker process, as it is seen."""

    id: int
    version: str
    state: ReplicaState


@dataclass(frozen=True, slots=True)
class Observed:
    """What is.

    Args:
        replicas: Those whose life is not over.
        targets: The endpoint's part of the routing table that was published last.
        is_acknowledged: Whether every living gateway routes by that table.
        journal: What was remembered.
        now: Seconds, monotonic.
    """

    replicas: tuple[ObservedReplica, ...]
    targets: tuple[Target, ...]
    is_acknowledged: bool
    journal: Journal
    now: float


@dataclass(frozen=True, slots=True)
class Start:
    """Start one replica of a version, beside whatever runs."""

    version: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Make every gateway route by these targets."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """Write down that this version is the stable one: every gateway routes to it."""

    version: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Let a ready replica that no gateway routes to finish what it has, then end."""

    replica: int


@dataclass(frozen=True, slots=True)
class Stop:
    """End a replica that is still starting and that nobody wants any more."""

    replica: int


Action = Start | Publish | Settle | Drain | Stop


def plan(desired: Desired, observed: Observed) -> Action | None:
    """Name the next single step from what is to what is wanted, or None when nothing is to be done now.

    Laws, whatever happens around it: a table names only ready replicas; the stable version runs until every gateway
    has acknowledged another; nothing that gateways may route to is drained; a vetoed version is not started; a source that
    says nothing unloads nothing; at most `desired.replicas` of a version are started. Only sleep (no replicas) takes away
    what serves, and it is unpublished before it is drained. A version beside gets weight once every gateway knows it, never
    more than its ready replicas carry, and the stable one keeps all its replicas meanwhile. Called again on an unchanged
    world it gives the same answer. Asked again after each action, in a world that has calmed down, it ends at None.
    """
    targets = _targets(desired, observed)
    if targets != observed.targets:
        return Publish(targets)
    if targets and observed.is_acknowledged and targets[0].version != observed.journal.stable:
        return Settle(targets[0].version)

    counts = _counts(desired, observed)
    kept = {replica.id for version, count in counts.items() for replica in _kept(version, count, observed)}
    routed = {identity for target in targets for identity in target.replicas}
    for replica in observed.replicas:
        if replica.id in kept or replica.id in routed:
            continue
        if replica.state is ReplicaState.STARTING:
            return Stop(replica.id)
        if replica.state is ReplicaState.READY and observed.is_acknowledged:
            return Drain(replica.id)

    for version, count in counts.items():
        if len(_kept(version, count, observed)) < count and _may_start(version, desired, observed):
            crashes = observed.journal.crashes.get(version)
            if crashes is None or observed.now >= restart_at(crashes, count):
                return Start(version)
    return None


def goal(desired: Desired, journal: Journal) -> str | None:
    """The version to work towards: the wanted one, or the stable one where that is vetoed or nothing is wanted."""
    if desired.version is None or desired.version in journal.vetoed:
        return journal.stable
    return desired.version


def is_hopeless(desired: Desired, journal: Journal) -> bool:
    """Whether nothing ever served, and nothing will until something else is wanted: it did not load, or is not there."""
    return journal.stable is None and (desired.version is None or desired.version in journal.vetoed)


def restart_at(crashes: Crashes, replicas: int) -> float:
    """From when on a crashed replica may be replaced: each replica once at once, then after 1, 2, 4 ... 30 seconds.

    The wait grows with the rounds in which every replica died once, not with the deaths: what kills all of eight replicas
    at the same moment happened once, not eight times.
    """
    rounds = (crashes.count - 1) // replicas
    return crashes.last_at + (0.0 if rounds <= 0 else min(LONGEST_DELAY_S, 2.0 ** min(rounds - 1, 10)))


def beside(desired: Desired, journal: Journal) -> tuple[Candidate, ...]:
    """Who runs beside the goal: each version once, with its parts added up, all of them at most 100; nobody vetoed."""
    parts: dict[str, int] = {}
    left = 100
    for each in (*((desired.candidate,) if desired.candidate is not None else ()), *desired.beside):
        if each.version == goal(desired, journal) or each.version in journal.vetoed:
            continue
        percent = min(max(each.percent, 0), left)
        left -= percent
        parts[each.version] = parts.get(each.version, 0) + percent
    return tuple(Candidate(version, percent) for version, percent in parts.items())


def note_wanted(journal: Journal, version: str | None) -> Journal:
    """Remember what is wanted; another version lifts every veto, but of what stays beside. None changes nothing."""
    if version is None or version == journal.wanted:
        return journal
    stays = [name for name in journal.beside if name != version]
    crashes = {name: entry for name, entry in journal.crashes.items() if name == journal.stable or name in stays}
    vetoed = {name: entry for name, entry in journal.vetoed.items() if name in stays}
    return replace(journal, wanted=version, vetoed=vetoed, crashes=crashes)


def note_beside(journal: Journal, desired: Desired) -> Journal:
    """Remember what is wanted beside; what was not before is tried anew, whatever it did in former days."""
    wanted = (*((desired.candidate,) if desired.candidate is not None else ()), *desired.beside)
    versions = tuple(dict.fromkeys(each.version for each in wanted))
    if versions == journal.beside:
        return journal
    new = {version for version in versions if version not in journal.beside and version != journal.wanted}
    vetoed = {name: entry for name, entry in journal.vetoed.items() if name not in new}
    crashes = {name: entry for name, entry in journal.crashes.items() if name == journal.stable or name not in new}
    return replace(journal, beside=versions, vetoed=vetoed, crashes=crashes)


def note_retried(journal: Journal) -> Journal:
    """Somebody asks for what is wanted once more: what did not load before is tried again."""
    return replace(journal, vetoed={}) if journal.vetoed else journal


def note_settled(journal: Journal, version: str) -> Journal:
    """Remember that every gateway routes to this version."""
    return replace(journal, stable=version)


def note_end(
    journal: Journal, version: str, failure: Failure, ready_s: float | None, is_routed: bool, now: float
) -> Journal:
    """Remember that a replica failed.

    A version that does not serve and whose replica died before it was ready is vetoed; any other death is a crash, which is
    mended by a restart with back-off. So a later mishap of the stable version never leaves it short. One that only runs
    beside it is vetoed at its `MOST_CRASHES`th crash in a row, too; so is one that was killed from outside so often before
    it was ready, for once says nothing of it.

    Args:
        journal: As it was before.
        version: Whose replica it was.
        failure: Why.
        ready_s: For how long it had been ready; None if it never was.
        is_routed: Whether the table that was published last names the version.
        now: The clock of `Observed.now`.
    """
    serves = is_routed or version == journal.stable
    is_unproven = ready_s is None and not serves
    if is_unproven and failure.cause != KILLED:
        return replace(journal, vetoed={**journal.vetoed, version: failure})
    before = journal.crashes.get(version)
    survived = ready_s is not None and ready_s >= SURVIVED_S
    count = 1 if before is None or survived else before.count + 1
    journal = replace(journal, crashes={**journal.crashes, version: Crashes(count, now)})
    is_beside = version in journal.beside and version not in (journal.wanted, journal.stable)
    if (is_beside or is_unproven) and count >= MOST_CRASHES:
        return replace(journal, vetoed={**journal.vetoed, version: failure})
    return journal


def _counts(desired: Desired, observed: Observed) -> dict[str, int]:
    """The versions that must run, with their replicas: the stable one first, for it serves until all route to the goal."""
    versions = (observed.journal.stable, goal(desired, observed.journal))
    counts = {version: desired.replicas for version in versions if version is not None}
    for each in beside(desired, observed.journal):
        counts.setdefault(each.version, _carriers(each.percent, desired.replicas))
    return counts


def _carriers(percent: int, replicas: int) -> int:
    """How many replicas carry this part of what `replicas` carry; one at least, so that a dark launch is loaded."""
    return max(-(-replicas * percent // 100), min(replicas, 1))


def _may_start(version: str, desired: Desired, observed: Observed) -> bool:
    """Not while the first replica of a newcomer is still loading beside what serves, nor beside what does not serve yet.

    The others wait for it: a version that does not load costs one process, and its size is known before it is multiplied.
    """
    if version in (observed.journal.stable, goal(desired, observed.journal)):
        if not observed.targets or version == observed.journal.stable:
            return True
    elif not observed.targets:
        return False
    states = {replica.state for replica in observed.replicas if replica.version == version}
    return ReplicaState.STARTING not in states or ReplicaState.READY in states


def _targets(desired: Desired, observed: Observed) -> tuple[Target, ...]:
    """The table's part as it should be now: first the version that has what nobody beside takes, then those beside."""
    if desired.replicas == 0:
        return ()
    journal, aim = observed.journal, goal(desired, observed.journal)
    stands = _standing(aim, desired, observed)
    sharing = [
        target for target in _sharing(aim, stands, desired, observed) if target.version != (stands or journal.stable)
    ]
    left = 100 - sum(target.weight for target in sharing)
    if stands is not None:
        return (Target(stands, left, _ready(stands, desired.replicas, observed)), *sharing)
    # The stable one is down, and is started again: whoever has some of its traffic takes all, a dark launch never does.
    heir = next((target for target in sharing if target.weight), None)
    if heir is None or journal.stable is None:
        return ()
    heirs = [replace(target, weight=target.weight + left) if target is heir else target for target in sharing]
    return (Target(journal.stable, 0, ()), *heirs)


def _standing(aim: str | None, desired: Desired, observed: Observed) -> str | None:
    """Who serves: the goal once all its replicas are ready, until then who did before."""
    published = observed.targets[0].version if observed.targets else None
    if aim is not None and len(_ready(aim, desired.replicas, observed)) >= desired.replicas:
        return aim
    for version in (published, observed.journal.stable, aim):
        if version is not None and _ready(version, desired.replicas, observed):
            return version
    return None


def _sharing(aim: str | None, stands: str | None, desired: Desired, observed: Observed) -> list[Target]:
    """Who has a part beside who serves. A candidate that has become the goal keeps what it has until it takes the rest."""
    before = {target.version: target.weight for target in observed.targets}
    targets = []
    kept = before.get(aim, 0) if aim is not None and aim != stands else 0
    if aim is not None and kept and (ready := _ready(aim, desired.replicas, observed)):
        targets.append(Target(aim, min(kept, _carried(len(ready), kept, desired.replicas)), ready))
    left = 100 - sum(target.weight for target in targets)
    for each in beside(desired, observed.journal):
        ready = _ready(each.version, _carriers(each.percent, desired.replicas), observed)
        if not ready or each.version == stands:
            continue
        # Published dark first: no gateway is to send anybody to a version that another does not know yet.
        is_known = bool(before.get(each.version)) or (each.version in before and observed.is_acknowledged)
        weight = min(_carried(len(ready), each.percent, desired.replicas), left) if is_known else 0
        left -= weight
        targets.append(Target(each.version, weight, ready))
    return targets


def _carried(ready: int, percent: int, replicas: int) -> int:
    """How much of this part so many ready replicas carry."""
    return percent if ready >= _carriers(percent, replicas) else 100 * ready // replicas


def _ready(version: str, count: int, observed: Observed) -> tuple[int, ...]:
    return tuple(replica.id for replica in _kept(version, count, observed) if replica.state is ReplicaState.READY)


def _kept(version: str, count: int, observed: Observed) -> list[ObservedReplica]:
    """Up to `count` replicas of a version that are ready or will be: ready ones first, then by age."""
    alive = [
        replica
        for replica in observed.replicas
        if replica.version == version and replica.state in {ReplicaState.STARTING, ReplicaState.READY}
    ]
    return sorted(alive, key=lambda replica: (replica.state is not ReplicaState.READY, replica.id))[:count]
