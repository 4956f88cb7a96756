"""Getting marks of rollouts into the registry: each once, in a thread, again and again while it cannot be written."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from podium.domain.rollouts.schedule import Mark, MarkedRollout, MarkKind, RolloutNotices, ending
from podium.errors import PodiumError
from podium.fleet.telling.events import Event
from podium.registry.rollout_edits import Note

Write = Callable[[Note, str | None], Awaitable[None]]
"""The mark, and the version that is followed."""
Run = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
_LONGEST_PAUSE_S = 30.0
_UNSEEN_S = 10.0


@dataclass(slots=True)
class _Writing:
    """A mark that is to be in the registry; `at` is the registry's clock when that was decided."""

    note: Note
    at: float
    task: asyncio.Task[None] | None = None
    again_at: float = 0.0
    failures: int = 0
    is_written: bool = False


class Marks:
    """The marks that this server has to write. Event loop's thread only.

    A veto counts here from the moment of its decision, whether the registry can be written or not.

    Args:
        write: Puts a mark into the registry, without holding up the loop; raises when it cannot.
        tell: Called with events.
        ring: Called when something else is to be done.
        run: Makes a task that somebody owns.
        clock: Seconds that never jump.

    Attributes:
        problem: Why the last one could not be written; None if it could.
    """

    def __init__(
        self,
        write: Write,
        tell: Callable[[Event], None],
        ring: Callable[[], None],
        run: Run,
        clock: Callable[[], float],
    ) -> None:
        self.problem: str | None = None
        self._write = write
        self._tell = tell
        self._ring = ring
        self._run = run
        self._clock = clock
        self._writing: dict[tuple[str, MarkKind], _Writing] = {}

    def add(self, note: Note, at: float) -> None:
        """Have a mark written; one that is under way already, or was a moment ago, is not begun again."""
        assert note.rollout_id is not None
        key = (note.rollout_id, note.kind)
        if key not in self._writing:
            self._writing[key] = _Writing(note, at)
            self._ring()

    def counted(self, notices: RolloutNotices) -> RolloutNotices:
        """What the registry says, with the vetoes of this server that it does not have yet."""
        vetoes = {
            key[0]: Mark(MarkKind.VETO, each.at, "this server", each.note.reason)
            for key, each in self._writing.items()
            if key[1] is MarkKind.VETO
        }
        if not vetoes:
            return notices
        entries = tuple(
            replace(entry, marks=(*entry.marks, vetoes[entry.rollout.id])) if entry.rollout.id in vetoes else entry
            for entry in notices.entries
        )
        return replace(notices, entries=entries)

    def seen(self, notices: RolloutNotices) -> None:
        """Let go of marks that the registry has, or that came too late there."""
        now = self._clock()
        entries = {entry.rollout.id: entry for entry in notices.entries}
        for key, each in list(self._writing.items()):
            entry = entries.get(key[0])
            is_settled = entry is None or _is_settled(entry, key[1])
            if each.task is None and is_settled:
                del self._writing[key]
            elif each.task is None and now >= each.again_at:
                # Written and not to be seen: it is written again, which changes nothing where it is.
                each.is_written = False

    def go_on(self, followed: str | None) -> None:
        """Write what is to be written; `followed` is the version that the reference stands for."""
        now = self._clock()
        for each in self._writing.values():
            if each.task is None and not each.is_written and now >= each.again_at:
                each.task = self._run(self._put(each, followed))

    def close(self) -> None:
        """Write nothing more."""
        for each in self._writing.values():
            if each.task is not None:
                each.task.cancel()

    async def _put(self, each: _Writing, followed: str | None) -> None:
        try:
            await self._write(each.note, followed)
        except Exception as error:  # noqa: BLE001
            # Whatever is wrong with a registry, what serves keeps serving.
            message = error.message if isinstance(error, PodiumError) else f"{type(error).__name__}: {error}"
            self.problem = message
            each.failures += 1
            each.again_at = self._clock() + min(2.0 ** (each.failures - 1), _LONGEST_PAUSE_S)
            if each.failures == 1:
                text = f"the {each.note.kind} of the rollout cannot be written, and is tried again: {message}"
                self._tell(Event("rollout", text, is_problem=True))
        else:
            self.problem = None
            each.is_written = True
            each.again_at = self._clock() + _UNSEEN_S
        finally:
            each.task = None
            self._ring()


def _is_settled(entry: MarkedRollout, kind: MarkKind) -> bool:
    """Whether a mark is there, or another that makes it meaningless."""
    kinds = {mark.kind for mark in entry.marks}
    if kind is MarkKind.SUPERSEDE:
        return kind in kinds
    return kind in kinds or ending(entry.marks) is not None
