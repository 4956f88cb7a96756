"""What the supervisor says of versions, what is kept of them and what was judged, as the values that alerts are made of."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from podium.domain.monitoring.staleness import Times
from podium.monitoring.judged_values import VersionValues
from podium.monitoring.quality.judging import JudgedQuality
from podium.monitoring.store import alerts as kept
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import StoredFinding
from podium.monitoring.store.writing import VersionKey
from podium.monitoring.watching import JudgedVersion

Facts = Mapping[str, Any]
"""One entry of `fleet/telling/facts.py`."""


@dataclass(slots=True)
class VersionBook:
    """What the database has of versions, as far as alerts ask for it; read with each look.

    Attributes:
        first_seen: When each version was first served here.
        profile_ids: By what each version's data were last watched.
        waits: Of each model: the version that waits to be served, and since when.
    """

    first_seen: dict[VersionKey, int] = field(default_factory=dict)
    profile_ids: dict[VersionKey, str | None] = field(default_factory=dict)
    waits: dict[str, tuple[str, float]] = field(default_factory=dict)
    _has_waits: bool = False
    _profiled_at: dict[str, float | None] = field(default_factory=dict)

    def read(self, connection: StoreConnection) -> None:
        """Take in what is there now."""
        served = reading.served(connection)
        self.first_seen = {each.key: each.first_seen for each in served}
        self.profile_ids = {each.key: each.profile_id for each in served}
        if not self._has_waits:
            # From then on memory knows better: of servers that share a store each knows what waits at its own.
            self.waits, self._has_waits = kept.waits_of(connection), True
        for each in served:
            if each.profile_id is not None and each.profile_id not in self._profiled_at:
                self._profiled_at[each.profile_id] = _made_at(connection, each.profile_id)

    def note_waits(self, facts: Iterable[Facts], now: float) -> dict[str, tuple[str, float]]:
        """Which models a newer version waits for, and since when: since the first look that saw it."""
        waiting = {}
        for each in facts:
            model, newer = str(each["model"]), each.get("newer")
            if newer is not None and each.get("weight"):
                known = self.waits.get(model)
                waiting[model] = known if known is not None and known[0] == newer else (str(newer), now)
        self.waits = waiting
        return waiting

    def values(
        self,
        facts: Iterable[Facts],
        judged: Mapping[VersionKey, JudgedVersion],
        quality: Mapping[VersionKey, JudgedQuality],
    ) -> list[VersionValues]:
        """What is known now of each version that is served.

        Nobody expects requests of a version that sleeps, or that gets no traffic: its clock of traffic stands still.
        """
        return [self._values(each, judged, quality) for each in facts]

    def _values(
        self, facts: Facts, judged: Mapping[VersionKey, JudgedVersion], quality: Mapping[VersionKey, JudgedQuality]
    ) -> VersionValues:
        key = VersionKey(str(facts["model"]), str(facts["version"]))
        profile_id, found, measured = self.profile_ids.get(key), judged.get(key), quality.get(key)
        newer, since = self.waits.get(key.model, (None, None))
        is_asked = bool(facts.get("weight")) and not facts.get("is_asleep")
        times = Times(
            trained_at=_seconds(facts.get("saved_at")),
            deployed_at=self.first_seen.get(key),
            superseded_at=since if facts.get("newer") == newer else None,
            newer=newer,
            profiled_at=None if profile_id is None else self._profiled_at.get(profile_id),
            labelled_at=None if measured is None else measured.coverage.last_label_at,
            usual_delay_s=None if measured is None else measured.usual_delay_s,
        )
        findings = [] if found is None else [StoredFinding(each, found.stands(each)) for each in found.findings]
        environment = {str(name): int(count) for name, count in dict(facts.get("findings") or {}).items()}
        beside = (
            [] if measured is None else [(each.variant, found) for each in measured.variants for found in each.shortfalls]
        )
        return VersionValues(key, times, profile_id, findings, environment, beside, is_asked=is_asked)


def _made_at(connection: StoreConnection, profile_id: str) -> float | None:
    found = connection.execute("SELECT json FROM profiles WHERE profile_id = ? LIMIT 1", [profile_id]).fetchone()
    return None if found is None else _seconds(json.loads(found[0]).get("created_at"))


def _seconds(text: Any) -> float | None:
    """A time as MLmodel files and profiles have it, in UTC where they do not say."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
