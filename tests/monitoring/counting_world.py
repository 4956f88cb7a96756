"""A server's counters and slabs, and monitors that watch them, by a clock that is set."""

import os
import socket
import threading

import numpy as np
from profile_world import counted, profile_of

from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.process import Monitor, MonitorTerms
from podium.monitoring.store import reading
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.metrics import DURATION, REQUESTS
from podium.telemetry.slots import Slots, create_slots
from podium.transport.control import ControlSocket
from podium.transport.messages import Drain, Drained, Look, Sight
from podium.transport.slab import SlabWriter, create_slab

KEY = VersionKey("fraud", "7")
NOON = 1_799_971_200 + 43_200
_TRAINED = np.random.default_rng(4)
PROFILE = profile_of(
    {"amount": _TRAINED.normal(size=2000), "age": _TRAINED.normal(size=2000)}, value=_TRAINED.normal(size=2000)
)
FACTS = [{"model": "fraud", "version": "7", "stage": "Production"}]


class Worker:
    """Counts rows into a slab, as a worker's tap does."""

    def __init__(self, number):
        self.number, self.is_over = number, False
        # Its own rows: the same whichever tests ran before.
        self._rng = np.random.default_rng([4, number])
        self.descriptor = create_slab(PROFILE.profile_id, Layout(PROFILE).size)
        self._slab = SlabWriter(self.descriptor)
        self._counter = BatchCounter(Layout(PROFILE), np.frombuffer(self._slab.cells, np.int64))

    def scribble(self):
        """What a model's own code may do to its worker's memory."""
        self._slab.cells[3] = -(2**60)
        self._slab.cells[0] = 2**62

    def answer(self, rows, shift=0.0, lost=0):
        columns = {"amount": self._rng.normal(size=rows) + shift, "age": self._rng.normal(size=rows)}
        predictions = {"value": self._rng.normal(size=rows)}
        self._slab.see(rows + lost)
        self._counter.add(rows, columns, predictions)
        return counted(PROFILE, columns, predictions)

    def drop(self, rows):
        self._slab.see(rows)
        self._slab.drop(rows)


class World:
    """A server's counters and slabs, and monitors that watch them, by a clock that is set."""

    def __init__(self, folder, store=None):
        self.now, self.store = float(NOON), store or MonitorStore(folder / "monitor.db", busy_timeout_s=0.01)
        self.profile = folder / "profile.json"
        self.profile.write_text(PROFILE.to_json())
        self._slots_fd = create_slots(1)
        self.slots = Slots(self._slots_fd)
        self.workers = []
        self.looks = []
        self.monitor = None
        self.begin()

    def begin(self):
        """A monitor; the one before it is gone without a word."""
        if self.monitor is not None:
            self._ours.close()
            self._theirs.close()
        ours, theirs = socket.socketpair()
        self._ours, self._theirs = ControlSocket(ours), ControlSocket(theirs)
        terms = MonitorTerms(self.store)
        self.monitor = Monitor(self._theirs, self.slots, terms, lambda: self.now)
        self._known = []

    def worker(self):
        made = Worker(len(self.workers) + 1)
        self.workers.append(made)
        return made

    def request(self, times=1, code="200"):
        block = self.slots.block(0, 0)
        block[REQUESTS.cell(code)] += times
        block[DURATION.bucket(700)] += times

    def tick(self, seconds=10.0):
        """Time passes, and the monitor looks and reads."""
        self.now += seconds
        settled = self.looks[-1].settled if self.looks else []
        new = [each for each in self.workers if each.number not in self._known and each.number not in settled]
        slabs = [{"number": each.number, "model": "fraud", "version": "7", "profile": str(self.profile)} for each in new]
        over = [each.number for each in self.workers if each.is_over]
        self._ours.send(Sight([{"model": "fraud", "version": "7"}], FACTS, slabs, over), [each.descriptor for each in new])
        assert self.monitor.look()
        ((look, _),) = self._ours.receive()
        assert isinstance(look, Look)
        self.looks.append(look)
        self._known = [*look.known, *(each.number for each in new)]
        self.workers = [each for each in self.workers if each.number not in look.settled]
        self.monitor.take()

    def turn(self, seconds=10.0):
        self.tick(seconds)
        self.monitor.turn()

    def end_while_it_looks(self):
        """The server ends: its answer to the monitor and its last word arrive at once. Later looks are answered."""
        sight = Sight([{"model": "fraud", "version": "7"}], FACTS, [], [])
        self._ours.send(sight)
        self._ours.send(Drain(10.0))

        def answer():
            looks = 0
            while (heard := self._ours.receive()) is not None:
                for message, _ in heard:
                    if isinstance(message, Drained):
                        return
                    looks += isinstance(message, Look)
                    if looks > 1:
                        self._ours.send(sight)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        self.monitor.run()
        answering.join()

    def data(self, since=NOON - HOUR_S, until=NOON + 2 * HOUR_S, step_s=None):
        with self.store.reading() as connection:
            return reading.data(connection, KEY, PROFILE.profile_id, Span(since, until), step_s)

    def requests(self):
        with self.store.reading() as connection:
            points = reading.traffic(connection, KEY, Span(NOON - HOUR_S, NOON + 2 * HOUR_S), 60)
        return {each.span.start - NOON: each.traffic.requests for each in points if each.traffic.requests}

    def gauges(self):
        self.tick()
        return {
            (each["name"], each["labels"].get("column"), each["labels"].get("check")): each["value"]
            for each in self.looks[-1].gauges
        }

    def close(self):
        self._ours.close()
        self._theirs.close()
        self.slots.close()
        os.close(self._slots_fd)
