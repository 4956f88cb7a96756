"""A monitor whose clock and traffic are a test's, and what it tells."""

from receivers import PATIENT

from podium.domain.monitoring.staleness import Times
from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.monitoring.alerting import Alerting, journal
from podium.monitoring.judged_values import VersionValues
from podium.monitoring.notifying import About, Notifier
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.writing import VersionKey
from podium.settings.alerts import AlertSettings
from podium.telemetry.traffic import LATENCY_EDGES_S, TrafficCounts

KEY = VersionKey("fraud", "7")
NOON = 1_800_000_000 - 1_800_000_000 % DAY_S + DAY_S // 2
GOOD = VersionValues(KEY, Times(trained_at=NOON, deployed_at=NOON, profiled_at=NOON), "p1")
WAIT_S = 60


def answered(requests, errors=0, rejected=0, slow=0):
    """Each quick request in the first bucket, each slow one beyond the last."""
    latency = [requests - slow, *[0] * (len(LATENCY_EDGES_S) - 1), slow]
    return TrafficCounts(requests=requests, server_errors=errors, rejected=rejected, latency=tuple(latency))


class World:
    """A monitor whose clock is ours: each `run` is so many minutes of the same traffic, with two steps in each."""

    def __init__(self, folder, settings=None, channels=(), store=None, sharing=None, busy_timeout_s=60.0):
        # Channels note what they told while the test counts: whoever writes waits for the other.
        self.store = store or MonitorStore(folder / "monitor.db", busy_timeout_s)
        self.sharing = sharing
        self.settings = settings or AlertSettings()
        self.channels = channels
        self.now, self.told, self.log, self.gauges = NOON, [], [], []
        self.begin()

    def begin(self):
        """Anew, as after a restart."""
        self.notifier = Notifier(
            self.channels, About("", "docs/runbooks"), journal(self.store), self.log.append, PATIENT, lambda: self.now
        )
        self.alerting = Alerting(self.store, self.settings, self.notifier, self.log.append, sharing=self.sharing)
        tell = self.notifier.planned

        def planned(notifications):
            self.told += [(news, alert.rule) for each in notifications for news, alert in each.items]
            return tell(notifications)

        self.notifier.planned = planned
        self.alerting.begin()

    def restart(self):
        self.alerting.close(WAIT_S)
        self.begin()

    def run(self, minutes, traffic=None, *values, is_counted=True):
        for _ in range(minutes):
            if is_counted:
                self.count(self.now, self.now + 60, traffic)
            for _ in range(2):
                self.now += 30
                self.gauges = self.alerting.step(self.now, values or (GOOD,))

    def count(self, begin, end, traffic):
        with self.store.writing() as connection:
            writing.watch(connection, begin, end)
            for minute in range(begin, end, 60) if traffic is not None else ():
                writing.add_traffic(connection, KEY, minute, traffic)

    def past(self, hours, traffic):
        """So many hours in which nobody judged."""
        self.count(self.now, self.now + hours * HOUR_S, traffic)
        self.now += hours * HOUR_S

    def shown(self, name):
        return [(each["labels"], each["value"]) for each in self.gauges if each["name"] == name]
