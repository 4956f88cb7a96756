"""Series over time: lines, areas and stacks with gaps where nothing was watched, limits, and what happened meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from podium.dashboard.charts.elements import colour_of, element, joined, path_of, picture
from podium.dashboard.charts.scales import Scale, ticks, time_ticks

WIDTH, HEIGHT = 540.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 8.0, 12.0, 24.0
Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """One line.

    Args:
        label: What it is.
        points: Time (seconds of the Unix epoch) and value, by time; None where nothing is known.
        tone: Its class: `s0` to `s5`, or `ok`, `warn`, `bad`, `quiet`; None takes the next of the former.
        is_dashed: What is estimated is dashed.
        has_area: Whether what is below is filled.
        low, high: Lower and upper ends of an interval round each point, or none.
    """

    label: str
    points: Sequence[Point]
    tone: str | None = None
    is_dashed: bool = False
    has_area: bool = False
    low: Sequence[Point] = ()
    high: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class ChartLimit:
    """A line across: a threshold or an objective."""

    label: str
    value: float
    tone: str = "bad"


@dataclass(frozen=True, slots=True)
class ChartEvent:
    """Something that happened: a promotion, a deployment."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """What is drawn.

    Args:
        label: In a sentence.
        start, end: The span; seconds of the Unix epoch.
        series: The lines.
        form: How a value is written.
        limits, events: What stands across and along.
        is_stacked: Whether each series stands on those before.
        least_high: The value axis reaches at least so far.
        most_high: And ends there.
        lowest: Where it begins; 0 unless told, so that what is small looks small.
    """

    label: str
    start: float
    end: float
    series: Sequence[Series]
    form: Callable[[float | None], str]
    limits: Sequence[ChartLimit] = ()
    events: Sequence[ChartEvent] = ()
    is_stacked: bool = False
    least_high: float = 0.0
    most_high: float | None = None
    lowest: float = 0.0


def line_chart(chart: LineChart) -> Markup:
    """The picture."""
    stacked = _stacked(chart.series) if chart.is_stacked else [each.points for each in chart.series]
    highest = _highest(chart, stacked)
    highest += 0.02 * (highest - chart.lowest) or 1e-9
    marks = ticks(highest if chart.most_high is None else min(highest, chart.most_high), low=chart.lowest)
    across = Scale(chart.start, chart.end, _LEFT, WIDTH - _RIGHT)
    up = Scale(marks[0], marks[-1], HEIGHT - _BOTTOM, _TOP)
    drawn = [_axes(chart, across, up, marks)]
    below: Sequence[Point] | None = None
    for number, (each, points) in enumerate(zip(chart.series, stacked, strict=True)):
        drawn.append(_series(each, points, below, across, up, each.tone or colour_of(number), is_stacked=chart.is_stacked))
        below = points
    drawn += [_limit(each, up) for each in chart.limits]
    drawn += [_event(each, across) for each in chart.events if chart.start <= each.at <= chart.end]
    drawn.append(element("line", class_="cursor", x1=0, x2=0, y1=_TOP, y2=HEIGHT - _BOTTOM))
    drawn.append(element("rect", class_="brush", x=0, y=_TOP, width=0, height=HEIGHT - _BOTTOM - _TOP))
    return picture(WIDTH, HEIGHT, chart.label, *drawn, kind="lines", data=_data(chart))


def legend(series: Sequence[Series], limits: Sequence[ChartLimit] = ()) -> list[tuple[str, str]]:
    """Tone and text of each entry."""
    found = [
        (f"{each.tone or colour_of(number)}{' dashed' if each.is_dashed else ''}", each.label)
        for number, each in enumerate(series)
    ]
    return [*found, *[(f"{limit.tone} limit", limit.label) for limit in limits]]


def _data(chart: LineChart) -> dict[str, object]:
    """What the script shows under the pointer: times, and texts as they would be printed.

    Times that are evenly spaced are told as the first, the step and how many; the texts of a series as one, for in HTML
    each quotation mark takes five characters.
    """
    times = sorted({when for each in chart.series for when, _ in each.points})
    known = [dict(each.points) for each in chart.series]
    return {
        "from": round(chart.start),
        "to": round(chart.end),
        "left": _LEFT / WIDTH,
        "right": (WIDTH - _RIGHT) / WIDTH,
        **_times([round(when) for when in times]),
        "series": [
            {
                "label": each.label,
                "tone": each.tone or colour_of(number),
                "texts": "|".join(chart.form(known[number].get(when)) for when in times),
            }
            for number, each in enumerate(chart.series)
        ],
        "events": [{"at": round(each.at), "label": each.label} for each in chart.events],
    }


def _times(times: Sequence[int]) -> dict[str, object]:
    step = times[1] - times[0] if len(times) > 2 else 0
    if step and all(later - earlier == step for earlier, later in pairwise(times)):
        return {"even": [times[0], step, len(times)]}
    return {"times": times}


def _highest(chart: LineChart, stacked: Sequence[Sequence[Point]]) -> float:
    drawn = [value for points in stacked for _, value in points if value is not None]
    upper = [value for each in chart.series for _, value in each.high if value is not None]
    return max([chart.least_high, *drawn, *upper, *[limit.value for limit in chart.limits]])


def _stacked(series: Sequence[Series]) -> list[list[Point]]:
    total: dict[float, float] = {}
    found = []
    for each in series:
        points: list[Point] = []
        for when, value in each.points:
            total[when] = total.get(when, 0.0) + (value or 0.0)
            points.append((when, None if value is None else total[when]))
        found.append(points)
    return found


def _axes(chart: LineChart, across: Scale, up: Scale, marks: Sequence[float]) -> Markup:
    lines = [
        element("line", class_="grid", x1=_LEFT, x2=WIDTH - _RIGHT, y1=up.at(value), y2=up.at(value)) for value in marks
    ]
    values = [
        element("text", chart.form(value), class_="tick", x=_LEFT - 7, y=up.at(value) + 3.5, text_anchor="end")
        for value in marks
    ]
    times = [
        element("text", text, class_="tick", x=across.at(when), y=HEIGHT - 7, text_anchor="middle")
        for when, text in time_ticks(chart.start, chart.end)
        if _LEFT + 14 <= across.at(when) <= WIDTH - _RIGHT - 14
    ]
    return joined([*lines, *values, *times])


def _runs(points: Sequence[Point]) -> list[list[tuple[float, float]]]:
    """Pieces of a line without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for when, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((when, value))
    return [run for run in runs if run]


