"""Which index of the counters each version's requests are counted in."""

from podium.domain.evidence import Evidence
from podium.errors import Unavailable
from podium.telemetry.evidence import evidence_of
from podium.telemetry.slots import SERIES, Slots

Labels = tuple[str, str]
"""Public name of the endpoint, label of the version."""


class SeriesBook:
    """Gives each version an index, the same as long as there is room; then the longest unused is cleared and given away.

    Args:
        slots: The server's counters.
        size: How many indices there are.

    Attributes:
        slots: The counters.
    """

    def __init__(self, slots: Slots, size: int = SERIES) -> None:
        self.slots = slots
        self._size = size
        self._index: dict[Labels, int] = {}

    def index(self, labels: Labels, in_use: frozenset[Labels] = frozenset()) -> int:
        """The index of a version.

        Args:
            labels: Whose.
            in_use: Versions whose index may not be given away.

        Raises:
            Unavailable: All indices are in use.
        """
        if labels in self._index:
            # Youngest last.
            self._index[labels] = self._index.pop(labels)
        elif len(self._index) < self._size:
            self._index[labels] = len(self._index)
        else:
            oldest = next((other for other in self._index if other not in in_use), None)
            if oldest is None:
                raise Unavailable(f"All {self._size} metric series are in use.")
            self._index[labels] = self._index.pop(oldest)
            self.slots.clear(self._index[labels])
        return self._index[labels]

    def evidence(self, labels: Labels) -> Evidence:
        """What is known of a version since it was first counted here; nothing of one that never was."""
        found = self._index.get(labels)
        return Evidence() if found is None else evidence_of(self.slots.totals(found))

    def labels(self) -> list[dict[str, str]]:
        """The labels of each index."""
        ordered = sorted(self._index.items(), key=lambda entry: entry[1])
        return [{"model": endpoint, "version": version} for (endpoint, version), _ in ordered]
