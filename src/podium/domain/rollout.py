"""What to do next so that what runs becomes what is wanted: swap, rollback and crash recovery as one pure function.

`plan` sees the whole world as one value and names a single action; the loop in `fleet/` does it, looks again and asks
again, until `plan` says None. Nothing is remembered between two calls but the `Journal`, which is part of what is seen.
After TF Serving's aspired-versions policy (core/availability_preserving_policy.h). Plans without a journal were wrong
(a vetoed version was tried for ever; a crash of the stable one counted as a veto; the larger weight was taken for
the stable version).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from podium.domain.lifecycle import ReplicaState
from podium.domain.traffic import Target

SURVIVED_S = 60.0
"""A replica that was ready for so long starts its version's count of crashes anew."""

LONGEST_DELAY_S = 30.0


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
    """

    wanted: str | None = None
    stable: str | None = None
    vetoed: Mapping[str, Failure] = field(default_factory=dict)
    crashes: Mapping[str, Crashes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Desired:
    """What should run.

    Args:
        version: None when the source says that nothing is there, which unloads nothing that serves.
        replicas: Worker processes for it. With 0 the endpoint sleeps: what serves leaves the table, and is drained once
            every gateway knows; nothing is started. Which version was stable stays in the journal.
    """

    version: str | None
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Replica:
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

    replicas: tuple[Replica, ...]
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
    what serves, and it is unpublished before it is drained. Called again on an unchanged world it gives the same answer.
    Asked again after each action, in a world that has calmed down, it ends at None.
    """
    targets = _targets(desired, observed)
    if targets != observed.targets:
        return Publish(targets)
    if targets and observed.is_acknowledged and targets[0].version != observed.journal.stable:
        return Settle(targets[0].version)

    needed = _needed(desired, observed)
    kept = {replica.id for version in needed for replica in _kept(version, desired.replicas, observed)}
    routed = {identity for target in targets for identity in target.replicas}
    for replica in observed.replicas:
        if replica.id in kept or replica.id in routed:
            continue
        if replica.state is ReplicaState.STARTING:
            return Stop(replica.id)
        if replica.state is ReplicaState.READY and observed.is_acknowledged:
            return Drain(replica.id)

    for version in needed:
        if len(_kept(version, desired.replicas, observed)) < desired.replicas and not _is_on_trial(version, observed):
            crashes = observed.journal.crashes.get(version)
            if crashes is None or observed.now >= restart_at(crashes, desired.replicas):
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


def note_wanted(journal: Journal, version: str | None) -> Journal:
    """Remember what is wanted; another version than before lifts every veto. None changes nothing."""
    if version is None or version == journal.wanted:
        return journal
    crashes = {name: entry for name, entry in journal.crashes.items() if name == journal.stable}
    return replace(journal, wanted=version, vetoed={}, crashes=crashes)


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
    mended by a restart with back-off. So a later mishap of the stable version never leaves it short.

    Args:
        journal: As it was before.
        version: Whose replica it was.
        failure: Why.
        ready_s: For how long it had been ready; None if it never was.
        is_routed: Whether the table that was published last names the version.
        now: The clock of `Observed.now`.
    """
    serves = is_routed or version == journal.stable
    if ready_s is None and not serves:
        return replace(journal, vetoed={**journal.vetoed, version: failure})
    before = journal.crashes.get(version)
    survived = ready_s is not None and ready_s >= SURVIVED_S
    count = 1 if before is None or survived else before.count + 1
    return replace(journal, crashes={**journal.crashes, version: Crashes(count, now)})


def _needed(desired: Desired, observed: Observed) -> list[str]:
    """The versions that must run: the stable one first, for it serves until every gateway routes to the goal."""
    versions = (observed.journal.stable, goal(desired, observed.journal))
    return list(dict.fromkeys(version for version in versions if version is not None))


def _is_on_trial(version: str, observed: Observed) -> bool:
    """Whether the first replica of a newcomer is still loading beside what serves.

    The others wait for it: a version that does not load costs one process, and its size is known before it is multiplied.
    """
    if not observed.targets or version == observed.journal.stable:
        return False
    states = {replica.state for replica in observed.replicas if replica.version == version}
    return ReplicaState.STARTING in states and ReplicaState.READY not in states


def _targets(desired: Desired, observed: Observed) -> tuple[Target, ...]:
    """The table's part as it should be now. All at once: one version with all the weight; a canary would return two."""
    if desired.replicas == 0:
        return ()
    aim = goal(desired, observed.journal)
    published = observed.targets[0].version if observed.targets else None
    if aim is not None and len(_ready(aim, desired, observed)) >= desired.replicas:
        return (Target(aim, 100, _ready(aim, desired, observed)),)
    for version in (published, observed.journal.stable, aim):
        if version is not None and (ready := _ready(version, desired, observed)):
            return (Target(version, 100, ready),)
    return ()


def _ready(version: str, desired: Desired, observed: Observed) -> tuple[int, ...]:
    kept = _kept(version, desired.replicas, observed)
    return tuple(replica.id for replica in kept if replica.state is ReplicaState.READY)


def _kept(version: str, count: int, observed: Observed) -> list[Replica]:
    """Up to `count` replicas of a version that are ready or will be: ready ones first, then by age."""
    alive = [
        replica
        for replica in observed.replicas
        if replica.version == version and replica.state in {ReplicaState.STARTING, ReplicaState.READY}
    ]
    return sorted(alive, key=lambda replica: (replica.state is not ReplicaState.READY, replica.id))[:count]
