"""Two histograms over each other, and what each bin has to do with their distance."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from podium.dashboard.charts.elements import element, joined, picture
from podium.dashboard.charts.scales import Scale, ticks
from podium.dashboard.wording import percent, score

_WIDTH, _LEFT, _TOP = 540.0, 46.0, 10.0
_BARS, _UNDER, _LABELS = 132.0, 40.0, 32.0
_MOST_LABELS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """One place of both histograms.

    Args:
        label: Which values.
        short: Where the bin begins, for the axis.
        reference, current: Shares of the rows, from 0 to 1.
        contribution: What it adds to PSI.
    """

    label: str
    short: str
    reference: float
    current: float
    contribution: float


def overlay(bins: Sequence[Bin], label: str) -> Markup:
    """Bars of the reference, steps of now; below them what each bin adds to PSI, above the line more now, below it less.

    Args:
        bins: In their order.
        label: What it shows, in words.
    """
    if not bins:
        return Markup("")
    marks = ticks(max(max(each.reference, each.current) for each in bins) * 1.05, 3)
    up = Scale(marks[0], marks[-1], _TOP + _BARS, _TOP)
    width = (_WIDTH - _LEFT) / len(bins)
    most = max(*(each.contribution for each in bins), 1e-09)
    drawn = [_axis(marks, up)]
    for number, each in enumerate(bins):
        drawn.append(_bin(each, _LEFT + number * width, width, up, most))
    drawn.append(_under(most))
    step = max(1, -(-len(bins) // _MOST_LABELS))
    height = _TOP + _BARS + _UNDER + _LABELS
    for number, each in list(enumerate(bins))[::step]:
        x = _LEFT + (number + 0.5) * width
        shown = each.short if len(each.short) <= 9 else f"{each.short[:8]}…"
        drawn.append(element("text", shown, class_="tick", x=x, y=height - 8, text_anchor="middle"))
    return picture(_WIDTH, height, label, joined(drawn), kind="overlay")


def _axis(marks: Sequence[float], up: Scale) -> Markup:
    parts = []
    for value in marks:
        y = up.at(value)
        parts.append(element("line", class_="grid", x1=_LEFT, x2=_WIDTH, y1=y, y2=y))
        parts.append(element("text", percent(value), class_="tick", x=_LEFT - 7, y=y + 3.5, text_anchor="end"))
    return joined(parts)


def _bin(each: Bin, x: float, width: float, up: Scale, most: float) -> Markup:
    floor, gap = _TOP + _BARS, min(width * 0.12, 4.0)
    before, now = up.at(each.reference), up.at(each.current)
    said = (
        f"{each.label}: reference {percent(each.reference)}, now {percent(each.current)}, adds {score(each.contribution)}"
    )
    middle = floor + 8 + _UNDER / 2
    height = each.contribution / most * (_UNDER / 2)
    is_more = each.current >= each.reference
    return element(
        "g",
        element("title", said),
        element("rect", class_="hover", x=x, y=_TOP, width=width, height=_BARS + _UNDER + 8),
        element("rect", class_="fill then", x=x + gap, y=before, width=width - 2 * gap, height=floor - before, rx=1.5),
        element("rect", class_="now", x=x + gap, y=now, width=width - 2 * gap, height=max(floor - now, 0.5), rx=1.5),
        element(
            "rect",
            class_="fill more" if is_more else "fill less",
            x=x + gap,
            y=middle - height if is_more else middle,
            width=width - 2 * gap,
            height=max(height, 0.4),
            rx=1,
        ),
        class_="bin",
    )


def _under(most: float) -> Markup:
    middle = _TOP + _BARS + 8 + _UNDER / 2
    return joined(
        [
            element("line", class_="grid", x1=_LEFT, x2=_WIDTH, y1=middle, y2=middle),
            element("text", score(most), class_="tick", x=_LEFT - 7, y=middle - _UNDER / 2 + 8, text_anchor="end"),
        ]
    )
