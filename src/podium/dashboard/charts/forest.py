"""An interval beside nothing and beside what matters: how far one version is from another."""

from markupsafe import Markup

from podium.dashboard.charts.elements import element, picture
from podium.dashboard.charts.scales import Scale
from podium.dashboard.wording import signed

_WIDTH, _HEIGHT, _MIDDLE = 260.0, 40.0, 14.0


def forest(difference: float, low: float, high: float, effect: float, label: str, tone: str) -> Markup:
    """A dot, how far it may be to either side, the line of no difference, and a band of differences that do not matter.

    Args:
        difference: What was seen.
        low: The interval's lower end.
        high: Its upper one.
        effect: Up to which no difference is worth naming.
        label: What it shows, in words.
        tone: Its class.
    """
    most = 1.12 * max(abs(low), abs(high), 1.5 * effect)
    across = Scale(-most, most, 6.0, _WIDTH - 6.0)
    return picture(
        _WIDTH,
        _HEIGHT,
        label,
        element(
            "rect", class_="spare", x=across.at(-effect), y=2.0, width=across.at(effect) - across.at(-effect), height=24.0
        ),
        element("line", class_="none", x1=across.at(0.0), x2=across.at(0.0), y1=2.0, y2=26.0),
        element("line", class_=f"range {tone}", x1=across.at(low), x2=across.at(high), y1=_MIDDLE, y2=_MIDDLE),
        element("circle", class_=f"dot {tone}", cx=across.at(difference), cy=_MIDDLE, r=4.5),
        *[
            element("text", signed(value), class_="tick", x=_inside(across.at(value)), y=_HEIGHT - 3, text_anchor="middle")
            for value in (low, high)
        ],
        kind="forest",
    )


def _inside(x: float) -> float:
    """Where a text of some letters stands whole."""
    return min(max(x, 22.0), _WIDTH - 22.0)
