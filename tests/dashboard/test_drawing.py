"""Words, spans of time, scales and pictures: pure, and never markup of somebody else's."""

import json
import math
import re
import xml.etree.ElementTree as xml
from itertools import pairwise

import pytest
from dashboard_home import SCRIPT
from hypothesis import given
from hypothesis import strategies as st

from podium.dashboard import wording
from podium.dashboard.charts.lanes import Stay, lanes
from podium.dashboard.charts.lines import ChartEvent, ChartLimit, LineChart, Series, line_chart
from podium.dashboard.charts.scales import Scale, ticks, time_ticks
from podium.dashboard.charts.sparks import shares, spark
from podium.dashboard.charts.steps import stair
from podium.dashboard.ranges import read_range
from podium.dashboard.screens.stays import stays_of
from podium.registry.contract import Action, Change

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (wording.count(987), "987"),
        (wording.count(12_345), "12.3k"),
        (wording.count(None), wording.DASH),
        (wording.exact(1_234_567), "1,234,567"),
        (wording.percent(0.5), "50 %"),
        (wording.percent(0.0001), "<0.1 %"),
        (wording.percent(0.99999), ">99.9 %"),
        (wording.percent(0), "0 %"),
        (wording.percent(1), "100 %"),
        (wording.seconds(0.0000123), "12.3 µs"),
        (wording.seconds(0.0123), "12.3 ms"),
        (wording.seconds(90), "1.5 min"),
        (wording.seconds(86_400 * 12), "12 d"),
        (wording.size(48 << 20), "48 MiB"),
        (wording.size(1536), "1.5 KiB"),
        (wording.ago(100.0, 100.2), "just now"),
        (wording.ago(100.0, 160.0), "1 min ago"),
        (wording.ago(700.0, 111.0), "in 10 min"),
        (wording.number(0.00012), "1.20e-04"),
        (wording.number(3.14159), "3.142"),
        (wording.moment(1e300), "9999-12-31 23:59:59 UTC"),
        (wording.counted(2, "entry"), "2 entries"),
    ],
)
def test_figures_are_said_in_few_digits(said, expected):
    """What is more than nothing never reads as nothing."""
    assert said == expected


@given(st.floats(1e-9, 1e12), st.integers(2, 8))
def test_ticks_are_even_and_reach_past_the_highest_value(high, most):
    """And there are not many more than were asked for."""
    found = ticks(high, most)

    assert found[0] == 0
    assert found[-1] >= high * (1 - 1e-6)
    assert 2 <= len(found) <= most + 3
    assert all(math.isclose(b - a, found[1] - found[0], rel_tol=1e-6, abs_tol=1e-12) for a, b in pairwise(found))


@given(st.integers(0, 4_000_000_000), st.integers(60, 40_000_000))
def test_times_of_an_axis_lie_in_its_span(start, length):
    """Few of them, in order."""
    found = [when for when, _ in time_ticks(start, start + length)]

    assert found == sorted(found)
    assert len(found) <= 8
    assert all(start <= when <= start + length for when in found)


def test_a_value_that_lies_outside_stands_at_the_edge():
    """An outlier squeezes nothing and leaves no picture."""
    assert [Scale(0, 10, 100, 0).at(value) for value in (-5, 0, 5, 10, 1e9)] == [100, 100, 50, 0, 0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (1_000_000 - 86_400, 1_000_000, "24h")),
        ({"range": "7d"}, (1_000_000 - 604_800, 1_000_000, "7d")),
        ({"from": "100000", "to": "200000"}, (100_000, 200_000, "")),
        ({"from": "200000", "to": "100000"}, (1_000_000 - 86_400, 1_000_000, "24h")),
        ({"from": "nan", "to": "inf"}, (1_000_000 - 86_400, 1_000_000, "24h")),
        ({"from": "1e400", "to": "-1"}, (1_000_000 - 86_400, 1_000_000, "24h")),
        ({"from": "5", "to": "6"}, (1_000_000 - 86_400, 1_000_000, "24h")),
        ({"range": "<script>"}, (1_000_000 - 86_400, 1_000_000, "24h")),
    ],
)
def test_a_span_is_what_was_asked_for_where_that_makes_sense(query, expected):
    """Anything else is the default."""
    found = read_range(query, 1_000_000.0)

    assert (found.start, found.end, found.preset) == expected
    assert read_range(found.query, 1_000_000.0) == found


