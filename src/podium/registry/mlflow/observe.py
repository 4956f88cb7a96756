"""Watching MLflow's stores from a server: short questions, downloads beside them, and never fooled."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from podium.artifacts.remote.fetch import Remotes
from podium.domain.references import ModelRef
from podium.errors import PodiumError, RegistryError
from podium.registry.embedded import Resolved
from podium.registry.mlflow.answer import resolved
from podium.registry.mlflow.chase import Fetcher
from podium.registry.mlflow.contract import ModelRegistry
from podium.registry.mlflow.look import Found, look
from podium.registry.mlflow.stores import Stores

_PATIENCE_S = 0.3
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_MOST_KNOWN = 20_000


@dataclass(slots=True)
class _Fetch:
    """A download in a thread of its own, so that what is wanted is heard meanwhile."""

    done: threading.Event = field(default_factory=threading.Event)
    folder: Path | None = None
    error: PodiumError | None = None
    failures: int = 0
    again_at: float = 0.0


class MlflowObserver:
    """Says again and again what references stand for in MLflow's stores.

    A version is answered once its files are here; until then, the one before it. What cannot be fetched is a source that
    is down: it is tried again, ever less often.

    Args:
        stores: With short timeouts and no retries: asking again is the caller's business.
        fetching: The same stores as a download asks them, with timeouts of its own.
        remotes: Where files come from.
        fetcher: Fetches.
    """

    def __init__(self, stores: Stores, fetching: Stores, remotes: Remotes, fetcher: Fetcher) -> None:
        self._stores = stores
        self._fetching = fetching
        self._remotes = remotes
        self._fetcher = fetcher
        self._fetches: dict[str, _Fetch] = {}
        self._answers: dict[ModelRef, Resolved] = {}
        self._numbers: dict[tuple[str, int], str] = {}

    @property
    def registry(self) -> ModelRegistry:
        """Where models are registered; asked by the thread that resolves."""
        return self._stores.registry

    def resolve(self, reference: ModelRef) -> Resolved:
        """What a reference stands for now; raises as `look`, and RegistryError while there is nothing to answer with."""
        return self.answer(reference, look(self._stores, reference))

    def answer(self, reference: ModelRef, found: Found, patience_s: float = _PATIENCE_S) -> Resolved:
        """What was found for a reference, once its files are here, and until then the one before it.

        Args:
            reference: Whose answer it is.
            found: What it stands for now.
            patience_s: For how long a download that is under way is waited for.

        Raises:
            RegistryError: There is nothing to answer with yet. Whatever else keeps files from being fetched.
        """
        folder = self._folder_of(found, patience_s)
        if folder is None:
            if reference not in self._answers:
                raise RegistryError(f"{reference} is being fetched.")
            return self._answers[reference]
        answer = resolved(reference, found, folder, self._label_of(found))
        self._answers[reference] = answer
        return answer

    def knows(self, found: Found) -> bool:
        """Whether its files were sent for before."""
        return found.identity in self._fetches

    def is_over(self, found: Found) -> bool:
        """Whether they came, or could not be had."""
        return self.knows(found) and self._fetches[found.identity].done.is_set()

    @property
    def fetching(self) -> int:
        """How many downloads are under way."""
        return sum(not fetch.done.is_set() for fetch in self._fetches.values())

    def close(self) -> None:
        """End what is under way, from any thread. A download goes on from there next time."""
        self._stores.abort()
        self._fetching.abort()
        self._remotes.abort()

    def _folder_of(self, found: Found, patience_s: float) -> Path | None:
        """The files, if they are here; else they are sent for.

        Raises:
            PodiumError: They could not be fetched.
        """
        fetch = self._fetches.get(found.identity)
        if fetch is None or (fetch.folder is not None and not fetch.folder.is_dir()):
            fetch = self._start(found, _Fetch())
        elif fetch.error is not None and time.monotonic() >= fetch.again_at:
            fetch = self._start(found, _Fetch(failures=fetch.failures))
        fetch.done.wait(patience_s)
        if fetch.error is not None:
            raise fetch.error
        return fetch.folder

    def _start(self, found: Found, fetch: _Fetch) -> _Fetch:
        if len(self._fetches) >= _MOST_KNOWN:
            self._fetches.pop(next(iter(self._fetches)))
        self._fetches[found.identity] = fetch
        # A daemon: a server that ends does not wait for a download, which is kept and continued.
        threading.Thread(target=self._run, args=(found, fetch), name="podium-fetch", daemon=True).start()
        return fetch

    def _run(self, found: Found, fetch: _Fetch) -> None:
        try:
            fetch.folder = self._fetcher.fetch(found)
        except PodiumError as error:
            fetch.error = error
        except Exception as error:  # noqa: BLE001
            fetch.error = RegistryError(f"{found.place}: the files cannot be fetched: {type(error).__name__}.")
        if fetch.error is not None:
            fetch.failures += 1
            fetch.again_at = time.monotonic() + min(_FIRST_PAUSE_S * 2 ** (fetch.failures - 1), _LONGEST_PAUSE_S)
        fetch.done.set()

    def _label_of(self, found: Found) -> str | None:
        """The version's number; another model that comes under a number that was seen before gets a label of its own."""
        if found.version is None:
            return None
        number = found.version.number
        known = self._numbers.setdefault((found.version.name, number), found.identity)
        return str(number) if known == found.identity else f"{number}-{found.identity[:8]}"
