"""What was in which stage when: a lane for each version."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from podium.dashboard.charts.elements import element, joined, picture
from podium.dashboard.charts.scales import Scale, time_ticks

_WIDTH, _LANE, _LEFT, _BOTTOM = 960.0, 24.0, 56.0, 24.0


@dataclass(frozen=True, slots=True)
class Stay:
    """A time that something spent somewhere; seconds of the Unix epoch.

    Args:
        lane: Whose.
        start, end: From when until when.
        tone: Of the place.
        label: In words.
    """

    lane: str
    start: float
    end: float
    tone: str
    label: str


def lanes(names: Sequence[str], stays: Sequence[Stay], start: float, end: float, label: str) -> Markup:
    """The picture.

    Args:
        names: Of the lanes, from the top.
        stays: What is drawn in them; what is of no lane is left out.
        start: Of the span that is drawn.
        end: Likewise.
        label: What it shows, in words.
    """
    height = _LANE * len(names) + _BOTTOM
    across = Scale(start, end, _LEFT, _WIDTH - 4)
    top = {name: number * _LANE for number, name in enumerate(names)}
    drawn = []
    for name in names:
        middle = top[name] + _LANE / 2
        drawn.append(element("text", name, class_="tick", x=_LEFT - 10, y=middle + 4, text_anchor="end"))
        drawn.append(element("line", class_="grid", x1=_LEFT, x2=_WIDTH, y1=middle, y2=middle))
    for stay in (stay for stay in stays if stay.lane in top):
        left, right = across.at(stay.start), across.at(stay.end)
        drawn.append(
            element(
                "rect",
                element("title", stay.label),
                class_=f"fill {stay.tone}",
                x=left,
                y=top[stay.lane] + 5,
                # A stay that is too short to be seen is seen all the same.
                width=max(right - left - 1, 3.0),
                height=_LANE - 10,
                rx=3,
            )
        )
    drawn += [
        element("text", text, class_="tick", x=across.at(when), y=height - 6, text_anchor="middle")
        for when, text in time_ticks(start, end, 9)
        if _LEFT + 20 <= across.at(when) <= _WIDTH - 24
    ]
    return picture(_WIDTH, height, label, joined(drawn), kind="lanes")
