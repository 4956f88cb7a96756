"""The podium home folder: everything that podium keeps on this machine, private to its owner (0700)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podium.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Home:
    """The folders under `PODIUM_HOME`.

    registry.db     the embedded registry
    monitor.db      what was counted and found of the models that are served
    keys.json       API keys, as digests; made when one is
    artifacts/      model folders by content digest
    run/            one folder for each running server: what `podium status` reads
    logs/           one folder for each endpoint: what `podium logs` reads
    cache/          model folders that were fetched from elsewhere; made when one is
    environments/   Pythons that were built for models, by what they hold
    derived/        conversions of models with their proofs, by the model's digest
    profiles/       of models that were logged without one: what their first rows in production looked like
    payloads/       requests and answers that a server was told to keep, by endpoint and day
    payloads.key    what hashes in them are keyed with
    """

    root: Path

    @property
    def registry(self) -> Path:
        return self.root / "registry.db"

    @property
    def monitor(self) -> Path:
        return self.root / "monitor.db"

    @property
    def keys(self) -> Path:
        return self.root / "keys.json"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def derived(self) -> Path:
        return self.root / "derived"

    @property
    def profiles(self) -> Path:
        return self.root / "profiles"

    @property
    def payloads(self) -> Path:
        return self.root / "payloads"

    @property
    def payload_key(self) -> Path:
        return self.root / "payloads.key"

    def create(self) -> "Home":
        """Make the folders that are missing, each 0700. Observers do not call this: they never create anything.

        Raises:
            Misconfigured: The home cannot be made, or is not a folder.
        """
        for folder in (self.root, self.artifacts, self.run, self.logs):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except FileExistsError as error:
                raise Misconfigured(f"{folder} is not a folder. Set PODIUM_HOME to a folder of yours.") from error
            except OSError as error:
                raise Misconfigured(
                    f"{folder} cannot be made: {error.strerror}. Set PODIUM_HOME to a folder of yours."
                ) from error
        return self


def find_home(environ: Mapping[str, str] = os.environ) -> Home:
    """`PODIUM_HOME`, or `~/.podium`. Nothing is created.

    Raises:
        Misconfigured: Nobody knows where `~` is, as for a user id without a name in a container.
    """
    chosen = environ.get("PODIUM_HOME") or "~/.podium"
    try:
        return Home(Path(chosen).expanduser().absolute())
    except RuntimeError as error:
        raise Misconfigured(
            f"{chosen}: this user has no home folder. Set PODIUM_HOME to a folder where podium may keep its files."
        ) from error