def _series(
    each: Series,
    points: Sequence[Point],
    below: Sequence[Point] | None,
    across: Scale,
    up: Scale,
    tone: str,
    *,
    is_stacked: bool,
) -> Markup:
    drawn = []
    floor = dict(below or ()) if is_stacked else {}
    if each.low and each.high:
        drawn += [_band(each, across, up, tone)]
    lines, areas, dots = [], [], []
    for run in _runs(points):
        line = [(across.at(when), up.at(value)) for when, value in run]
        if (each.has_area or is_stacked) and len(line) > 1:
            back = [(across.at(when), up.at(floor.get(when) or 0.0)) for when, _ in reversed(run)]
            areas.append(path_of([*line, *back]) + "Z")
        if len(line) > 1:
            lines.append(path_of(line))
        else:
            # A line without length: its round ends are a dot.
            dots.append(path_of(line) + "h0")
    # One element for all pieces: a model that is seldom asked has hundreds.
    if areas:
        drawn.append(element("path", class_=f"area {tone}", d="".join(areas)))
    if lines:
        drawn.append(element("path", class_=f"line {tone}{' dashed' if each.is_dashed else ''}", d="".join(lines)))
    if dots:
        drawn.append(element("path", class_=f"dots {tone}", d="".join(dots)))
    return joined(drawn)


def _band(each: Series, across: Scale, up: Scale, tone: str) -> Markup:
    uppers = dict(each.high)
    pieces = []
    for run in _runs([(when, None if uppers.get(when) is None else low) for when, low in each.low]):
        there = [(across.at(when), up.at(low)) for when, low in run]
        back = [(across.at(when), up.at(uppers[when] or 0.0)) for when, _ in reversed(run)]
        pieces.append(element("path", class_=f"band {tone}", d=path_of([*there, *back]) + "Z"))
    return joined(pieces)


def _limit(limit: ChartLimit, up: Scale) -> Markup:
    y = up.at(limit.value)
    return element("line", class_=f"limit {limit.tone}", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y)


def _event(event: ChartEvent, across: Scale) -> Markup:
    x = across.at(event.at)
    return element(
        "g",
        element("title", event.label),
        element("line", x1=x, x2=x, y1=_TOP, y2=HEIGHT - _BOTTOM),
        element("path", d=path_of([(x - 4, _TOP - 8), (x + 4, _TOP - 8), (x, _TOP)]) + "Z"),
        class_="event",
    )