def drawn(series: list[Series], **more: object) -> xml.Element:
    chart = LineChart("What it shows", 0.0, 100.0, series, wording.number, **more)  # type: ignore[arg-type]
    return xml.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{line_chart(chart)}</svg>')


def lines_of(root: xml.Element) -> list[str]:
    return [each.get("d", "") for each in root.iter(f"{_SVG}path") if each.get("class", "").startswith("line")]


def test_a_gap_is_a_gap():
    """Where nothing was watched no line is drawn, and no zero."""
    found = drawn([Series("rows", [(0.0, 1.0), (10.0, 2.0), (20.0, None), (30.0, 3.0), (40.0, 1.0)])])

    [line] = lines_of(found)
    assert line.count("M") == 2


def test_series_that_are_stacked_stand_on_each_other():
    """The upper line is the sum."""
    one, two = [(0.0, 1.0), (100.0, 1.0)], [(0.0, 2.0), (100.0, 3.0)]
    stacked = lines_of(drawn([Series("a", one), Series("b", two)], is_stacked=True))
    alone = lines_of(drawn([Series("a", one), Series("b", [(0.0, 3.0), (100.0, 4.0)])]))

    assert stacked == alone


def test_a_chart_tells_its_values_as_they_are_printed():
    """For the page's script, and whoever reads the source."""
    found = drawn([Series("rows", [(0.0, 1.23456), (50.0, None)])], events=[ChartEvent(10.0, "promoted")])
    [data] = [json.loads(each.get("data-chart", "")) for each in found.iter(f"{_SVG}svg") if each.get("data-chart")]

    assert data["times"] == [0, 50]
    assert data["series"] == [{"label": "rows", "tone": "s0", "texts": f"1.235|{wording.DASH}"}]


@pytest.mark.parametrize(
    "picture",
    [
        lambda: line_chart(
            LineChart(
                SCRIPT,
                0,
                1,
                [Series(SCRIPT, [(0.0, 1.0)])],
                lambda _: SCRIPT,
                [ChartLimit(SCRIPT, 1)],
                [ChartEvent(0.5, SCRIPT)],
            )
        ),
        lambda: spark([1, None, 2], SCRIPT),
        lambda: shares([(SCRIPT, 1, None)], SCRIPT),
        lambda: stair([5, 100], 5, "ok", SCRIPT),
        lambda: lanes([SCRIPT], [Stay(SCRIPT, 0, 1, "ok", SCRIPT)], 0, 1, SCRIPT),
    ],
    ids=["lines", "spark", "shares", "stair", "lanes"],
)
def test_no_text_leaves_its_place_in_a_picture(picture):
    """It is one element, whatever its labels say; and nothing has a style of its own."""
    text = str(picture())

    root = xml.fromstring(text.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))
    assert {each.tag.removeprefix(_SVG) for each in root.iter()} <= {
        "svg",
        "title",
        "g",
        "line",
        "path",
        "rect",
        "text",
        "circle",
    }
    assert not re.search(r"<script|\sstyle=", text)


def change(number: int, at_s: float, action: Action, after: dict | None) -> Change:
    return Change(number, int(at_s * 1000), "me", action, 1, "fraud", None, None, after)


def test_a_stay_lasts_until_the_version_moves_on():
    """Or is deleted, or now."""
    record = [
        change(1, 10, Action.REGISTER, {"versions": {"1": {"stage": "None", "digest": "d"}}}),
        change(2, 20, Action.TRANSITION, {"versions": {"1": {"stage": "Production"}}}),
        change(3, 30, Action.REGISTER, {"versions": {"2": {"stage": "None"}}}),
        change(4, 35, Action.TAG, {"versions": {"2": {"tags": {"a": "b"}}}}),
        change(5, 40, Action.TRANSITION, {"versions": {"2": {"stage": "Production"}, "1": {"stage": "Archived"}}}),
        change(6, 50, Action.DELETE_VERSION, {"versions": {"1": None}}),
    ]

    assert sorted((each.lane, each.start, each.end, each.tone) for each in stays_of(record, 60.0)) == [
        ("1", 10, 20, "faint"),
        ("1", 20, 40, "ok"),
        ("1", 40, 50, "quiet"),
        ("2", 30, 40, "faint"),
        ("2", 40, 60, "ok"),
    ]
