"""Pictures of a line's height: sparklines, meters and bars of shares."""

from collections.abc import Sequence

from markupsafe import Markup

from podium.dashboard.charts.elements import colour_of, element, joined, path_of, picture
from podium.dashboard.charts.scales import Scale

_WIDTH, _HEIGHT = 132.0, 30.0
_METER_WIDTH, _METER_HEIGHT = 100.0, 6.0
_SHARES_WIDTH, _SHARES_HEIGHT = 400.0, 12.0


def spark(values: Sequence[float | None], label: str, tone: str = "s0", limit: float | None = None) -> Markup:
    """A line without axes: how it went, not how much it was.

    Args:
        values: By time, evenly; None where nothing is known.
        label: What it shows, in words.
        tone: Its class.
        limit: A threshold that is drawn, too.
    """
    known = [value for value in values if value is not None]
    high = max([*known, limit or 0.0, 1e-12])
    across, up = Scale(0, max(len(values) - 1, 1), 2, _WIDTH - 4), Scale(0, high, _HEIGHT - 3, 3)
    runs: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((across.at(number), up.at(value)))
    drawn = []
    if limit is not None:
        drawn.append(element("line", class_="limit", x1=0.0, x2=_WIDTH, y1=up.at(limit), y2=up.at(limit)))
    for run in (run for run in runs if run):
        area = [*run, (run[-1][0], _HEIGHT), (run[0][0], _HEIGHT)]
        drawn.append(element("path", class_=f"area {tone}", d=path_of(area) + "Z"))
        drawn.append(element("path", class_=f"line {tone}", d=path_of(run)))
    if values and values[-1] is not None:
        drawn.append(element("circle", class_=f"dot {tone}", cx=runs[-1][-1][0], cy=runs[-1][-1][1], r=2))
    return picture(_WIDTH, _HEIGHT, label, *drawn, kind="spark")


def meter(share: float, label: str, tone: str = "s0") -> Markup:
    """How much of all, from 0 to 1."""
    filled = Scale(0, 1, 0, _METER_WIDTH).at(share)
    return picture(
        _METER_WIDTH,
        _METER_HEIGHT,
        label,
        element("rect", class_="track", width=_METER_WIDTH, height=_METER_HEIGHT, rx=3),
        element("rect", class_=f"fill {tone}", width=filled, height=_METER_HEIGHT, rx=3),
        kind="meter",
    )


def shares(parts: Sequence[tuple[str, float, str | None]], label: str) -> Markup:
    """Parts of a whole beside each other.

    Args:
        parts: Name, weight and tone of each; None takes the next colour.
        label: What it shows, in words.
    """
    total = sum(weight for _, weight, _ in parts) or 1.0
    drawn, x = [], 0.0
    for number, (name, weight, tone) in enumerate(parts):
        width = weight / total * _SHARES_WIDTH
        if width > 0:
            # A hair between two parts.
            drawn.append(
                element(
                    "rect",
                    element("title", name),
                    class_=f"fill {tone or colour_of(number)}",
                    x=x,
                    width=max(width - 2, 0.5),
                    height=_SHARES_HEIGHT,
                    rx=2,
                )
            )
        x += width
    return picture(_SHARES_WIDTH, _SHARES_HEIGHT, label, joined(drawn), kind="shares", is_stretched=True)
