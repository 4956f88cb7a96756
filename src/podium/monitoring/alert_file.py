"""`[alerts]` of podium.toml, read again when the file is another one: by its place, its time and its size, as keys are."""

import os
from collections.abc import Callable
from pathlib import Path

from podium.domain.monitoring.quantiles import edge_at
from podium.errors import PodiumError
from podium.monitoring.channels.choice import open_channels
from podium.settings.alerts import AlertSettings, alerts_from_config
from podium.telemetry.traffic import LATENCY_EDGES_S


class AlertFile:
    """The file as it was read last.

    Args:
        path: Of podium.toml.
        settings: What holds until it says something else.
        log: For one line of text.
    """

    def __init__(self, path: Path, settings: AlertSettings, log: Callable[[str], None]) -> None:
        self._path, self._settings, self._log = path, settings, log
        self._mark: tuple[int, ...] | None = None
        self._changed: AlertSettings | None = None

    def changed(self) -> AlertSettings | None:
        """What it says now, where that is another thing, until `taken`; None where nothing is to be done.

        A file that is gone or has a mistake in it changes nothing, and is told once.
        """
        try:
            found = os.stat(self._path)
        except OSError as error:
            if self._mark != ():
                self._log(f"{self._path} cannot be read ({error.strerror}); what it said of alerts holds.")
            self._mark = ()
            return self._changed
        mark = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if mark != self._mark:
            self._mark = mark
            self._read()
        return self._changed

    def taken(self) -> None:
        """What it says holds."""
        if self._changed is not None:
            self._settings, self._changed = self._changed, None
            self._log(f"[alerts] of {self._path} has changed and was read again.")

    def _read(self) -> None:
        try:
            settings = alerts_from_config(self._path)
            for own in (settings.usual, *settings.models.values()):
                for objective in own.objectives:
                    if objective.threshold_s is not None:
                        edge_at(LATENCY_EDGES_S, objective.threshold_s)
            if settings.table != self._settings.table:
                open_channels(settings.channels)
        except PodiumError as error:
            self._log(f"[alerts] has changed and is not taken; what was said before holds: {error.message}")
            self._changed = None
            return
        self._changed = settings if settings.table != self._settings.table else None
