"""A model in production whose clock is a test's: a worker's tap and gateways' recorders count, a monitor watches and tells.

What is not moved is real: slabs, slots, the supervisor's messages, the monitor's looks, its database and its channels.
"""

import os
import socket
import time
from dataclasses import dataclass, field

import numpy as np
from profile_world import profile_of
from receivers import PATIENT

from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.variation import Days, Hours, with_variation
from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.monitoring.alerting import alerting_of
from podium.monitoring.process import Monitor, MonitorTerms
from podium.monitoring.store.database import MonitorStore
from podium.serving.recording import Recorder
from podium.serving.walks.walk import Walk
from podium.settings.alerts import alert_settings
from podium.telemetry.slots import Slots, create_slots
from podium.transport.control import ControlSocket
from podium.transport.frames import Reply
from podium.transport.monitor_messages import Sight
from podium.worker.tap import Tap, counting_by

MIDNIGHT = 1_768_521_600
GATEWAYS = 4
CITIES = np.array(["Bern", "Lyon", "Oslo", "Porto"])
_REPLY = Reply(1, 200, "application/json", b"[1]", 1, 1, 50, 900, is_first_of_batch=True)


def _early():
    """The clock of channels: an hour of the day passes before a receiver has answered, and is no reason to give it up."""
    return float(MIDNIGHT)


@dataclass(slots=True)
class Faults:
    """What is wrong now."""

    drift: float = 0.0
    has_outliers: bool = False
    category: str = ""
    is_upstream_dead: bool = False
    slow: float = 0.0
    findings: dict[str, int] = field(default_factory=dict)


def rows_at(hours, rng, faults):
    """One row for each hour of the day: noise, and what the sun and people do."""
    size, sun = len(hours), -np.cos(2 * np.pi * hours / 24)
    data = {
        "amount": rng.lognormal(3, 1, size) * np.exp(faults.drift),
        "temperature": 12 + 6 * sun + rng.normal(0, 3, size),
        "age": rng.integers(18, 90, size).astype(float),
        "income": np.where(rng.random(size) < 0.1, np.nan, rng.gamma(3, 1000, size)),
        "clicks": rng.poisson(2, size).astype(float),
        "balance": np.where(rng.random(size) < 0.6, 0.0, rng.normal(500, 300, size)),
        "city": rng.choice(CITIES, size, p=[0.4, 0.3, 0.2, 0.1]).astype(object),
        "channel": np.where(rng.random(size) < 0.5 + 0.3 * sun, "web", "app").astype(object),
    }
    if faults.has_outliers:
        data["balance"][rng.random(size) < 0.03] = 1e9
    if faults.category:
        data["city"][rng.random(size) < 0.1] = faults.category
    if faults.is_upstream_dead:
        data["age"][:] = np.nan
    return data


def answers_to(data, rng):
    return 0.05 * np.log(data["amount"]) + 0.05 * data["temperature"] + rng.normal(0, 0.3, len(data["amount"]))


def trained(rng, days=7, rows_a_day=4000):
    """The profile of a week's rows with their times."""
    times = MIDNIGHT - DAY_S * days + np.sort(rng.random(days * rows_a_day)) * days * DAY_S
    data = rows_at(times % DAY_S / HOUR_S, rng, Faults())
    answers = {"value": answers_to(data, rng)}
    profile = profile_of(data, **answers)
    seasons = Days(Layout(profile)), Hours(Layout(profile), len(times), times[0], times[-1])
    for each in seasons:
        each.add(times, data, answers)
    return with_variation(profile, *(each.counts() for each in seasons))


