"""The podium home folder: everything that podium keeps on this machine, private to its owner (0700)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """The folders under `PODIUM_HOME`.

    registry.db     the embedded registry
    artifacts/      model folders by content digest
    run/            one folder for each running server: what `podium status` reads
    logs/           one folder for each endpoint: what `podium logs` reads
    """

    root: Path

    @property
    def registry(self) -> Path:
        return self.root / "registry.db"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def create(self) -> "Home":
        """Make the folders that are missing, each 0700. Observers do not call this: they never create anything."""
        for folder in (self.root, self.artifacts, self.run, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self


def find_home(environ: Mapping[str, str] = os.environ) -> Home:
    """`PODIUM_HOME`, or `~/.podium`. Nothing is created."""
    chosen = environ.get("PODIUM_HOME")
    return Home(Path(chosen).expanduser().absolute() if chosen else Path.home() / ".podium")
