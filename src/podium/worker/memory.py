"""What a worker learns of the memory that its model computes in: how many rows fit, how full the device is."""

import time

from podium.domain.row_cap import RowCap
from podium.errors import OutOfDeviceMemory
from podium.flavors.contract import Loaded, OnDevice
from podium.transport.board import BoardWriter
from podium.worker.log import log_event

_LOOK_EVERY_NS = 1_000_000_000
# PyTorch's and CuPy's, TensorFlow's, Python's: by name, for a function of anybody's may compute with any of them.
_OF_MEMORY = {"OutOfMemoryError", "ResourceExhaustedError", "MemoryError"}


class Memory:
    """Keeps the cap of a batch's rows, and tells the board of it and of the device.

    Args:
        loaded: The model.
        board: Where it is told.
        max_rows: The cap to begin with.

    Attributes:
        rows: The most rows of a batch now.
        is_short: It ever ran out: until then the cap is a wish and not a measurement.
        is_watched: There is something to be learnt of each batch; else nothing need be told.
    """

    def __init__(self, loaded: Loaded, board: BoardWriter, max_rows: int) -> None:
        self._device = loaded if isinstance(loaded, OnDevice) else None
        self._board = board
        self._cap = RowCap(max_rows, max_rows)
        self._fits = self._failed = 0
        self._looked_ns = 0
        self.rows = self._cap.rows
        self.is_short = False
        self.is_watched = self._device is not None
        board.set_row_cap(max_rows)

    def fitted(self, rows: int) -> None:
        """A call of so many rows succeeded."""
        self._fits = max(self._fits, rows)

    def failed(self, error: BaseException, rows: int) -> bool:
        """A call of so many rows raised this; whether memory was the reason."""
        is_short = isinstance(error, OutOfDeviceMemory) or _is_of_memory(error.__cause__)
        if is_short:
            self.is_watched = True
            self._failed = max(self._failed, rows)
        return is_short

    def conclude(self, now_ns: int | None = None) -> None:
        """A batch is over, whole or in parts: learn from it."""
        if not self._failed and not self._cap.failures and self._device is None:
            self._fits = 0  # what fits says nothing before something did not
            return
        before, self._cap = self._cap, self._cap.observe(self._fits, self._failed)
        self._fits = self._failed = 0
        self.rows, self.is_short = self._cap.rows, self._cap.failures > 0
        if self._cap.rows != before.rows:
            log_event("row_cap_changed", before=before.rows, now=self._cap.rows, failures=self._cap.failures)
            self._board.set_row_cap(self._cap.rows)
        now_ns = time.monotonic_ns() if now_ns is None else now_ns
        if self._device is not None and now_ns - self._looked_ns > _LOOK_EVERY_NS:
            self._looked_ns = now_ns
            use = self._device.use()
            self._board.set_device(use.used_bytes, use.total_bytes, use.utilisation_percent)


def _is_of_memory(cause: BaseException | None) -> bool:
    return cause is not None and any(kind.__name__ in _OF_MEMORY for kind in type(cause).__mro__)
