"""All models of an MLflow registry at once: by one list, read page by page, however many there are.

What is not listed is gone only if the registry says so when it is asked for that model by name: a list that is empty, that
shifted while it was read or that a server cut short unloads nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from podium.domain.references import AliasRef, ModelRef, StageRef, VersionRef
from podium.domain.rollouts.clocks import Offset, corrected
from podium.domain.rollouts.records import read_notices
from podium.domain.rollouts.schedule import RolloutNotices
from podium.errors import Misconfigured, NotFound, PodiumError, RegistryError
from podium.registry.census import CensusEntry, NamedRef, reference_maker
from podium.registry.embedded import Resolved
from podium.registry.mlflow.chase import Fetcher
from podium.registry.mlflow.contract import ListedModel, MlflowVersion
from podium.registry.mlflow.look import found_version
from podium.registry.mlflow.observe import MlflowObserver
from podium.registry.observe_rollouts import Tidings, followed_by, tidings_of, write_mark
from podium.registry.resolve import Places
from podium.registry.rollout_edits import Note
from podium.registry.rollout_sides import Side
from podium.registry.rollouts import rollout_tags
from podium.settings.home import Home
from podium.settings.mlflow import MlflowSettings

_TIMEOUT_S = 5.0
_WRITE_S = 10.0
_MOST_QUESTIONS = 20
_MOST_FETCHES = 4
_LOOK_S = 0.2


class _LaterError(RegistryError):
    """It is not known yet, and will be asked for, or fetched, with one of the next looks."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A version's key: of a model that was deleted and made again, the same number is another version."""

    name: str
    created_ms: int
    number: int


