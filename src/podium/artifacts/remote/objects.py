"""What S3, Google's and Azure's stores share: keys instead of folders, and a read that goes on after a break."""

import contextlib
import random
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.names import checked_list
from podium.artifacts.remote.wire import Unreachable
from podium.domain.masking import masked
from podium.errors import RegistryError

CHUNK = 1 << 20
_LONGEST_PAUSE_S = 30.0
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """How a store is waited for.

    Args:
        timeout_s: For the head of an answer and for each pause in its body.
        retries: After the first try, of what may succeed the next time.
        backoff_s: Before the second try; doubled before each that follows.
    """

    timeout_s: float = 120.0
    retries: int = 2
    backoff_s: float = 0.5

    @property
    def connect_s(self) -> float:
        """For a connection: a person who mistyped a host should not wait for as long as a slow disk may take."""
        return min(self.timeout_s, 10.0)

    def pause_s(self, failures: int) -> float:
        """Before the next try, after so many that failed."""
        return float(min(self.backoff_s * 2 ** (failures - 1), _LONGEST_PAUSE_S) * (0.75 + 0.5 * random.random()))


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a model lies in a store: a bucket (a container, for Azure) and what its keys begin with.

    Args:
        host: The bucket, and for Azure `container@account.host`.
        prefix: Empty, or ending with `/`.
        place: What people call it.
    """

    host: str
    prefix: str
    place: str

    @classmethod
    def of(cls, uri: str) -> "Bucket":
        """Read `scheme://host/key`. Nothing in a key is encoded: `%`, `#` and `?` stand for themselves, as for MLflow."""
        host, _, key = uri.partition("://")[2].partition("/")
        key = key.strip("/")
        return cls(host, f"{key}/" if key else "", masked(uri))

    def files(self, objects: Iterable[RemoteFile]) -> list[RemoteFile]:
        """A listing's objects, their paths being keys, as files below the prefix.

        Raises:
            InvalidModel: A key leads elsewhere or comes twice, or there are too many.
        """
        below = ((file.path.removeprefix(self.prefix), file) for file in objects)
        # "prefix/" and "prefix/folder/" are what consoles make so that an empty folder can be shown.
        kept = ((path, file) for path, file in below if path and not (path.endswith("/") and not file.size_bytes))
        return checked_list((RemoteFile(path, file.size_bytes, file.tag, file.md5) for path, file in kept), self.place)


class Switch:
    """Turned off once, from any thread; what is under way ends at its next chunk or try."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def turn_off(self) -> None:
        self._over.set()

    def check(self, place: str) -> None:
        """Raises RegistryError once it is off."""
        if self._over.is_set():
            raise RegistryError(f"{place} was not fetched: podium is stopping.")

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until it is turned off."""
        self._over.wait(seconds)


class ObjectFolder:
    """A `RemoteFolder` by its keys in a bucket; each store adds how it lists them and how it sends one from an offset on.

    Args:
        bucket: Where it lies.
        patience: How long the store is waited for.
        page: Keys of one answer.
    """

    def __init__(self, bucket: Bucket, patience: Patience, page: int) -> None:
        self.place = bucket.place
        self._bucket = bucket
        self._patience = patience
        self._page = page
        self._switch = Switch()

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        chunks = steady(lambda offset: self._chunks(file, offset), start, self._patience, self._switch, self.place)
        with contextlib.closing(chunks):
            yield chunks

    def abort(self) -> None:
        self._switch.turn_off()

    def _chunks(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Send a file from an offset on; raises Unreachable where another try may succeed."""
        raise NotImplementedError


def steady(
    open_at: Callable[[int], Iterator[bytes]], start: int, patience: Patience, switch: Switch, place: str
) -> Generator[bytes, None, None]:
    """Bytes from an offset on; a read that breaks off is taken up where it broke.

    Args:
        open_at: Begins to read at an offset; it, and what it gives, raise Unreachable where another try may succeed.
        start: The first offset.
        patience: How often a read may fail without a byte having come in between.
        switch: Ends it.
        place: For people.
    """
    failures = 0
    while True:
        try:
            for chunk in open_at(start):
                switch.check(place)
                start += len(chunk)
                failures = 0
                yield chunk
            return
        except Unreachable:
            failures += 1
            if failures > patience.retries:
                raise
            switch.wait(patience.pause_s(failures))
            switch.check(place)


def again(ask: Callable[[], Answer], patience: Patience, switch: Switch, place: str) -> Answer:
    """An answer that is asked for again while Unreachable is raised and there are tries left."""
    failures = 0
    while True:
        switch.check(place)
        try:
            return ask()
        except Unreachable:
            failures += 1
            if failures > patience.retries:
                raise
            switch.wait(patience.pause_s(failures))


def pieces(content: bytes) -> Iterator[bytes]:
    """Content that came at once, in parts between which it can be ended."""
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]
