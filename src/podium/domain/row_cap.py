"""How many rows a batch may have where memory is the limit: found by measuring, for nobody can say it beforehand."""

from dataclasses import dataclass, replace

_PATIENCE, _MOST_PATIENCE = 64, 1 << 16


@dataclass(frozen=True, slots=True)
class RowCap:
    """The most rows of a batch, and what was learnt of it.

    Starts at what was set; is lowered when a call ran out of memory; after many full batches that did not, it is doubled,
    for memory that another process took is given back. Each failure makes that wait twice as long.

    Args:
        rows: The cap, at least 1.
        limit: Never more.
        patience: Full batches before it is raised.
        calm: Full batches since it was changed.
        failures: How often it was lowered.
    """

    rows: int
    limit: int
    patience: int = _PATIENCE
    calm: int = 0
    failures: int = 0

    def observe(self, fits: int, failed: int) -> "RowCap":
        """The cap after one batch, with its parts where it had to be run in parts.

        Args:
            fits: Rows of the largest call that succeeded; 0 where none did.
            failed: Rows of the largest call that ran out of memory; 0 where none did.
        """
        if failed:
            # What fits was just seen; one request that can never fit fails in parts of every size and lowers nothing twice.
            rows = min(fits or failed // 2, failed - 1, self.rows)
            patience = min(self.patience * 2, _MOST_PATIENCE)
            return replace(self, rows=max(rows, 1), patience=patience, calm=0, failures=self.failures + 1)
        if self.rows >= self.limit or fits < self.rows // 2:
            return self
        if self.calm + 1 < self.patience:
            return replace(self, calm=self.calm + 1)
        return replace(self, rows=min(self.rows * 2, self.limit), calm=0)
