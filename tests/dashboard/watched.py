"""A monitor's history, written as the monitor writes it: traffic, counts by a real profile, and what was found of them."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from dashboard_home import HOSTILE, SCRIPT

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.findings import judge, watch
from podium.domain.monitoring.multivariate import can_be_together, fitted, found_together
from podium.domain.monitoring.profile import Profile, Source, SourceKind
from podium.domain.monitoring.profiling import Profiler
from podium.domain.monitoring.reconstruction import encoded
from podium.domain.monitoring.standing import StandingFinding
from podium.domain.monitoring.windows import DAY_S, HOUR_S, SLOT_S, Span
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import Counted, VersionKey
from podium.settings.home import Home
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts


def rows(count: int, seed: int, shift: float = 0.0, fresh: float = 0.0) -> tuple[dict, dict]:
    """Columns and predictions; `shift` moves one of the columns, `fresh` is the share of a new category."""
    random = np.random.default_rng(seed)
    amount = random.lognormal(3.5, 0.6, count) * (1 + shift)
    channel = np.where(
        random.random(count) < fresh, SCRIPT, random.choice([HOSTILE, "web", "shop"], count, p=[0.2, 0.5, 0.3])
    )
    age = random.normal(44, 14, count)
    age[random.random(count) < 0.02] = np.nan
    score = np.clip(random.beta(2, 8, count) + 0.25 * shift * random.random(count), 0, 1)
    columns = {
        "amount": amount,
        "age": age,
        "channel": channel.astype(object),
        HOSTILE: random.poisson(3, count).astype(float),
    }
    return columns, {"classes": np.where(score > 0.4, "fraud", HOSTILE).astype(object), "score": score}


def profile() -> Profile:
    """Of ten thousand rows without a shift."""
    columns, predicted = rows(10_000, 1)
    profiler = Profiler(is_classifier=True)
    profiler.add(columns, predicted["classes"], predicted["score"])
    made = profiler.profile(Source(SourceKind.TRAINING, 0), datetime(2026, 1, 1, tzinfo=UTC).isoformat())
    names = can_be_together(made.columns)
    return replace(made, multivariate=fitted(names, encoded(made.columns, names, columns)))


def traffic(requests: int, slow: float = 1.0, failed: int = 0) -> TrafficCounts:
    """So many requests of some milliseconds each."""
    middle = np.log(0.004 * slow)
    edges = np.log([*LATENCY_EDGES_S, 1e3])
    share = np.diff(1 / (1 + np.exp(-(edges - middle) / 0.35)), prepend=0)
    latency = tuple(int(each) for each in np.round(share * requests))
    return TrafficCounts(
        requests=requests, client_errors=requests // 200, server_errors=failed, rejected=failed // 3, rows=requests * 3,
        batches=max(1, requests // 2), duration_us=int(requests * 4600 * slow), queue_us=int(requests * 900 * slow),
        predict_us=int(requests * 1100 * slow), latency=latency,
    )  # fmt: skip


def write_history(home: Home, now: int, days: float = 1.0, name: str = "fraud", version: str = "3") -> None:
    """A day (or more) until now: it drifts in the last third, and nobody watched for two hours in its middle."""
    store, key, made = MonitorStore(home.monitor), VersionKey(name, version), profile()
    layout = Layout(made)
    end = now - now % SLOT_S
    start = end - int(days * DAY_S)
    start -= start % HOUR_S
    gap = (start + end) // 2
    with store.writing() as connection:
        writing.see_version(connection, key, "Production", None, start)
        writing.see_version(connection, key, "Production", made, now)
        writing.see_version(connection, VersionKey(name, "2"), "Archived", None, start)
        standing: dict = {}
        total = None
        for slot in range(start, end, SLOT_S):
            if gap <= slot < gap + 2 * HOUR_S:
                continue
            writing.watch(connection, slot, slot + SLOT_S)
            busy = 1.3 + np.sin(2 * np.pi * (slot % DAY_S) / DAY_S)
            is_late = slot > start + 0.66 * (end - start)
            for minute in range(slot, slot + SLOT_S, 60):
                requests = int(600 * busy)
                failed = 40 if is_late and minute % 1800 == 0 else 0
                writing.add_traffic(connection, key, minute, traffic(requests, 1.8 if is_late else 1.0, failed))
                writing.add_traffic(connection, VersionKey(name, "2"), minute, traffic(requests // 10))
            counter = BatchCounter(layout)
            columns, predicted = rows(200, slot, *((0.5, 0.05) if is_late else (0.0, 0.0)))
            counter.add(200, columns, predicted)
            writing.add_window(connection, key, slot, Counted(counter.counts(), dropped=3))
            total = counter.counts() if total is None else total + counter.counts()
            if (slot + SLOT_S) % HOUR_S == 0:
                span = Span(slot + SLOT_S - HOUR_S, slot + SLOT_S)
                found = [*judge(watch(made, total), span), found_together(made, total, span)]
                for each in found:
                    finder = (each.role, each.name, each.check)
                    standing[finder] = standing.get(finder, StandingFinding()).and_then(each)
                writing.put_findings(connection, key, made.profile_id, found, standing)
                total = None
