"""Which row of the counters each version's requests are counted in."""

from podium.errors import Unavailable
from podium.telemetry.slots import SERIES, Slots


class SeriesBook:
    """Gives each version an index, the same as long as there is room; then the longest unused is cleared and given away.

    Args:
        slots: The server's counters.
        endpoint: Public name; the label `model` of each series.
        size: How many indices there are.
    """

    def __init__(self, slots: Slots, endpoint: str, size: int = SERIES) -> None:
        self._slots = slots
        self._endpoint = endpoint
        self._size = size
        self._index: dict[str, int] = {}

    def index(self, version: str, in_use: frozenset[str] = frozenset()) -> int:
        """The index of a version.

        Args:
            version: Its label.
            in_use: Versions whose index may not be given away.

        Raises:
            Unavailable: All indices are in use.
        """
        if version in self._index:
            # Youngest last.
            self._index[version] = self._index.pop(version)
        elif len(self._index) < self._size:
            self._index[version] = len(self._index)
        else:
            oldest = next((name for name in self._index if name not in in_use), None)
            if oldest is None:
                raise Unavailable(f"All {self._size} metric series are in use.")
            self._index[version] = self._index.pop(oldest)
            self._slots.clear(self._index[version])
        return self._index[version]

    def labels(self) -> list[dict[str, str]]:
        """The labels of each index."""
        ordered = sorted(self._index.items(), key=lambda entry: entry[1])
        return [{"model": self._endpoint, "version": version} for version, _ in ordered]
