"""How often the monitor cries wolf, and how often it sees one: windows of drawn rows through the judge that serves.

    python benchmarks/false_alarms.py [--windows 400] [--runs 100] [--rows 500] [--seed 1] [--json]

Thirty columns of many kinds (numbers that go together, long tails, many zeros, whole numbers, truth values, categories with
rare ones, missing values) and a model's score. A profile of 5,000 rows, as a model is logged with it. Then:

- `windows` hours of rows that nothing happened to are counted, written down and judged one after the other, with all that
  an alert needs to stand; the issue allows one alert in 400.
- `runs` times, one column is half a standard deviation off for two hours: in how many of the first hours its drift is an
  alert, and in how many runs it stands after both. The issue wants it found in 90 of 100.
- `runs` times, one of the columns that go together is put to other rows: the same of the columns together, which no single
  column shows.

Prints what was found, and exits 1 where the issue's figures are missed.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.findings import Check, ColumnVerdict, Role
from podium.domain.monitoring.multivariate import can_be_together, fitted
from podium.domain.monitoring.profile import Profile, Source, SourceKind
from podium.domain.monitoring.profiling import Profiler
from podium.domain.monitoring.reconstruction import encoded
from podium.domain.monitoring.windows import HOUR_S
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import Counted, VersionKey
from podium.monitoring.watching import JudgedVersion, judge_version

KEY = VersionKey("drawn", "1")
NOON = 1_799_971_200 + 43_200
REFERENCE_ROWS = 5000
SHIFT = 0.5
SHIFTED, TORN = "normal_0", "source_0"
MOST_ALERTS, LEAST_FOUND = 1, 0.9


def rows_of(count: int, draw: np.random.Generator) -> tuple[dict, dict]:
    """Thirty columns, and a score."""
    source = draw.normal(size=(count, 2))
    mix = np.array([[1.0, 0.9, -0.8, 0.5, 0.3, 0.7, 0.0, 0.4], [0.0, 0.3, 0.4, -0.7, 1.0, 0.2, 0.9, 0.5]])
    columns = {f"source_{i}": values for i, values in enumerate((source @ mix + 0.5 * draw.normal(size=(count, 8))).T)}
    columns |= {f"normal_{i}": draw.normal(size=count) for i in range(6)}
    columns |= {f"tail_{i}": draw.lognormal(0, 1 + i, count) for i in range(3)}
    columns |= {f"zeros_{i}": np.where(draw.random(count) < 0.4 + 0.25 * i, 0.0, draw.gamma(2, 3, count)) for i in range(3)}
    columns |= {f"whole_{i}": draw.poisson(2 + 20 * i, count) for i in range(2)}
    columns |= {f"flag_{i}": draw.random(count) < 0.02 + 0.3 * i for i in range(2)}
    shares = [1 / (place + 1) for place in range(40)]
    for i, names in enumerate((3, 8, 20, 40)):
        of = np.array(shares[:names]) / sum(shares[:names])
        columns[f"category_{i}"] = draw.choice([f"c{place}" for place in range(names)], count, p=of).astype(object)
    missing = draw.normal(size=(2, count))
    missing[draw.random((2, count)) < 0.1] = np.nan
    columns |= {f"missing_{i}": values for i, values in enumerate(missing)}
    score = 1 / (1 + np.exp(-source[:, 0] - 0.5 * draw.normal(size=count)))
    return columns, {"classes": (score > 0.5).astype(np.int64), "score": score}


def profile_of(draw: np.random.Generator) -> Profile:
    """As a model is logged with its rows."""
    columns, predictions = rows_of(REFERENCE_ROWS, draw)
    profiler = Profiler(is_classifier=True)
    profiler.add(columns, predictions["classes"], predictions["score"])
    profile = profiler.profile(Source(SourceKind.TRAINING, 0), "2026-01-01T00:00:00Z")
    names = can_be_together(profile.columns)
    return replace(profile, multivariate=fitted(names, encoded(profile.columns, names, columns), is_held_out=True))


class Judge:
    """A monitor's database, and hours that go by in it.

    Args:
        folder: Where it lies.
        profile: The reference.
    """

    def __init__(self, folder: Path, profile: Profile) -> None:
        self._store, self._profile, self._layout = MonitorStore(folder / "monitor.db"), profile, Layout(profile)
        self._now = NOON

    def hour(self, rows: tuple[dict, dict], count: int) -> JudgedVersion:
        """An hour's rows are counted, written down and judged."""
        counter = BatchCounter(self._layout)
        for start in range(0, count, 100):
            parts = [{name: values[start : start + 100] for name, values in part.items()} for part in rows]
            counter.add(len(next(iter(parts[0].values()))), *parts)
        with self._store.writing() as connection:
            writing.see_version(connection, KEY, "", self._profile, self._now)
            writing.add_window(connection, KEY, self._now, Counted(counter.counts()))
            judged = judge_version(connection, KEY, self._profile, self._now + HOUR_S - 1, HOUR_S)
        self._now += HOUR_S
        assert judged is not None
        return judged


