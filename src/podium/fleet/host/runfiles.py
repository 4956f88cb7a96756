"""PODIUM_HOME/run: one folder for each running server, so that `podium status` can find it.

    run/<server id>/lock          held (flock) while the server lives; the kernel lets go when it dies, however it dies
    run/<server id>/server.json   where it listens and how it is, rewritten atomically
    run/<server id>/endpoints/<name>/journal.json  what the supervisor remembers of an endpoint
    run/<server id>/endpoints/<name>/models/       private copies of the models that it serves

A folder whose lock is free is a dead server's; the next server that starts sweeps it.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.errors import Misconfigured
from podium.settings.home import Home

_BEING_MADE_S = 60.0
_SHOWN = 8
_LOCK, _SERVER, _JOURNAL, _ENDPOINTS, _MODELS = "lock", "server.json", "journal.json", "endpoints", "models"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A live server as its files describe it: `facts` is its `server.json`."""

    id: str
    folder: Path
    facts: dict[str, Any]

    @property
    def endpoints(self) -> dict[str, dict[str, Any]]:
        """What is said of each endpoint, by name; a server of an older podium has one, and says it at the top."""
        if "endpoints" not in self.facts:
            return {self.facts["endpoint"]: self.facts}
        found: dict[str, dict[str, Any]] = self.facts["endpoints"]
        return found

    @property
    def certificate(self) -> str | None:
        """The file of the certificate that it shows, which is to be believed of it; None without TLS."""
        found: str | None = self.facts.get("certificate")
        return found

    @property
    def uris(self) -> str:
        """What it serves, for people."""
        uris = [str(endpoint["uri"]) for endpoint in self.endpoints.values()]
        more = [f"{len(uris) - _SHOWN} more"] if len(uris) > _SHOWN else []
        return ", ".join([*uris[:_SHOWN], *more]) or "nothing"


class EndpointFolder:
    """What a server keeps for one of its endpoints.

    Args:
        folder: Its own; made here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = folder / _MODELS
        self.models.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write_journal(self, entry: dict[str, Any]) -> None:
        _write(self.folder / _JOURNAL, entry)

    def remove(self) -> None:
        """The endpoint is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)


class RunFolder:
    """The folder of this server; held by one process, from `create` to `remove`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.id = folder.name
        self._lock = lock

    @classmethod
    def create(cls, home: Home) -> "RunFolder":
        """Make and lock a new folder.

        Raises:
            Misconfigured: PODIUM_HOME cannot be written to.
        """
        try:
            home.create()
            identity = secrets.token_hex(4)
            # Locked before it has its name: nobody ever sees a living server's folder without its lock.
            hidden = home.run / f".{identity}"
            hidden.mkdir(mode=0o700)
            (hidden / _ENDPOINTS).mkdir(mode=0o700)
            lock = os.open(hidden / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(home.run / identity)
        except OSError as error:
            reason = error.strerror or error
            raise Misconfigured(f"{home.run} cannot be used: {reason}. Set PODIUM_HOME to a folder of yours.") from error
        return cls(home.run / identity, lock)

    def endpoint(self, name: str) -> EndpointFolder:
        """The part of an endpoint.

        Raises:
            OSError: It cannot be made.
        """
        return EndpointFolder(self.folder / _ENDPOINTS / name)

    def write_server(self, facts: dict[str, Any]) -> None:
        """Replace `server.json`; a reader sees the old or the new one, whole."""
        _write(self.folder / _SERVER, facts)

    def remove(self) -> None:
        """Take the folder away: the server has stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def find_servers(home: Home) -> list[RunningServer]:
    """The servers that live now under this home, oldest first. Creates and removes nothing."""
    servers = [
        RunningServer(folder.name, folder, facts)
        for folder in _folders(home)
        if not folder.name.startswith(".") and _is_locked(folder) and (facts := _read(folder / _SERVER))
    ]
    return sorted(servers, key=lambda server: float(server.facts.get("started_at", 0)))


def find_dead(home: Home) -> list[str]:
    """The folders that dead servers left, by name. Creates and removes nothing."""
    return sorted(
        folder.name
        for folder in _folders(home)
        if not folder.name.startswith(".") and (folder / _LOCK).exists() and not _is_locked(folder)
    )


def sweep(home: Home) -> list[dict[str, Any]]:
    """Remove what dead servers left. Returns the last facts of each that did not stop in order."""
    left = []
    for folder in _folders(home):
        if folder.name.startswith(".") and _is_being_made(folder):
            continue
        with _exclusive(folder) as is_ours:
            if is_ours:
                facts = _read(folder / _SERVER)
                shutil.rmtree(folder, ignore_errors=True)
                left += [facts] if facts else []
    return left


def _is_being_made(hidden: Path) -> bool:
    try:
        return time.time() - hidden.stat().st_mtime < _BEING_MADE_S
    except FileNotFoundError:
        return True  # and now it is made: it has its name


def _folders(home: Home) -> list[Path]:
    try:
        return [folder for folder in home.run.iterdir() if folder.is_dir()]
    except OSError:
        return []


def _is_locked(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def _exclusive(folder: Path) -> Iterator[bool]:
    """Whether the folder's lock could be had: then its server is dead."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _write(path: Path, entry: dict[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(entry))  # json.dump encodes in Python, which takes twenty times as long
    draft.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        entry = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return entry if isinstance(entry, dict) else None
