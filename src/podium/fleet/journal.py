"""The journal's keeper: the value that `plan` sees, and its copy on disk for whoever looks after a crash."""

import logging
from dataclasses import asdict
from typing import Any

from podium.domain.planning import Desired, Failure, Journal, note_beside, note_end, note_retried, note_settled, note_wanted
from podium.errors import LoadFailed
from podium.fleet.host.runfiles import EndpointFolder

_KEPT_FAILURES = 20


class JournalKeeper:
    """Holds the journal and the failures that were seen, newest last; each change is written to the endpoint's folder.

    A new server does not go on from an old journal: it starts what is wanted now, and says what it was that did not load.
    """

    def __init__(self, folder: EndpointFolder) -> None:
        self.journal = Journal()
        self.failures: list[tuple[str, Failure]] = []
        self._folder = folder

    def wanted(self, version: str | None) -> None:
        self._become(note_wanted(self.journal, version))

    def beside(self, desired: Desired) -> None:
        """What is wanted beside; see `note_beside`."""
        self._become(note_beside(self.journal, desired))

    def settled(self, version: str) -> None:
        self._become(note_settled(self.journal, version))

    def retried(self) -> None:
        self._become(note_retried(self.journal))

    def ended(self, version: str, failure: Failure, ready_s: float | None, is_routed: bool, now: float) -> None:
        """A replica failed; see `note_end`."""
        after = note_end(self.journal, version, failure, ready_s, is_routed, now)
        if version in after.vetoed and version not in self.journal.vetoed:
            self.failures = [*self.failures, (version, failure)][-_KEPT_FAILURES:]
        self._become(after)

    def failure(self, wanted: str | None, endpoint: str, error: str | None) -> LoadFailed | None:
        """Why what is wanted does not serve and is not tried; None where it does or is.

        Args:
            wanted: The version; None where none is.
            endpoint: Whose.
            error: Why none is.
        """
        failure = self.journal.vetoed.get(wanted or "")
        if failure is not None:
            text = f"Version {wanted} did not load. {failure.message}"
            return LoadFailed(f"{text}\nWhat its process wrote: podium logs {endpoint}", failure.cause)
        if wanted is None:
            return LoadFailed(f"Nothing to serve was found. {error or ''}".rstrip(), "not_found")
        return None

    def to_json(self) -> dict[str, Any]:
        return {
            "wanted": self.journal.wanted,
            "stable": self.journal.stable,
            "vetoed": sorted(self.journal.vetoed),
            "failures": [{"version": version, **asdict(failure)} for version, failure in self.failures],
        }

    def _become(self, journal: Journal) -> None:
        if journal != self.journal:
            self.journal = journal
            try:
                self._folder.write_journal(self.to_json())
            except OSError as error:
                # Nothing is read back from it: what serves does not depend on a disk with room.
                logging.getLogger("podium.fleet").error("the journal cannot be written: %s", error)