def quiet(judge: Judge, windows: int, rows: int, draw: np.random.Generator) -> dict:
    """Hours in which nothing happened."""
    begun: list[str] = []
    looks: Counter[str] = Counter()
    single: Counter[str] = Counter()
    held: set = set()
    for _ in range(windows):
        judged = judge.hour(rows_of(rows, draw), rows)
        stands = {finder for finder, each in judged.standing.items() if each.is_alert}
        begun += [f"{role.value} {name}: {check.value}" for role, name, check in stands - held]
        held = stands
        looks.update(each.verdict.value for each in judged.findings)
        single.update(f"{each.name}: {each.check.value}" for each in judged.findings if each.verdict is ColumnVerdict.ALERT)
    return {
        "windows": windows,
        "columns": len(rows_of(1, draw)[0]),
        "alerts": len(begun),
        "which": begun,
        "looks": looks,
        "single_alerts": single,
    }


def shifted(rows: tuple[dict, dict], draw: np.random.Generator) -> tuple[dict, dict]:  # noqa: ARG001 - as `torn`
    """One column is off."""
    columns, predictions = rows
    return columns | {SHIFTED: columns[SHIFTED] + SHIFT}, predictions


def torn(rows: tuple[dict, dict], draw: np.random.Generator) -> tuple[dict, dict]:
    """One column's values are each another row's."""
    columns, predictions = rows
    return columns | {TORN: draw.permutation(columns[TORN])}, predictions


def found(folder: Path, profile: Profile, runs: int, rows: int, draw: np.random.Generator, change, finder) -> dict:
    """Of so many runs of two hours: in how many the first is an alert, and in how many it stands after both."""
    first = both = others = 0
    for run in range(runs):
        place = folder / str(run)
        place.mkdir(parents=True)
        judge = Judge(place, profile)
        seen = [judge.hour(change(rows_of(rows, draw), draw), rows) for _ in range(2)]
        verdicts = [each.verdict for each in seen[0].findings if (each.role, each.name, each.check) == finder]
        first += verdicts == [ColumnVerdict.ALERT]
        stands = {each for each, standing in seen[1].standing.items() if standing.is_alert}
        both += finder in stands
        others += len(stands - {finder, _TOGETHER})
    return {"runs": runs, "found_in_an_hour": first / runs, "stands_after_two": both / runs, "others": others}


_TOGETHER = (Role.TOGETHER, "pca", Check.DRIFT)


def measured(windows: int, runs: int, rows: int, seed: int) -> dict:
    """All three."""
    draw = np.random.default_rng(seed)
    profile = profile_of(draw)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "quiet").mkdir()
        return {
            "rows": rows,
            "seed": seed,
            "quiet": quiet(Judge(folder / "quiet", profile), windows, rows, draw),
            "shift": found(folder / "s", profile, runs, rows, draw, shifted, (Role.FEATURE, SHIFTED, Check.DRIFT)),
            "torn": found(folder / "t", profile, runs, rows, draw, torn, _TOGETHER),
        }


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rows", type=int, default=500, help="of each window")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    told = measured(chosen.windows, chosen.runs, chosen.rows, chosen.seed)
    if chosen.json:
        print(json.dumps(told))
    else:
        _print(told)
    return int(told["quiet"]["alerts"] > MOST_ALERTS or told["shift"]["found_in_an_hour"] < LEAST_FOUND)


def _print(told: dict) -> None:
    seen, rows = told["quiet"], told["rows"]
    print(
        f"{seen['windows']} windows of {rows} rows, {seen['columns']} columns and a score, unshifted; seed {told['seed']}"
    )
    print(f"  alerts that stood: {seen['alerts']} {'; '.join(seen['which'])}")
    print(f"  single looks: {dict(seen['looks'])}; of these alerts: {dict(seen['single_alerts'])}")
    for name, what in (("shift", f"{SHIFT} standard deviations in one column"), ("torn", "one column put to other rows")):
        each = told[name]
        print(f"{each['runs']} times {what}, {rows} rows an hour")
        print(f"  an alert in the first hour: {each['found_in_an_hour']:.0%}")
        print(f"  stands after two hours: {each['stands_after_two']:.0%}; other alerts: {each['others']}")


if __name__ == "__main__":
    sys.exit(main())
