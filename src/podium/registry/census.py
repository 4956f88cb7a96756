"""Every registered model at once: which version of each is to be served. One reading for all, however many there are."""

import time
from collections.abc import Callable, Mapping

from podium.domain.references import AliasRef, LatestRef, StageRef, VersionRef, check_alias
from podium.domain.stages import Stage
from podium.errors import NotFound, RegistryError
from podium.registry.contract import Reader
from podium.registry.embedded import Resolved, resolve_in
from podium.registry.snapshot import FileState, file_state, read_snapshot
from podium.settings.home import Home

_TIMEOUT_S = 2.0
_NamedRef = VersionRef | StageRef | AliasRef | LatestRef


def reference_maker(which: str) -> Callable[[str], _NamedRef]:
    """What `production`, `@champion` or `latest` makes of a registered model's name.

    Raises:
        InvalidInput: It is no stage, no alias and not `latest`.
    """
    if which.startswith("@"):
        alias = check_alias(which[1:])
        return lambda name: AliasRef(name, alias)
    if which.lower() == "latest":
        return LatestRef
    stage = Stage.parse(which)
    return lambda name: StageRef(name, stage)


class RegistryCensus:
    """Says again and again which versions podium's own registry has behind a stage or an alias, for all models.

    Asking costs a few `stat` calls while nothing changed. The registry that was seen first is the only one that counts. For
    one thread at a time.

    Args:
        home: PODIUM_HOME.
        which: `production`, `staging`, `latest`, `@ALIAS`.
    """

    def __init__(self, home: Home, which: str) -> None:
        self.reference = reference_maker(which)
        self._home = home
        self._registry_id: str | None = None
        self._state: FileState | None = None
        self._found: Mapping[str, Resolved | None] = {}

    def take(self) -> Mapping[str, Resolved | None]:
        """By registered name: the version, or None where the model has none behind this stage or alias.

        A model whose files are gone has what it had before: that is no reason to hear nothing of the others.

        Raises:
            RegistryError: The registry cannot be read.
        """
        path = self._home.registry
        state = file_state(path)
        if state == self._state:
            return self._found
        snapshot = read_snapshot(path, self._read, _TIMEOUT_S, self._registry_id)
        self._registry_id, self._found = snapshot.registry_id, snapshot.value
        # The state from before the reading, and only when a later change must show in it.
        self._state = state if state.is_settled(time.time()) else None
        return self._found

    def _read(self, reader: Reader) -> Mapping[str, Resolved | None]:
        return {model.name: self._of(reader, model.name) for model in reader.models()}

    def _of(self, reader: Reader, name: str) -> Resolved | None:
        try:
            return resolve_in(reader, self.reference(name), self._home)
        except NotFound:
            return None
        except RegistryError:
            return self._found.get(name)
