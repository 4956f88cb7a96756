"""For how much of a stretch of time somebody was there to count, where several servers write one history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podium.domain.monitoring.windows import Span


@dataclass(frozen=True, slots=True)
class Presence:
    """From when to when a server was there; its monitor may have been away in between.

    Args:
        server: Which.
        since, until: Of its monitor's first and last look.
    """

    server: str
    since: int
    until: int


def attended(
    span: Span, step_s: int, presences: Iterable[Presence], watched: Mapping[tuple[str, int], int]
) -> dict[int, int]:
    """Seconds of each step in which the monitors of all servers that were there looked; steps without any are left out.

    A server that was not there yet, or not any more, is no gap. One whose monitor was away is, also while others looked:
    what it counted meanwhile was read late. Of several that were away at times the longest absence counts.

    Args:
        span: From when to when; made of whole steps.
        step_s: Their length.
        presences: Of servers.
        watched: For how many seconds the monitor of each looked, by server and step.
    """
    parts: dict[int, list[tuple[Span, str]]] = {}
    for presence in presences:
        begin, end = max(presence.since, span.start), min(presence.until, span.end)
        if begin >= end:
            continue
        for step in range((begin - span.start) // step_s, (end - span.start - 1) // step_s + 1):
            start = span.start + step * step_s
            parts.setdefault(step, []).append((Span(max(begin, start), min(end, start + step_s)), presence.server))
    found = {}
    for step, there in parts.items():
        away_s = max(part.length_s - watched.get((server, step), 0) for part, server in there)
        seconds = _covered([part for part, _ in there]) - max(0, away_s)
        if seconds > 0:
            found[step] = seconds
    return found


def _covered(parts: Sequence[Span]) -> int:
    """Seconds in which at least one of them is."""
    total, until = 0, None
    for part in sorted(parts, key=lambda each: each.start):
        begin = part.start if until is None else max(part.start, until)
        total += max(0, part.end - begin)
        until = part.end if until is None else max(until, part.end)
    return total
