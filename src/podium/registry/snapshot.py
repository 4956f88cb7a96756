"""Reading a registry file without leaving a trace: nothing is created beside it and no lock is kept.

A database in WAL mode cannot be opened read-only as one would think: SQLite makes the files `-wal` and `-shm` beside it
if they are not there (https://sqlite.org/wal.html, "Read-Only Databases"), and does not remove them. So:

- While somebody has the registry open (`-wal` or `-journal` is there), it is opened with `mode=ro`, and SQLite's own
  locks make the view consistent.
- While nobody has, the file is complete by itself and is opened with `immutable=1`, which neither locks nor creates. That
  nobody came meanwhile is checked afterwards by the files' state; where their times are too young to tell, by reading
  twice. If somebody came, it is read again.

The file is never opened except by SQLite: closing another descriptor of it would drop this process's locks on it.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from podium.errors import PodiumError, RegistryBusy, RegistryError
from podium.registry.tables import Tables, read_meta
from podium.settings.databases import DatabaseFailure, connected, failure_of

T = TypeVar("T")

# A file whose time of change is younger may change again without a new time: the kernel's ticks are up to 10 ms long,
# and some file systems keep whole seconds.
_SETTLED_S = 2.0


@dataclass(frozen=True, slots=True)
class FileState:
    """What `stat` says about a registry and the files that SQLite keeps beside it while somebody has it open."""

    inode: tuple[int, int]
    files: tuple[tuple[int, ...] | None, ...]
    newest_s: float

    @property
    def is_alone(self) -> bool:
        """Whether nobody has the registry open for writing, so that the file is complete by itself."""
        return self.files[1:] == (None, None)

    def is_settled(self, now_s: float) -> bool:
        """Whether any later change would show: the last one is old enough for another time stamp."""
        return self.newest_s + _SETTLED_S < now_s


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[T]):
    """What was read, from which registry."""

    registry_id: str
    value: T


def file_state(path: Path) -> FileState:
    """The state of the registry's files now.

    Raises:
        RegistryError: There is no registry at this path, or it cannot be seen.
    """
    main = _stat(path)
    if main is None:
        raise RegistryError(f"There is no registry at {path}: it was moved or removed, or never made.")
    beside = [_stat(path.with_name(path.name + suffix)) for suffix in ("-wal", "-journal")]
    files = [main, *beside]
    newest_s = max(status.st_mtime for status in files if status)
    return FileState((main.st_dev, main.st_ino), tuple(_facts(status) for status in files), newest_s)


def read_snapshot(path: Path, read: Callable[[Tables], T], timeout_s: float, registry_id: str | None = None) -> Snapshot[T]:
    """Read from one consistent view of the registry at a path.

    Args:
        path: The registry's file.
        read: Called with the view, perhaps more than once; what it raises is raised.
        timeout_s: Seconds to wait for others and to try again, in all.
        registry_id: Which registry it must be; None takes any.

    Raises:
        RegistryError: There is no registry, or it cannot be read, or it is another one.
        RegistryBusy: It was locked, or never still, for that long.
    """

    def checked(tables: Tables, found_id: str) -> T:
        if registry_id not in {None, found_id}:
            raise RegistryError(
                f"{path} is another registry than before ({found_id} instead of {registry_id}): the file was replaced. "
                "Put the right one back, or restart what reads it."
            )
        return read(tables)

    deadline = time.monotonic() + timeout_s
    while True:
        before = file_state(path)
        left_s = max(deadline - time.monotonic(), 0.01)
        first = _attempt(path, checked, left_s, is_alone=before.is_alone)
        if not before.is_alone or _is_certain(path, checked, before, first):
            return first.get()
        if time.monotonic() >= deadline:
            raise RegistryBusy(f"{path} was being written the whole time; gave up after {timeout_s:g} s.")


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """A value or an error: both may come from a view that turns out to be torn."""

    snapshot: Snapshot[T] | None
    error: PodiumError | None

    def get(self) -> Snapshot[T]:
        if self.error is not None:
            raise self.error
        assert self.snapshot is not None
        return self.snapshot

    def is_same(self, other: "_Outcome[T]") -> bool:
        return self.snapshot == other.snapshot and repr(self.error) == repr(other.error)


def _is_certain(path: Path, read: Callable[[Tables, str], T], before: FileState, first: _Outcome[T]) -> bool:
    try:
        if file_state(path) != before:
            return False
        if before.is_settled(time.time()):
            return True
        return _attempt(path, read, 0.01, is_alone=True).is_same(first) and file_state(path) == before
    except RegistryError:
        return False


def _attempt(path: Path, read: Callable[[Tables, str], T], timeout_s: float, *, is_alone: bool) -> _Outcome[T]:
    mode = "mode=ro&immutable=1" if is_alone else "mode=ro"
    try:
        with connected(path, mode, timeout_s) as connection:
            connection.execute("BEGIN")
            registry_id, schema = read_meta(connection, str(path))
            return _Outcome(Snapshot(registry_id, read(Tables(connection, schema), registry_id)), None)
    except sqlite3.Error as error:
        return _Outcome(None, explain(error, path))
    except PodiumError as error:
        return _Outcome(None, error)
    except (ValueError, TypeError) as error:
        # SQLite checks no checksums: a damaged page can come out as text that is not UTF-8, JSON or a stage.
        return _Outcome(None, damaged(path, error))


class ReadOnlyRegistry(RegistryError):
    """This user may read the registry and not write it."""


def explain(error: sqlite3.Error, path: Path) -> RegistryError:
    """SQLite's error in podium's words: which file, what is wrong, what to do."""
    match failure_of(error):
        case DatabaseFailure.BUSY:
            return RegistryBusy(f"{path} is locked: another process is writing and did not finish in time. Try again.")
        case DatabaseFailure.UNREADABLE:
            return RegistryError(f"{path} cannot be opened: it is gone, or this user may not read it.")
        case DatabaseFailure.READ_ONLY:
            return ReadOnlyRegistry(f"{path} cannot be written: this user may only read it.")
        case DatabaseFailure.FULL:
            return RegistryError(f"{path}: the disk is full; nothing was changed.")
        case DatabaseFailure.DAMAGED:
            return damaged(path, error)
        case DatabaseFailure.OTHER:
            return RegistryError(
                f"{path}: the registry failed: {error}. podium doctor looks at its folder, its disk and the file."
            )


def damaged(path: Path, error: Exception) -> RegistryError:
    """The registry's content makes no sense."""
    return RegistryError(f"{path} is damaged or not a registry ({error}). Restore it from a backup.")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RegistryError(f"{path} cannot be seen: {error.strerror}.") from error


def _facts(status: os.stat_result | None) -> tuple[int, ...] | None:
    return status and (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
