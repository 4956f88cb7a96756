"""How many requests took how long when: darker where there were more."""

from collections.abc import Sequence

from markupsafe import Markup

from podium.dashboard.charts.elements import element, joined, picture
from podium.dashboard.charts.scales import Scale, time_ticks
from podium.dashboard.wording import seconds

_WIDTH, _LEFT, _RIGHT, _TALL, _BOTTOM = 540.0, 46.0, 8.0, 158.0, 24.0
_SHADES = 8


def heat(
    start: float, end: float, edges: Sequence[float], columns: Sequence[tuple[float, float, Sequence[int]]], label: str
) -> Markup:
    """The picture.

    Args:
        start: Of the span that is drawn; seconds of the Unix epoch.
        end: Likewise.
        edges: Upper edges of the buckets; the last bucket has none.
        columns: From when until when, and how many in each bucket: one number more than there are edges.
        label: What it shows, in words.
    """
    used = [number for number in range(len(edges) + 1) if any(counts[number] for _, _, counts in columns)]
    first, last = (min(used), max(used)) if used else (0, 0)
    shown = range(first, last + 1)
    tall = min(_TALL / len(shown), 34.0)
    height = tall * len(shown) + _BOTTOM
    across = Scale(start, end, _LEFT, _WIDTH - _RIGHT)
    cells: dict[int, list[str]] = {}
    for since, until, counts in columns:
        most = max(*counts, 1)
        left = across.at(since)
        wide = max(across.at(until) - left, 0.6)
        for place, number in enumerate(shown):
            if counts[number]:
                shade = 1 + int((_SHADES - 1) * counts[number] / most)
                top = height - _BOTTOM - (place + 1) * tall
                cells.setdefault(shade, []).append(f"M{left:.1f} {top:.1f}h{wide:.1f}v{tall - 1:.1f}h-{wide:.1f}z")
    # One path for each shade: a rectangle for each cell would be most of the page.
    drawn = [element("path", class_=f"h{shade}", d="".join(parts)) for shade, parts in sorted(cells.items())]
    for place, number in enumerate(shown):
        y = height - _BOTTOM - (place + 1) * tall
        if place % max(1, len(shown) // 6) == 0:
            text = seconds(edges[number]) if number < len(edges) else f">{seconds(edges[-1])}"
            drawn.append(element("text", text, class_="tick", x=_LEFT - 7, y=y + tall / 2 + 3.5, text_anchor="end"))
    drawn += [
        element("text", text, class_="tick", x=across.at(when), y=height - 7, text_anchor="middle")
        for when, text in time_ticks(start, end)
        if _LEFT + 14 <= across.at(when) <= _WIDTH - _RIGHT - 14
    ]
    return picture(_WIDTH, height, label, joined(drawn), kind="heat")
