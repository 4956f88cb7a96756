"""Watching what a server serves, wherever it is registered: podium's own registry first, then MLflow's stores."""

import threading

from podium.domain.references import AliasRef, FolderRef, ModelRef, RemoteRef, RunRef, StageRef
from podium.domain.rollouts.clocks import Offset
from podium.errors import NotFound, RegistryError
from podium.registry.embedded import Resolved
from podium.registry.mlflow.chase import Fetcher
from podium.registry.mlflow.contract import ModelRegistry
from podium.registry.mlflow.observe import MlflowObserver
from podium.registry.observe_embedded import EmbeddedObserver
from podium.registry.observe_rollouts import RolloutWatch, Tidings, followed_by, write_mark
from podium.registry.resolve import Places, not_found, resolve
from podium.registry.rollout_edits import Note
from podium.registry.rollout_sides import Side
from podium.settings.home import Home
from podium.settings.mlflow import MlflowSettings, read_mlflow_settings

_TIMEOUT_S = 5.0
_WRITE_S = 10.0


class RegistryObserver:
    """Says again and again what references stand for, of any kind. Remembers which place answered first.

    A reference that one place answered is asked for there and nowhere else from then on: a registry that loses a model,
    or is lost, does not make another model of the same name live. For one thread at a time, but for `close`.

    Args:
        home: PODIUM_HOME.
        settings: MLflow's; None reads its variables when they are first needed.
        side: Where rollouts are kept; None keeps them in the registry that answers.
    """

    def __init__(self, home: Home, settings: MlflowSettings | None = None, side: Side | None = None) -> None:
        self._side = side
        self._watch = RolloutWatch(home, side)
        self._home = home
        self._settings = settings
        self._here = EmbeddedObserver(home)
        self._there: MlflowObserver | None = None
        self._place: dict[ModelRef, EmbeddedObserver | MlflowObserver] = {}
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def is_remote(self) -> bool:
        """Whether asking is a burden on somebody else's server."""
        return any(place is self._there for place in self._place.values())

    def resolve(self, reference: ModelRef) -> Resolved:
        """What a reference stands for now. Takes some seconds at most, but for hashing a folder's new content.

        Raises:
            NotFound: The registries were read, and nothing is there.
            RegistryError: One cannot be read, or files of it cannot be fetched.
            InvalidModel: What is there is no model.
        """
        if isinstance(reference, FolderRef):
            return self._here.resolve(reference)
        if isinstance(reference, RemoteRef):
            return resolve(reference, self._home, self._mlflow_settings())
        if reference not in self._place:
            return self._first(reference)
        return self._place[reference].resolve(reference)

    def tidings(self, reference: ModelRef) -> Tidings | None:
        """What is said of how a reference's traffic moves; None of one that stands still. Asked before `resolve`.

        Raises: As `resolve`.
        """
        if followed_by(reference) is None:
            return None
        if reference not in self._place:
            self._first(reference)
        place = self._place[reference]

        def resolve_there(other: ModelRef) -> Resolved:
            self._place.setdefault(other, place)
            return self.resolve(other)

        return self._watch.tidings(reference, self._registry_of(reference), resolve_there)

    @property
    def offset(self) -> Offset | None:
        """How far the clock by which rollouts go is from `clock.ticks`; None before it was heard. From any thread."""
        return self._watch.offset

    def note(self, reference: StageRef | AliasRef, asked: Note, followed: str | None) -> None:
        """Write a mark on a rollout of what is followed; one that is there already stays. From any thread; may wait.

        Args:
            reference: What the endpoint serves; it was resolved before.
            asked: The mark; who asks is added.
            followed: The version that it stands for, as it was seen last.

        Raises:
            PodiumError: It cannot be written.
        """
        registry = None
        if self._registry_of(reference) is not None:
            stores = Places(self._home, self._mlflow_settings()).stores(_WRITE_S, 1)
            registry = stores.registry if stores is not None else None
        write_mark(reference, asked, followed, self._home, self._side, registry)

    def close(self) -> None:
        """Forget what was read and end what is under way; from any thread."""
        with self._lock:
            self._is_closed = True
            there = self._there
        self._here.close()
        if there is not None:
            there.close()

    def _first(self, reference: ModelRef) -> Resolved:
        missing: NotFound | None = None
        there = self._mlflow()
        if not isinstance(reference, RunRef) and (there is None or self._home.registry.exists()):
            try:
                answer = self._here.resolve(reference)
            except NotFound as error:
                missing = error
            else:
                self._place[reference] = self._here
                return answer
        if there is None:
            raise not_found(reference, missing, None, self._mlflow_settings())
        try:
            answer = there.resolve(reference)
        except NotFound as error:
            raise not_found(reference, missing, error, self._mlflow_settings()) from error
        self._place[reference] = there
        return answer

    def _registry_of(self, reference: ModelRef) -> ModelRegistry | None:
        place = self._place.get(reference)
        return place.registry if isinstance(place, MlflowObserver) else None

    def _mlflow_settings(self) -> MlflowSettings:
        if self._settings is None:
            self._settings = read_mlflow_settings()
        return self._settings

    def _mlflow(self) -> MlflowObserver | None:
        if self._there is None:
            places = Places(self._home, self._mlflow_settings())
            asking = places.stores(min(_TIMEOUT_S, places.settings.timeout_s), 0)
            fetching = places.stores(places.settings.timeout_s, places.settings.retries)
            if asking is None or fetching is None:
                return None
            remotes = places.remotes()
            fetcher = Fetcher(fetching, remotes, places.settings.folder)
            with self._lock:
                if self._is_closed:
                    raise RegistryError("podium is stopping.")
                self._there = MlflowObserver(asking, fetching, remotes, fetcher)
        return self._there
