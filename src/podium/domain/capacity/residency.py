"""Which models stay in memory: who must go, or wait, so that one more fits. Pure.

Least recently used goes first; what has requests in flight, loads or is pinned never goes. Nothing is evicted in vain:
where all that may go would not be enough, whoever wants to come waits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from podium.domain.sizes import size_text

TYPICAL_BYTES = 160 << 20
"""What a worker takes beside its model's files, as long as none was measured: Python, numpy and a library."""


@dataclass(frozen=True, slots=True)
class Resident:
    """An endpoint that holds memory, or to which some is promised.

    Args:
        name: Public name.
        held_bytes: Resident memory of its workers, or what was promised to those that load if that is more.
        last_used: When it last answered or became ready; any clock, the same for all.
        is_busy: Requests are in flight, or it loads.
        is_pinned: It is to stay, whatever comes.
        is_leaving: It is on its way out, and its memory comes back by itself.
        measured_bytes: What of `held_bytes` is no promise, which may turn out to be less; None: all of it.
    """

    name: str
    held_bytes: int
    last_used: float
    is_busy: bool = False
    is_pinned: bool = False
    is_leaving: bool = False
    measured_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """How much there is.

    Args:
        budget_bytes: For all residents together; None: as much as the machine has.
        most: How many residents at a time; None: any number.
        available_bytes: What the machine could give now, beside what is promised.
    """

    budget_bytes: int | None
    most: int | None
    available_bytes: int


@dataclass(frozen=True, slots=True)
class Admit:
    """It may come."""


@dataclass(frozen=True, slots=True)
class Evict:
    """These must go first, least recently used first."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitForRoom:
    """There will be room when some have gone or are no longer busy."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It never fits beside what is pinned."""

    reason: str


Decision = Admit | Evict | WaitForRoom | Refuse


def make_room(needed_bytes: int, residents: Sequence[Resident], room: Room, *, is_new: bool = True) -> Decision:
    """Say whether an endpoint may hold so much more, and if not now, what is to be done.

    Laws: after `Admit`, what is held and needed together is within the room; `Evict` names nobody who is busy, pinned or
    leaving, and no more than needed; the same world gives the same answer.

    Args:
        needed_bytes: What it will probably take.
        residents: All others, and the endpoint itself where it holds something already.
        room: How much there is.
        is_new: Whether it is one more resident; not for another worker of one that is there.
    """
    short = _Short(
        0 if room.budget_bytes is None else sum(each.held_bytes for each in residents) + needed_bytes - room.budget_bytes,
        needed_bytes - room.available_bytes,
        0 if room.most is None or not is_new else len(residents) + 1 - room.most,
    )
    if short.is_none:
        return Admit()
    if reason := _never(needed_bytes, residents, room, is_new=is_new):
        return Refuse(reason)
    for each in residents:
        short = short.less(each) if each.is_leaving else short
    if short.is_none:
        return WaitForRoom()
    going = []
    for each in sorted(residents, key=lambda resident: resident.last_used):
        if each.is_leaving or each.is_pinned or each.is_busy:
            continue
        going.append(each.name)
        short = short.less(each)
        if short.is_none:
            return Evict(tuple(going))
    return WaitForRoom()


def too_many(residents: Sequence[Resident], room: Room) -> tuple[str, ...]:
    """Who must go because more is held than was thought: estimates were too low, or a model has grown."""
    if not residents:
        return ()
    match make_room(0, residents, room, is_new=False):
        case Evict(names):
            return names
        case WaitForRoom():
            # Not enough, but better than nothing.
            idle = [each for each in residents if not (each.is_leaving or each.is_pinned or each.is_busy)]
            is_leaving = any(each.is_leaving for each in residents)
            return () if is_leaving else tuple(each.name for each in sorted(idle, key=lambda each: each.last_used))
        case _:
            return ()


def estimate(known_bytes: int | None, others_bytes: Sequence[int], files_bytes: int) -> int:
    """What a version will probably take: what it took last time, else what others take and its files on top.

    Args:
        known_bytes: What it took when it was here last; None where it never was.
        others_bytes: What other versions took.
        files_bytes: Of its folder.
    """
    if known_bytes is not None:
        return known_bytes
    typical = sum(others_bytes) // len(others_bytes) if others_bytes else TYPICAL_BYTES
    return typical + files_bytes


@dataclass(frozen=True, slots=True)
class _Short:
    budget_bytes: int
    available_bytes: int
    places: int

    @property
    def is_none(self) -> bool:
        return self.budget_bytes <= 0 and self.available_bytes <= 0 and self.places <= 0

    def less(self, gone: Resident) -> "_Short":
        held = gone.held_bytes
        return _Short(self.budget_bytes - held, self.available_bytes - held, self.places - 1)


def _never(needed_bytes: int, residents: Sequence[Resident], room: Room, *, is_new: bool) -> str | None:
    pinned = [each for each in residents if each.is_pinned]
    # What is only promised to one that loads may be less in the end: that is to be waited for, and no verdict.
    held = sum(each.held_bytes if each.measured_bytes is None else each.measured_bytes for each in pinned)
    beside = f", of which {size_text(held)} are held by models that always stay" if held else ""
    if room.budget_bytes is not None and needed_bytes and needed_bytes + held > room.budget_bytes:
        return f"It needs about {size_text(needed_bytes)}, and the memory budget is {size_text(room.budget_bytes)}{beside}."
    if room.most is not None and is_new and len(pinned) >= room.most:
        return f"{len(pinned)} models always stay, and at most {room.most} may be loaded at a time."
    return None
