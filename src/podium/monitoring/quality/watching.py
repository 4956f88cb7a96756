"""The monitor's part that is about quality: writes down what gateways hand on, forgets it in time, and judges."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.domain.monitoring.quality.figures import WIDTH_S
from podium.domain.monitoring.quality.tasks import SaidTask
from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.errors import MonitorStoreError, NotFound, PodiumError
from podium.monitoring.gauges import Gauge
from podium.monitoring.quality.gauges import gauges_of
from podium.monitoring.quality.joining import MOST_ROWS_AT_ONCE, Joining
from podium.monitoring.quality.judging import JudgedQuality, judge_quality
from podium.monitoring.store import quality_writing as written
from podium.monitoring.store.contract import MonitorHistory, StoreConnection
from podium.monitoring.store.writing import VersionKey
from podium.telemetry.remembered import Labelled, Remembered

LABELS_COME_S = 30 * DAY_S
MOST_PREDICTIONS = 500_000
_log = logging.getLogger("podium.monitor")


@dataclass(frozen=True, slots=True)
class QualityTerms:
    """How long what is kept.

    Args:
        retention_s: Tallies.
        most_predictions: Rows of answers, of which the oldest are given up first; all are after `LABELS_COME_S`.
    """

    retention_s: int = 90 * DAY_S
    most_predictions: int = MOST_PREDICTIONS


class QualityWatch:
    """One thread.

    Args:
        store: Where it is kept.
        terms: For how long.

    Attributes:
        judged: What is held of each version that is served.
    """

    def __init__(self, store: MonitorHistory, terms: QualityTerms | None = None) -> None:
        self.judged: Mapping[VersionKey, JudgedQuality] = {}
        self._store = store
        self._terms = terms or QualityTerms()
        self._at = 0.0
        self._rows = 0
        self._is_changed = True
        self._forgot_at = 0.0
        self._slot = -1
        self._keys: set[VersionKey] = set()
        self._said: dict[str, SaidTask] = {}
        self._is_said_anew = False

    def hear(self, versions: Iterable[Mapping[str, Any]]) -> None:
        """What models are for, as far as somebody said it, by the facts of what is served.

        A model that is not served now was said to be for what it was.
        """
        said = {str(each["model"]): SaidTask.of(each.get("task"), each.get("positive")) for each in versions}
        self._is_said_anew = self._is_said_anew or any(self._said.get(model) != each for model, each in said.items())
        self._said |= said

    def write_down(self, connection: StoreConnection, records: Sequence[Remembered | Labelled], now: float) -> None:
        """Join what came to what is kept; as `monitoring.intake.Sink`. The same may come again."""
        if now != self._at:
            self._at, self._rows = now, 0
        joining = Joining(connection, now, MOST_ROWS_AT_ONCE - self._rows, self._said)
        joining.join(records)
        self._rows += joining.rows
        self._is_changed = True

    def turn(self, now: float, versions: Iterable[VersionKey]) -> list[Gauge]:
        """Forget what is old, and look at how good versions are.

        Args:
            now: Seconds since 1970.
            versions: All that are served.

        Returns: What `/metrics` is to show.
        """
        keys, slot = sorted(set(versions), key=lambda key: (key.model, key.version)), int(now // WIDTH_S)
        try:
            self._choose_anew(keys, now)
            if self._forget(now) or slot != self._slot or set(keys) != self._keys:
                with self._store.reading() as connection:
                    found = {key: self._judge(connection, key, now) for key in keys}
                self.judged = {key: each for key, each in found.items() if each is not None}
                self._slot, self._keys = slot, set(keys)
        except NotFound:
            return []
        except MonitorStoreError:
            # Said by whoever writes; what was seen last is still told.
            self._slot = -1
        return [gauge for each in self.judged.values() for gauge in gauges_of(each)]

    def _choose_anew(self, keys: Sequence[VersionKey], now: float) -> None:
        """Count again what somebody now says is for something else."""
        if not self._is_said_anew and set(keys) == self._keys:
            return
        with self._store.writing() as connection:
            joining = Joining(connection, now, said=self._said)
            is_other = [joining.choose_anew(key) for key in keys]
        self._is_changed = self._is_changed or any(is_other)
        self._is_said_anew = False

    def _judge(self, connection: StoreConnection, key: VersionKey, now: float) -> JudgedQuality | None:
        try:
            return judge_quality(connection, key, now)
        except MonitorStoreError:
            raise
        except (PodiumError, ValueError, KeyError, TypeError, ArithmeticError) as error:
            _log.warning("quality of version %s of %s cannot be judged: %s", key.version, key.model, error)
            return None

    def _forget(self, now: float) -> bool:
        """Give up what is old; whether anything was written since the last time."""
        is_due, is_changed = now - self._forgot_at > HOUR_S, self._is_changed
        if not is_due and not is_changed:
            return False
        with self._store.writing() as connection:
            kept_s = min(LABELS_COME_S, self._terms.retention_s)
            written.forget_predictions(connection, now, kept_s, self._terms.most_predictions)
            if is_due:
                # Labels that wait are given up as well where no others come.
                Joining(connection, now).join([])
                written.forget_quality(connection, int(now), self._terms.retention_s)
        self._is_changed = False
        if is_due:
            self._forgot_at = now
        return is_changed