class Production:
    """A server of four gateways and a worker, from midnight on.

    Args:
        folder: For what is kept.
        alerts: `[alerts]`.
        profile: Of the model.
        seed: Of the traffic.
        tick_s: So long is a look of the monitor.
        rows_an_hour: On average, nearly; at noon eleven times as many as at midnight.
    """

    def __init__(self, folder, alerts, profile, seed=1, tick_s=300.0, rows_an_hour=2000):
        self.now, self.faults, self.rows, self.log = float(MIDNIGHT), Faults(), 0, []
        self._tick_s, self._rows_a_tick = tick_s, rows_an_hour * tick_s / HOUR_S
        self._rng = np.random.default_rng(seed)
        self.store = MonitorStore(folder / "monitor.db", busy_timeout_s=60.0)
        self._alerts = alert_settings({"alerts": alerts}, {}, "podium.toml")
        self._profile = folder / "profile.json"
        self._profile.write_text(profile.to_json())
        self._slots_fd = create_slots(GATEWAYS)
        self.slots = Slots(self._slots_fd)
        self._gateways = [Recorder(self.slots, slot, None) for slot in range(GATEWAYS)]
        opened, slab, counter = counting_by(profile.to_json().encode())
        self._slab_fd, self._ns = opened.descriptor, 0
        self._tap = Tap(slab, counter, None, None, lambda: self._ns, lambda: 0)
        self._begin()

    def _begin(self):
        self.alerting = alerting_of(self.store, self._alerts, self.log.append, 90 * DAY_S, _early, terms=PATIENT)
        self.alerting.begin()
        self._ours, self._theirs = map(ControlSocket, socket.socketpair())
        terms = MonitorTerms(self.store, tick_s=self._tick_s, alerting=self.alerting)
        self.monitor = Monitor(self._theirs, self.slots, terms, lambda: self.now)

    def _end(self):
        self.alerting.close(60)
        self._ours.close()
        self._theirs.close()
        for slab in self.monitor.known.slabs.values():
            os.close(slab.descriptor)

    def restart(self):
        """The monitor dies, and another one goes on."""
        self._end()
        self._begin()

    def until(self, hour):
        """Time passes until so many hours after midnight: people ask, and the monitor looks."""
        while self.now < MIDNIGHT + hour * HOUR_S:
            self._tick()

    def _tick(self):
        self.now += self._tick_s
        people = 1.2 - np.cos(2 * np.pi * (self.now % DAY_S) / DAY_S)
        self._answer(int(self._rng.poisson(self._rows_a_tick * people)))
        slabs, descriptors = [], []
        if not self.monitor.known.slabs:
            slabs = [{"number": 1, "model": "fraud", "version": "7", "profile": str(self._profile)}]
            descriptors = [self._slab_fd]
        facts = {"model": "fraud", "version": "7", "stage": "Production", "weight": 100, "findings": self.faults.findings}
        self._ours.send(Sight([{"model": "fraud", "version": "7"}], [facts], slabs), descriptors)
        assert self.monitor.look()
        self._ours.receive()
        self.monitor.take()
        self.monitor.turn()

    def _answer(self, rows):
        """So many requests of one row are answered, each by the next gateway; some are slow and a few fail, as always."""
        data = rows_at(np.full(rows, self.now % DAY_S / HOUR_S), self._rng, self.faults)
        self._tap.take(rows, self._tap.keep(data), answers_to(data, self._rng))
        while not self._tap.is_idle:
            self._ns += 10**12
            self._tap.spare()
        walk = Walk.__new__(Walk)
        walk.body_size, walk.sent = 100, 0
        is_slow = self._rng.random(rows) < 0.002 + self.faults.slow
        is_failed = self._rng.random(rows) < 0.0003
        took_s = np.where(is_slow, 0.6, self._rng.gamma(2, 0.002, rows)).tolist()
        for index in range(rows):
            gateway = self._gateways[index % GATEWAYS]
            # Just now: what this machine takes for the others is no model's slowness.
            walk.started = time.monotonic() - took_s[index]
            gateway.record(walk, 0, 500 if is_failed[index] else 200, b"[1]", reply=_REPLY)
        self.rows += rows

    def close(self):
        self._end()
        self.slots.close()
        os.close(self._slots_fd)
        os.close(self._slab_fd)
