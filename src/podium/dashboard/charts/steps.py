"""How far a rollout has come: its shares as a stair."""

from collections.abc import Sequence

from markupsafe import Markup

from podium.dashboard.charts.elements import element, joined, picture
from podium.dashboard.charts.scales import Scale

_WIDTH, _HEIGHT = 480.0, 92.0
_TOP, _BOTTOM = 20.0, 18.0
_GAP = 6.0


def stair(steps: Sequence[int], percent: int, tone: str, label: str) -> Markup:
    """A bar for each step, as high as its share.

    Args:
        steps: Rising percentages.
        percent: The candidate's share now.
        tone: Of the steps that were reached: by the rollout's state.
        label: What it shows, in words.
    """
    width = (_WIDTH - _GAP * (len(steps) - 1)) / max(len(steps), 1)
    up = Scale(0, 100, 3, _HEIGHT - _TOP - _BOTTOM)
    drawn = []
    for number, step in enumerate(steps):
        x, height = number * (width + _GAP), up.at(step)
        is_reached = percent >= step
        top = _HEIGHT - _BOTTOM - height
        drawn.append(
            element("rect", class_=f"fill {tone}" if is_reached else "track", x=x, y=top, width=width, height=height, rx=3)
        )
        middle = x + width / 2
        reached = "tick strong" if is_reached else "tick"
        drawn.append(element("text", f"{step} %", class_=reached, x=middle, y=top - 6, text_anchor="middle"))
        drawn.append(element("text", f"step {number + 1}", class_="tick", x=middle, y=_HEIGHT - 4, text_anchor="middle"))
    return picture(_WIDTH, _HEIGHT, label, joined(drawn), kind="stair")
