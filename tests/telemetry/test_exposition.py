"""Prometheus' text format, read by a strict parser of its grammar."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.telemetry.exposition import Family, MetricSample, expose, series_families
from podium.telemetry.metrics import (
    BATCH_ROWS,
    CELLS,
    DIFFERENCE,
    DURATION,
    LATENCY,
    REQUESTS,
    REWARD_SQUARES,
    ROWS,
    SERIES_METRICS,
    SUPERVISOR_METRICS,
    Metric,
    MetricKind,
)

LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Samples by name and labels. Each family has HELP and TYPE before its samples, once; no sample comes twice."""
    text = page.decode()
    assert not text or text.endswith("\n")
    samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    helped: set[str] = set()
    family, kind = "", ""
    for line in text.splitlines() if "\x0b" not in text else text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in helped
            helped.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family
        else:
            found = LINE.fullmatch(line)
            assert found, line
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            assert found[1] in {family + suffix for suffix in suffixes}
            labels = frozenset((k, re.sub(r"\\.", lambda e: ESCAPES[e[0]], v)) for k, v in LABEL.findall(found[2] or ""))
            assert (found[1], labels) not in samples
            samples[found[1], labels] = float(found[3])
    return samples


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=20)


@given(value=TEXTS, other=TEXTS, number=st.floats(allow_nan=False))
def test_any_label_and_number_is_read_back_as_it_was(value, other, number):
    """Quotes, backslashes and line ends in a label change nothing."""
    metric = Metric("podium_x", MetricKind.GAUGE, 'Help with "quotes",\na line and \\.')

    samples = parse(expose([Family(metric, [MetricSample({"a": value, "b": other}, number)])]))

    assert samples == {("podium_x", frozenset({("a", value), ("b", other)})): number}


def test_a_nan_is_written_as_prometheus_reads_it():
    metric = Metric("podium_x", MetricKind.GAUGE, "Help.")

    [value] = parse(expose([Family(metric, [MetricSample({}, math.nan)])])).values()

    assert math.isnan(value)


def test_a_histogram_is_cumulative_in_base_units():
    """Microseconds in the cells, seconds on the page; +Inf is the count."""
    cells = [0] * CELLS
    for duration_us in (50, 100, 101, 2_000_000, 99_000_000):
        cells[DURATION.bucket(duration_us)] += 1
        cells[DURATION.sum] += duration_us

    samples = parse(expose(series_families([DURATION], [({"model": "m"}, cells)])))

    def bucket(bound: str) -> float:
        return samples["podium_request_duration_seconds_bucket", frozenset({("model", "m"), ("le", bound)})]

    assert [bucket(b) for b in ("0.0001", "0.00025", "1", "2.5", "10", "+Inf")] == [2, 3, 3, 4, 4, 5]
    assert samples["podium_request_duration_seconds_count", frozenset({("model", "m")})] == 5
    assert samples["podium_request_duration_seconds_sum", frozenset({("model", "m")})] == 101.000251


def test_counts_by_status_show_only_what_happened():
    cells = [0] * CELLS
    cells[REQUESTS.cell("200")] = 7
    cells[REQUESTS.cell("418")] = 1
    cells[ROWS.offset] = 9

    samples = parse(expose(series_families(SERIES_METRICS, [({"model": "m", "version": "1"}, cells)])))

    labels = {("model", "m"), ("version", "1")}
    assert {key: value for key, value in samples.items() if key[0] == "podium_requests_total"} == {
        ("podium_requests_total", frozenset({*labels, ("code", "200")})): 7,
        ("podium_requests_total", frozenset({*labels, ("code", "other")})): 1,
    }
    assert samples["podium_rows_total", frozenset(labels)] == 9


def test_nothing_to_show_is_an_empty_page():
    assert expose(series_families(SERIES_METRICS, [])) == b""


@pytest.mark.parametrize("metric", [*SERIES_METRICS, *SUPERVISOR_METRICS], ids=lambda metric: metric.name)
def test_metrics_keep_prometheus_conventions(metric):
    """Counters end in _total, nothing else does; the help is a sentence; no cell belongs to two metrics."""
    assert re.fullmatch(r"podium_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
    assert metric.help.endswith(".")
    assert list(metric.bounds) == sorted(set(metric.bounds))


def test_cells_do_not_overlap():
    edges = [(metric.offset, metric.offset + metric.cells) for metric in (*SERIES_METRICS, LATENCY, REWARD_SQUARES)]

    assert [start for start, _ in edges] == [0, *(end for _, end in edges[:-1])]
    assert edges[-1][1] == CELLS
    assert BATCH_ROWS.bucket(1) == BATCH_ROWS.offset


def test_what_shadows_count_is_shown_of_shadows_only():
    """A thousand models without one have no line of it."""
    cells = [0] * CELLS
    assert b"podium_shadow" not in expose(series_families(SERIES_METRICS, [({"model": "m", "version": "1"}, cells)]))
    cells[DIFFERENCE.bucket(500)] = 1

    page = expose(series_families(SERIES_METRICS, [({"model": "m", "version": "1"}, cells)]))

    assert b'podium_shadow_difference_ratio_bucket{model="m",version="1",le="0.001"} 1' in page
