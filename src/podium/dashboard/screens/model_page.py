"""What the screens of one model share: its head, its versions, and which of them is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podium.dashboard.charts.lines import ChartEvent
from podium.dashboard.health import health_of
from podium.dashboard.pages import Question
from podium.dashboard.sources import DashboardSources
from podium.domain.stages import Stage
from podium.errors import NotFound, PodiumError
from podium.monitoring.store import reading
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.reading import Served

TABS = (("traffic", "Traffic"), ("drift", "Drift"), ("predictions", "Predictions"), ("quality", "Quality"))
_MOST_EVENTS = 40


@dataclass(frozen=True, slots=True)
class ModelPage:
    """One model and the version that is looked at.

    Attributes:
        name: Of the endpoint.
        versions: That the monitor knows, seen last first.
        chosen: The one that was asked for; None for all, or where none is known.
        facts: What its server says; None where none serves it now.
    """

    name: str
    versions: Sequence[Served]
    chosen: Served | None
    facts: dict[str, Any] | None

    @property
    def shown(self) -> Sequence[Served]:
        """The versions that are drawn."""
        return self.versions if self.chosen is None else [self.chosen]

    def frame(self, tab: str) -> dict[str, Any]:
        """What the head of the page shows."""
        return {
            "name": self.name,
            "tab": tab,
            "tabs": TABS,
            "versions": self.versions,
            "chosen": None if self.chosen is None else self.chosen.key.version,
            "health": None if self.facts is None else health_of(self.facts),
            "serving": None if self.facts is None else self.facts.get("serving"),
        }


def open_page(sources: DashboardSources, asked: Question, connection: StoreConnection | None) -> ModelPage:
    """The model that an address names.

    Args:
        sources: Where to look.
        asked: With `name` in its path and perhaps `version` in its query.
        connection: Of the monitor's store; None where there is none.

    Raises:
        NotFound: Nobody serves it, and nobody remembers it.
    """
    name = asked.path["name"]
    facts = next((each.facts for each in sources.served() if each.name == name), None)
    known = [] if connection is None else [each for each in reading.served(connection) if each.key.model == name]
    if facts is None and not known:
        raise NotFound(f"No model is served as {name!r}, and none was watched.")
    wanted = asked.query.get("version")
    chosen = next((each for each in known if each.key.version == wanted), None)
    return ModelPage(name, known, chosen, facts)


def moves(sources: DashboardSources, name: str, start: float, end: float) -> list[ChartEvent]:
    """What the registry did with a model meanwhile, for the charts; the newest where there were many."""
    served = next((each for each in sources.served() if each.name == name), None)
    registered = name if served is None else served.registered
    try:
        changes = [] if registered is None else sources.registry.history(registered)
    except PodiumError:
        return []
    found = []
    for change in changes:
        for number, part in ((change.after or {}).get("versions") or {}).items():
            at = change.at_ms / 1000
            if part and part.get("stage") == Stage.PRODUCTION.value and start <= at <= end:
                found.append(ChartEvent(at, f"Version {number} went to Production ({change.actor})"))
    return found[-_MOST_EVENTS:]