class MlflowCensus:
    """Says again and again which versions MLflow's registry has behind a stage or an alias, for all models.

    A look is one request for each few hundred models, and at most 20 more: for versions that an alias or a rollout newly
    names, and for models that are listed no more. What is over waits for the next look and stays what it was. A version
    is told once its files are here. For one thread at a time, but for `offset` and `note`.

    Args:
        home: PODIUM_HOME.
        which: `production`, `staging`, `latest`, `@ALIAS`.
        settings: MLflow's.
        side: Where rollouts are kept; None keeps them in the registry.

    Attributes:
        offset: How far the registry's clock is from `clock.ticks`; None before the first reading.

    Raises:
        Misconfigured: MLflow's variables name no store.
    """

    def __init__(self, home: Home, which: str, settings: MlflowSettings, side: Side | None = None) -> None:
        self.reference = reference_maker(which)
        self.offset: Offset | None = None
        self._home = home
        self._places = Places(home, settings)
        self._side = side
        asking = self._places.stores(min(_TIMEOUT_S, settings.timeout_s), 0)
        fetching = self._places.stores(settings.timeout_s, settings.retries)
        if asking is None or fetching is None:
            raise Misconfigured(f"MLflow's registry is to be served, and none is named: {settings.why}")
        self._registry = asking.registry
        remotes = self._places.remotes()
        self._observer = MlflowObserver(asking, fetching, remotes, Fetcher(fetching, remotes, settings.folder))
        self._versions: dict[_Known, MlflowVersion] = {}
        self._found: Mapping[str, CensusEntry] = {}
        self._questions = 0
        self._is_behind = False

    def gather(self, limit_s: float) -> Mapping[str, CensusEntry]:
        """As `take`, once the files are here: what cannot be fetched, or not in time, comes later.

        Raises:
            RegistryError: It does not answer.
        """
        ends = time.monotonic() + limit_s
        found = self.take()
        # What was fetched since the look began is in the next one, though nothing is under way any more.
        while (self._is_behind or self._observer.fetching) and time.monotonic() < ends:
            time.sleep(_LOOK_S)
            found = self.take()
        return found

    def take(self) -> Mapping[str, CensusEntry]:
        """By registered name. The same value as before while nothing changed.

        Raises:
            RegistryError: It does not answer, or lists nothing where there were models.
        """
        self._questions, self._is_behind = 0, False
        # Before the versions, as `observe_rollouts` says.
        notices_of, problem = self._read_side()
        listed, reading = self._registry.listed()
        models = {model.name: model for model in listed}
        if not models and self._found:
            raise RegistryError(
                f"{self._registry.place} lists no model at all, and had {len(self._found)}: what serves keeps serving. "
                "podium unload NAME ends one."
            )
        found = {name: self._of(model, notices_of, problem) for name, model in models.items()}
        missing = [name for name in self._found if name not in models]
        found |= {name: self._found[name] for name in missing if not self._is_deleted(name)}
        if self._side is None:
            self.offset = corrected(self.offset, reading)
        if found != self._found:
            self._found = found
        self._forget(models)
        return self._found

    def note(self, reference: StageRef | AliasRef, asked: Note, followed: str | None) -> None:
        """As `registry.observe.RegistryObserver.note`; from any thread."""
        stores = self._places.stores(_WRITE_S, 1)
        write_mark(reference, asked, followed, self._home, self._side, stores.registry if stores else None)

    def _of(self, model: ListedModel, notices_of: Mapping[str, RolloutNotices] | None, problem: str | None) -> CensusEntry:
        reference, before = self.reference(model.name), self._found.get(model.name)
        tidings = self._tidings(model, notices_of, problem)
        try:
            version = self._version(model, reference)
            return CensusEntry(None if version is None else self._resolved(reference, version), tidings)
        except _LaterError:
            return CensusEntry(before.resolved if before is not None else None, tidings)
        except PodiumError as error:
            if tidings is not None:
                tidings = Tidings(tidings.notices, tidings.follows, tidings.others, f"{model.name}: {error.message}")
            return CensusEntry(before.resolved if before is not None else None, tidings)

    def _version(self, model: ListedModel, reference: NamedRef) -> MlflowVersion | None:
        """The version that the model's stage or alias names, by what was listed wherever that says it."""
        match reference:
            case StageRef(_, stage):
                return max((each for each in model.latest if each.stage is stage), key=_number, default=None)
            case AliasRef(_, alias):
                number = model.aliases.get(alias)
                return None if number is None else self._numbered(model, number)
            case _:
                return max(model.latest, key=_number, default=None)

    def _numbered(self, model: ListedModel, number: int) -> MlflowVersion:
        """A version by its number; asked for once.

        Raises:
            NotFound: There is none.
            RegistryError: The registry cannot say now, or was asked enough.
        """
        listed = next((each for each in model.latest if each.number == number), None)
        if listed is not None:
            return listed
        key = _Known(model.name, model.created_ms, number)
        if key not in self._versions:
            self._ask_one_more()
            version = self._registry.version(model.name, number)
            if version is None:
                raise NotFound(f"{model.name!r} has no version {number}.")
            self._versions[key] = version
        return self._versions[key]

    def _resolved(self, reference: ModelRef, version: MlflowVersion) -> Resolved:
        found = found_version(self._registry, version)
        if not self._observer.is_over(found):
            self._is_behind = True
        if not self._observer.knows(found) and self._observer.fetching >= _MOST_FETCHES:
            raise _LaterError(f"{reference} is fetched when others are.")
        return self._observer.answer(reference, found, patience_s=0.0)

    def _is_deleted(self, name: str) -> bool:
        """Whether the registry says that there is no model of this name; what it cannot say now is no."""
        try:
            self._ask_one_more()
            return self._registry.tags(name)[0] is None
        except RegistryError:
            return False

    def _ask_one_more(self) -> None:
        if self._questions >= _MOST_QUESTIONS:
            raise _LaterError("This look has asked enough.")
        self._questions += 1

    def _tidings(
        self, model: ListedModel, notices_of: Mapping[str, RolloutNotices] | None, problem: str | None
    ) -> Tidings | None:
        follows = followed_by(self.reference(model.name))
        if follows is None:
            return None
        notices = (
            read_notices(rollout_tags(model.tags)) if notices_of is None else notices_of.get(model.name, RolloutNotices())
        )
        before = self._found.get(model.name)

        def resolve(version: VersionRef) -> Resolved:
            return self._resolved(version, self._numbered(model, version.version))

        return tidings_of(model.name, notices, follows, resolve, None if before is None else before.tidings, problem)

    def _read_side(self) -> tuple[Mapping[str, RolloutNotices] | None, str | None]:
        """What is said beside, where something is; of what cannot be read, what it said before."""
        if self._side is None:
            return None, None
        try:
            notices_of, reading = self._side.read_all()
        except RegistryError as error:
            before = {name: each.tidings.notices for name, each in self._found.items() if each.tidings is not None}
            return before, error.message
        # Rollouts go by the clock of where they are kept.
        self.offset = corrected(self.offset, reading)
        return notices_of, None

    def _forget(self, models: Mapping[str, ListedModel]) -> None:
        """Keep no version of what was deleted, or made again."""
        made = {name: model.created_ms for name, model in models.items()}
        self._versions = {key: each for key, each in self._versions.items() if made.get(key.name) == key.created_ms}


def _number(version: MlflowVersion) -> int:
    return version.number
