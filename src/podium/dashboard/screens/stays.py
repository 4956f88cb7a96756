"""Which version was in which stage when, from the change record. Pure."""

from collections.abc import Mapping, Sequence

from podium.dashboard.charts.lanes import Stay
from podium.dashboard.wording import moment
from podium.registry.contract import Change

TONES: Mapping[str, str] = {"Production": "ok", "Staging": "warn", "Archived": "quiet", "None": "faint"}


def stays_of(changes: Sequence[Change], now: float) -> list[Stay]:
    """Each version's stays, until it moved on, was deleted, or now.

    Args:
        changes: Of one model, oldest first.
        now: Seconds of the Unix epoch.
    """
    open_since: dict[str, tuple[str, float]] = {}
    found: list[Stay] = []
    for change in changes:
        at = change.at_ms / 1000
        if change.after is None:
            found += [_ended(lane, *since, at) for lane, since in open_since.items()]
            open_since.clear()
            continue
        for lane, part in (change.after.get("versions") or {}).items():
            if lane in open_since and (part is None or part.get("stage", open_since[lane][0]) != open_since[lane][0]):
                found.append(_ended(lane, *open_since.pop(lane), at))
            if part is not None and "stage" in part and lane not in open_since:
                open_since[lane] = (str(part["stage"]), at)
    return [*found, *[_ended(lane, stage, start, now) for lane, (stage, start) in open_since.items()]]


def _ended(lane: str, stage: str, start: float, end: float) -> Stay:
    label = f"Version {lane}: {stage} from {moment(start)} until {moment(end)}"
    return Stay(lane, start, max(end, start), TONES.get(stage, "quiet"), label)
