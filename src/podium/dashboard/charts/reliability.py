"""Whether a score is a probability: what came true of each tenth of it, beside the line on which it would be one."""

from collections.abc import Sequence

from markupsafe import Markup

from podium.dashboard.charts.elements import element, joined, path_of, picture
from podium.dashboard.charts.scales import Scale
from podium.dashboard.wording import count, percent

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 540.0, 250.0, 46.0, 12.0, 12.0, 36.0
_SMALLEST, _LARGEST = 2.5, 9.0


def reliability(points: Sequence[tuple[float, float, float]], label: str) -> Markup:
    """The picture.

    Args:
        points: By score: the mean score, the part that came true, and how many rows that is.
        label: What it shows, in words.
    """
    across, up = Scale(0, 1, _LEFT, _WIDTH - _RIGHT), Scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    most = max((rows for _, _, rows in points), default=1.0) or 1.0
    places = [(across.at(score), up.at(share)) for score, share, _ in points]
    ideal = [(across.at(0), up.at(0)), (across.at(1), up.at(1))]
    drawn = [_axes(across, up), element("path", class_="ideal", d=path_of(ideal))]
    if len(places) > 1:
        drawn.append(element("path", class_="line s0", d=path_of(places)))
    for (x, y), (score, share, rows) in zip(places, points, strict=True):
        said = f"A score of {score:.2f} came true in {percent(share)} of {count(round(rows))} rows"
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * (rows / most) ** 0.5
        drawn.append(element("circle", element("title", said), class_="dot s0", cx=x, cy=y, r=radius))
    return picture(_WIDTH, _HEIGHT, label, *drawn, kind="reliability")


def _axes(across: Scale, up: Scale) -> Markup:
    marks = (0.0, 0.25, 0.5, 0.75, 1.0)
    parts = []
    for value in marks:
        x, y = across.at(value), up.at(value)
        parts += [
            element("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y),
            element("text", percent(value), class_="tick", x=_LEFT - 7, y=y + 3.5, text_anchor="end"),
            element("text", f"{value:g}", class_="tick", x=x, y=_HEIGHT - _BOTTOM + 15, text_anchor="middle"),
        ]
    parts.append(
        element("text", "score", class_="tick", x=_WIDTH - _RIGHT, y=_HEIGHT - 4, text_anchor="end"),
    )
    return joined(parts)
