"""Watching podium's own registry from a server: read-only, bounded, and never fooled into believing that nothing is wanted.

A registry that cannot be read is an error, never an empty answer: what serves then keeps serving.
"""

import time
from dataclasses import dataclass

from podium.artifacts.tree import fingerprint
from podium.domain.references import FolderRef, ModelRef
from podium.registry.embedded import Resolved, model_folder, resolve_folder, resolve_in
from podium.registry.snapshot import FileState, file_state, read_snapshot
from podium.settings.home import Home

_TIMEOUT_S = 0.35


@dataclass(frozen=True, slots=True)
class _SeenFolder:
    """What was answered for a folder, of which state, and a newer state that was seen once."""

    answer: Resolved
    fingerprint: str
    newer: str | None = None


class EmbeddedObserver:
    """Says again and again what references stand for. Remembers which registry it saw first and accepts no other.

    Asking costs a few `stat` calls while nothing changed. No connection, descriptor or lock is held between calls, so the
    registry's file may be moved, locked or replaced at any time. For one thread at a time.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._registry_id: str | None = None
        self._state: FileState | None = None
        self._answers: dict[ModelRef, Resolved] = {}
        self._folders: dict[FolderRef, _SeenFolder] = {}

    def resolve(self, reference: ModelRef) -> Resolved:
        """What a reference stands for now. Takes less than half a second, but for hashing a folder's new content.

        A folder's label changes only when its content was the same in two calls running: a folder that is being written
        is not a new version yet.

        Raises:
            NotFound: The registry was read, and nothing is there.
            RegistryError: The registry cannot be read (missing, locked, replaced by another), or an artifact is gone.
            InvalidModel: The folder is not a model.
        """
        if isinstance(reference, FolderRef):
            return self._resolve_folder(reference)
        state = file_state(self._home.registry)
        if state != self._state:
            self._answers.clear()
        known = self._answers.get(reference)
        if known and known.folder.is_dir():
            return known
        answer = self._read(reference)
        # The state from before the reading, and only when a later change must show in it.
        if state.is_settled(time.time()):
            self._state = state
            self._answers[reference] = answer
        return answer

    def close(self) -> None:
        """Forget what was read; nothing else is held."""
        self._state = None
        self._answers.clear()
        self._folders.clear()

    def _read(self, reference: ModelRef) -> Resolved:
        path = self._home.registry
        snapshot = read_snapshot(
            path, lambda reader: resolve_in(reader, reference, self._home), _TIMEOUT_S, self._registry_id
        )
        self._registry_id = snapshot.registry_id
        return snapshot.value

    def _resolve_folder(self, reference: FolderRef) -> Resolved:
        state = fingerprint(model_folder(reference, self._home))
        seen = self._folders.get(reference)
        if seen and state == seen.fingerprint:
            return seen.answer
        if seen and state != seen.newer:
            self._folders[reference] = _SeenFolder(seen.answer, seen.fingerprint, state)
            return seen.answer
        answer = resolve_folder(reference, self._home)
        self._folders[reference] = _SeenFolder(answer, state)
        return answer
