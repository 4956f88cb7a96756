"""The exporter's loop: take what gateways hand on, make rows and traces of it, write and send them.

It ends when nobody can hand on any more: then the supervisor and all gateways have let go of their end.
"""

import logging
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from podium.domain.payload_columns import ColumnRules
from podium.monitoring.exporters.pushing import Pushing
from podium.monitoring.payloads.cloud_events import CloudEvents
from podium.monitoring.payloads.files import PayloadFiles
from podium.monitoring.payloads.rows import PayloadRow, Terms, digest_with, row_of
from podium.settings.exports import OFF, PARQUET, ExportSettings
from podium.telemetry.seen import Seen, ToldMetrics, receive
from podium.telemetry.slots import Slots

if TYPE_CHECKING:
    from podium.monitoring.exporters.otlp import Traces

_log = logging.getLogger("podium.exporter")
_FLUSH_S = 0.5
_MOST_ROWS = 2_000
_MOST_HELD = 20_000
_LAST_S = 2.0


class Payloads:
    """The payload log's part: rows to files and to a receiver.

    Args:
        settings: What is kept.
        key: What hashes are keyed with.
        slots: Where it counts what became of rows.
    """

    def __init__(self, settings: ExportSettings, key: bytes, slots: Slots) -> None:
        kept = frozenset(settings.payload_columns) if settings.payload_columns else None
        rules = ColumnRules(kept, frozenset(settings.payload_hashes))
        self._terms = Terms(rules, settings.payload_subject, settings.payload_sample, digest_with(key))
        self._slots = slots
        self._rows: list[PayloadRow] = []
        self._problem: str | None = None
        self._files: PayloadFiles | None = None
        self._events: CloudEvents | None = None
        if settings.payload_log != OFF:
            is_parquet = settings.payload_log == PARQUET
            self._files = PayloadFiles(
                Path(settings.folder), is_parquet, settings.payload_keep_days, settings.payload_most_bytes
            )
        if settings.payload_url is not None:
            self._events = CloudEvents(settings.payload_url, self._count_events)

    def take(self, seen: Seen) -> None:
        """Make a row of a request."""
        row = row_of(seen, self._terms)
        if self._events is not None:
            self._events.add(row)
        if self._files is not None:
            self._rows.append(row)
            if len(self._rows) >= _MOST_ROWS:
                self.flush()

    def flush(self) -> None:
        """Write what was taken; what the disk does not take is tried again, as long as there is not too much of it."""
        if self._files is None:
            return
        try:
            if self._rows:
                self._files.write(self._rows)
                self._slots.add_exported(0, "files_written", len(self._rows))
                self._rows = []
            self._files.tidy(datetime.now(UTC))
            self._problem = None
        except OSError as error:
            if str(error) != self._problem:
                _log.error("the payload log cannot be written: %s", error)
            self._problem = str(error)
            over = len(self._rows) - _MOST_HELD
            if over > 0:
                self._slots.add_exported(0, "files_dropped", over)
                del self._rows[:over]

    def close(self) -> None:
        """Write and send what is left."""
        self.flush()
        if self._rows:
            self._slots.add_exported(0, "files_dropped", len(self._rows))
        if self._events is not None:
            self._events.close(_LAST_S)

    def _count_events(self, result: str, count: int) -> None:
        self._slots.add_exported(0, f"http_{result}", count)


class Exports:
    """All that one exporter does.

    Args:
        settings: What is exported, and where to.
        slots: The server's counters.
    """

    def __init__(self, settings: ExportSettings, slots: Slots) -> None:
        key = Path(settings.key_file).read_bytes() if settings.has_payloads else b""
        self._payloads = Payloads(settings, key, slots) if settings.has_payloads else None
        self._traces = _traces(settings, slots)
        self._pushing = Pushing(settings, slots) if settings.has_metrics else None
        self._flushed = time.monotonic()

    def take(self, message: list[Seen] | ToldMetrics) -> None:
        """What a gateway handed on, or the supervisor told."""
        if isinstance(message, ToldMetrics):
            if self._pushing is not None:
                self._pushing.tell(message)
            return
        for each in message:
            if each.is_kept and self._payloads is not None:
                self._payloads.take(each)
            if each.is_traced and self._traces is not None:
                self._traces.add(each)

    def turn(self) -> None:
        """Write and send what is due. Call it several times a second."""
        if self._payloads is not None and time.monotonic() - self._flushed >= _FLUSH_S:
            self._payloads.flush()
            self._flushed = time.monotonic()
        if self._pushing is not None:
            self._pushing.turn()

    def close(self) -> None:
        """Write and send what is left."""
        for each in (self._payloads, self._pushing):
            if each is not None:
                each.close()
        if self._traces is not None:
            self._traces.close(_LAST_S)


def export(records: socket.socket, settings: ExportSettings, slots: Slots) -> None:
    """Export until nobody hands on any more.

    Args:
        records: The exporter's end of the gateways' socket.
        settings: What is exported, and where to.
        slots: The server's counters.
    """
    records.settimeout(_FLUSH_S)
    exports = Exports(settings, slots)
    is_over = False
    while not is_over:
        try:
            message = receive(records)
        except TimeoutError:
            message = []
        except msgspec.MsgspecError as error:
            _log.warning("a message cannot be read: %s", error)
            message = []
        if message is None:
            is_over = True
        else:
            exports.take(message)
        exports.turn()
    exports.close()


def _traces(settings: ExportSettings, slots: Slots) -> "Traces | None":
    if settings.otlp_endpoint is None:
        return None
    # Nobody else needs the library.
    from podium.monitoring.exporters.otlp import Traces  # noqa: PLC0415

    return Traces(settings.otlp_endpoint, lambda result, count: slots.add_exported(0, f"spans_{result}", count))
