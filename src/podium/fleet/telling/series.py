"""Which index of the counters each version's requests are counted in."""

from podium.domain.rollouts.evidence import Evidence
from podium.errors import Unavailable
from podium.telemetry.evidence import Outcomes, evidence_of, outcomes_of
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
        self._free: list[int] = []

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
        elif self._free:
            self._index[labels] = self._free.pop()
        elif len(self._index) < self._size:
            self._index[labels] = len(self._index)
        else:
            oldest = next((other for other in self._index if other not in in_use), None)
            if oldest is None:
                raise Unavailable(f"All {self._size} metric series are in use.")
            self._index[labels] = self._index.pop(oldest)
            self.slots.clear(self._index[labels])
        return self._index[labels]

    def known(self, labels: Labels) -> int | None:
        """The index of a version, if it has one."""
        return self._index.get(labels)

    def forget(self, endpoint: str) -> None:
        """An endpoint is gone: its counters are shown no more. Nobody may count in them."""
        for labels in [labels for labels in self._index if labels[0] == endpoint]:
            index = self._index.pop(labels)
            self.slots.clear(index)
            self._free.append(index)

    def evidence(self, labels: Labels) -> Evidence:
        """What is known of a version since it was first counted here; nothing of one that never was."""
        found = self._index.get(labels)
        return Evidence() if found is None else evidence_of(self.slots.totals(found))

    def outcomes(self, labels: Labels) -> Outcomes:
        """What was reported of a version since it was first counted here; nothing of one that never was."""
        found = self._index.get(labels)
        return Outcomes() if found is None else outcomes_of(self.slots.totals(found))

    def labels(self) -> list[dict[str, str]]:
        """The labels of each index; nothing for one that is free."""
        found: list[dict[str, str]] = [{} for _ in range(len(self._index) + len(self._free))]
        for (endpoint, version), index in self._index.items():
            found[index] = {"model": endpoint, "version": version}
        return found
