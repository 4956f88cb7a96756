"""The cache of folders that other machines keep: its laws, on a folder in this process's memory."""

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.artifacts.remote.cache import Cache, FetchLimits
from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.names import checked_list
from podium.errors import DigestMismatch, InvalidModel, NotFound, RegistryBusy, RegistryError

KEY, OTHER = "a" * 64, "b" * 64
MODEL = {"MLmodel": b"flavors: {}\n", "data/weights.bin": bytes(range(256)) * 40}
HOUR_S = 3600.0


class FolderInMemory:
    """A remote folder; notes what was read from where, and loses the connection after `lost_after` bytes in all."""

    place = "memory://model"

    def __init__(self, content: dict[str, bytes], tag: str = "v1", lost_after: int | None = None) -> None:
        self.content = content
        self.tag = tag
        self.lost_after = lost_after
        self.reads: list[tuple[str, int]] = []

    def files(self) -> list[RemoteFile]:
        return [RemoteFile(path, len(data), self.tag) for path, data in sorted(self.content.items())]

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        self.reads.append((file.path, start))
        yield self._chunks(self.content[file.path][start:])

    def _chunks(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), 1000):
            if self.lost_after is not None:
                if self.lost_after < 1000:
                    raise RegistryError("the connection was lost")
                self.lost_after -= 1000
            yield data[at : at + 1000]

    def abort(self) -> None:
        """Nothing is ever under way elsewhere."""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_fetched_is_used_again_without_a_byte_from_the_server(cache):
    """Only the list is asked for."""
    folder = FolderInMemory(MODEL)
    first = cache.fetch(KEY, folder)
    read = len(folder.reads)

    again = cache.fetch(KEY, folder)

    assert content_of(first) == MODEL
    assert (again, len(folder.reads)) == (first, read)


def test_what_changed_here_or_there_is_fetched_anew(cache):
    """A file that somebody wrote to under the cache; files that were overwritten on the server."""
    place = cache.fetch(KEY, FolderInMemory(MODEL))
    (place / "MLmodel").write_bytes(b"flavors: {evil}\n")

    assert content_of(cache.fetch(KEY, FolderInMemory(MODEL))) == MODEL

    newer = {**MODEL, "MLmodel": b"flavors: {x}\n"}
    assert content_of(cache.fetch(KEY, FolderInMemory(newer, "v2"))) == newer


@pytest.mark.parametrize(("tag", "begins"), [("v1", 5000), ("", 0)], ids=["same tag", "no tag"])
def test_a_download_that_broke_off_goes_on_only_where_the_file_is_proven_to_be_the_same(cache, tag, begins):
    """Whole files that came are kept in either case."""
    with pytest.raises(RegistryError, match="lost"):
        cache.fetch(KEY, FolderInMemory(MODEL, tag, lost_after=6000))
    folder = FolderInMemory(MODEL, tag)

    place = cache.fetch(KEY, folder)

    assert folder.reads == [("data/weights.bin", begins)]
    assert content_of(place) == MODEL


def test_bytes_that_are_not_those_announced_are_never_a_model(cache, tmp_path):
    """Too many, too few, another checksum; nothing of it stands where a model would."""

    class Lying(FolderInMemory):
        def files(self) -> list[RemoteFile]:
            return [RemoteFile("MLmodel", self.size, md5=self.md5)]

    lying = Lying({"MLmodel": b"abc"})
    for lying.size, lying.md5 in ((2, None), (4, None), (3, hashlib.md5(b"abd", usedforsecurity=False).hexdigest())):
        with pytest.raises(DigestMismatch):
            cache.fetch(KEY, lying)

    assert not (tmp_path / "cache" / KEY / "model").exists()


def test_a_folder_without_an_mlmodel_file_is_no_model(cache):
    with pytest.raises(NotFound, match="no MLmodel among its files"):
        cache.fetch(KEY, FolderInMemory({"weights.bin": b"1"}))


def test_room_is_made_of_what_was_used_longest_ago_but_not_within_the_last_hour(tmp_path):
    """What is being fetched by a living process stays as well."""
    now = [1e9]
    cache = Cache(tmp_path, FetchLimits(cache_bytes=len(MODEL["data/weights.bin"]) + 5000), lambda: now[0])
    place = cache.fetch(OTHER, FolderInMemory(MODEL))
    os.utime(place.parent, (now[0], now[0]))

    cache.fetch(KEY, FolderInMemory(MODEL))
    assert place.exists()

    now[0] += HOUR_S + 1
    os.utime(tmp_path / KEY, (now[0], now[0]))
    held = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    cache.fetch("c" * 64, FolderInMemory(MODEL))
    assert place.exists()

    os.close(held)
    cache.fetch("d" * 64, FolderInMemory(MODEL))
    assert not place.exists()


def test_what_another_process_removes_while_room_is_made_is_no_fault(cache, tmp_path):
    """It was listed and is gone; here by a link to nothing."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / OTHER).symlink_to(tmp_path / "gone")

    assert content_of(cache.fetch(KEY, FolderInMemory(MODEL))) == MODEL


def test_a_home_that_the_cache_makes_is_its_owners_alone(tmp_path):
    """`podium serve -m models:/…` of an MLflow server may be the first that a home folder is needed for."""
    home = tmp_path / "home"

    Cache(home / "cache").fetch(KEY, FolderInMemory(MODEL))

    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (home, home / "cache")}


def test_a_key_that_another_process_fetches_is_waited_for_only_so_long(tmp_path):
    (tmp_path / KEY).mkdir()
    held = os.open(tmp_path / KEY, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)

    with pytest.raises(RegistryBusy):
        Cache(tmp_path, FetchLimits(limit_s=0.01)).fetch(KEY, FolderInMemory(MODEL))
    os.close(held)


@pytest.mark.parametrize(
    "paths",
    [["/etc/passwd"], ["../MLmodel"], ["a/../../b"], ["a//b"], ["a\\b"], ["a\nb"], ["x" * 300], ["a/" * 40 + "b"],
     ["a", "a"], ["a", "a/b"], ["\ud800"]],
    ids=repr,
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(paths):
    with pytest.raises(InvalidModel):
        checked_list([RemoteFile(path, 1) for path in paths], "memory://model")
