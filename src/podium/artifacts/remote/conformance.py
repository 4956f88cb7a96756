"""What any kind of remote folder must pass, ours and a stranger's alike.

    class TestMyStore(RemoteFolderLaws):
        @pytest.fixture
        def shelf(self): return MyShelf(...)

A shelf is the other side: it puts files where a folder of this kind finds them. The methods are collected by pytest in the
subclass; `tmp_path` is pytest's.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.contract import RemoteFile, RemoteFolder
from podium.errors import InvalidModel, NotFound, PodiumError, RegistryError

_LARGE = bytes(range(256)) * 10_000
_FILES = {
    "MLmodel": b"flavors: {}\n",
    "data/weights.bin": _LARGE,
    "data/deep/er/empty": b"",
    "data/a b+c%20d.txt": b"odd",
    "data/\u00e9\u4e2d.txt": b"beyond ASCII",
}
_KEY = "0" * 64


class Shelf(Protocol):
    """Puts files on the server.

    Attributes:
        hostile: Names with which something on this kind of server may lead elsewhere, as far as the server takes them.
        markers: Names, ending with `/`, of things without content that this kind of server lists beside the files.
        secrets: What no place and no error may hold.
    """

    hostile: tuple[str, ...]
    markers: tuple[str, ...]
    secrets: tuple[str, ...]

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Put files below a folder; a file that is there already is replaced."""

    def remove(self, name: str, path: str) -> None:
        """Take a file away."""

    def open(self, name: str) -> RemoteFolder:
        """The folder as podium sees it, there or not."""


class RemoteFolderLaws:
    """The laws of `artifacts.remote.contract`, on an empty shelf."""

    def test_every_file_is_named_once_with_its_size(self, shelf: Shelf) -> None:
        """Law 1, in any depth and with any name that a file may have."""
        shelf.put("model", _FILES)

        files = shelf.open("model").files()

        assert sorted(_FILES) == sorted(file.path for file in files)
        assert all(file.size_bytes in {None, len(_FILES[file.path])} for file in files)

    def test_every_file_of_many_is_named(self, shelf: Shelf) -> None:
        """Law 1: a store that answers page by page is asked for all of them."""
        many = {f"data/{number:03}": b"%d" % number for number in range(23)}
        shelf.put("model", many)

        assert sorted(many) == [file.path for file in shelf.open("model").files()]

    def test_a_folder_whose_name_begins_alike_is_another_one(self, shelf: Shelf) -> None:
        """Law 1: `model` is not the beginning of `model-2`."""
        shelf.put("model", {"MLmodel": b"1"})
        shelf.put("model-2", {"MLmodel": b"2", "other": b"2"})

        assert [file.path for file in shelf.open("model").files()] == ["MLmodel"]

    def test_a_folder_that_is_not_there_has_no_files(self, shelf: Shelf, tmp_path: Path) -> None:
        """Law 1; the cache says so with NotFound."""
        shelf.put("model", {"MLmodel": b""})

        error = _raised(lambda: Cache(tmp_path).fetch(_KEY, shelf.open("absent")))

        assert isinstance(error, NotFound), error
        assert "absent" in error.message

    def test_markers_of_folders_are_no_files(self, shelf: Shelf) -> None:
        """Law 1: what only shows a folder is not downloaded."""
        shelf.put("model", {"MLmodel": b"1", **dict.fromkeys(shelf.markers, b"")})

        assert [file.path for file in shelf.open("model").files()] == ["MLmodel"]

    def test_bytes_are_read_from_any_offset(self, shelf: Shelf) -> None:
        """Law 2."""
        shelf.put("model", _FILES)
        folder = shelf.open("model")
        files = {file.path: file for file in folder.files()}

        for path, content in _FILES.items():
            assert content == _read(folder, files[path])
        for start in (1, 1_000_000, len(_LARGE) - 1):
            assert _LARGE[start:] == _read(folder, files["data/weights.bin"], start)

    def test_a_file_that_was_replaced_is_not_taken_for_the_one_that_was_listed(self, shelf: Shelf) -> None:
        """Law 3: the tag differs, and nothing of the new file is read under the old one's name."""
        shelf.put("model", {"MLmodel": b"one"})
        folder = shelf.open("model")
        before = folder.files()[0]
        shelf.put("model", {"MLmodel": b"two"})
        after = folder.files()[0]

        if before.tag:
            assert before.tag != after.tag
            assert isinstance(_raised(lambda: _read(folder, before)), RegistryError)
            assert isinstance(_raised(lambda: _read(folder, before, 1)), RegistryError)
        assert _read(folder, after) == b"two"

    def test_a_file_that_is_gone_is_not_found(self, shelf: Shelf) -> None:
        """And the error says which."""
        shelf.put("model", {"MLmodel": b"one", "data/lost": b"two"})
        folder = shelf.open("model")
        lost = next(file for file in folder.files() if file.path == "data/lost")
        shelf.remove("model", "data/lost")

        error = _raised(lambda: _read(folder, lost))

        assert isinstance(error, NotFound), error
        assert "data/lost" in error.message

    def test_names_that_lead_elsewhere_are_refused(self, shelf: Shelf, tmp_path: Path) -> None:
        """Law 4: nothing is written, in the cache or outside."""
        for number, name in enumerate(shelf.hostile):
            shelf.put(f"model-{number}", {"MLmodel": b"flavors: {}\n", name: b"evil"})

            error = _raised(functools.partial(Cache(tmp_path).fetch, _KEY, shelf.open(f"model-{number}")))

            assert isinstance(error, InvalidModel), (name, error)
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def test_neither_place_nor_error_holds_a_secret(self, shelf: Shelf) -> None:
        """Law 5."""
        shelf.put("model", {"MLmodel": b"one"})
        folder = shelf.open("model")
        file = folder.files()[0]
        shelf.remove("model", "MLmodel")
        error = _raised(lambda: _read(folder, file))

        for secret in shelf.secrets:
            for text in (folder.place, str(error), repr(error)):
                assert secret not in text

    def test_what_was_aborted_gives_nothing_more(self, shelf: Shelf) -> None:
        """In the middle of a file, and afterwards."""
        shelf.put("model", _FILES)
        folder = shelf.open("model")
        file = next(file for file in folder.files() if file.path == "data/weights.bin")

        def cut_short() -> None:
            with folder.read(file) as chunks:
                for _ in chunks:
                    folder.abort()

        assert isinstance(_raised(cut_short), RegistryError)
        assert isinstance(_raised(lambda: _read(folder, file)), RegistryError)
        assert isinstance(_raised(folder.files), RegistryError)

    def test_the_cache_holds_what_the_shelf_holds(self, shelf: Shelf, tmp_path: Path) -> None:
        """All the way; a second time from the cache, and anew once something was replaced."""
        shelf.put("model", _FILES)
        cache = Cache(tmp_path)

        first = _content(cache.fetch(_KEY, shelf.open("model")))
        again = _content(cache.fetch(_KEY, shelf.open("model")))
        shelf.put("model", {"data/weights.bin": b"new and shorter"})
        newer = _content(cache.fetch(_KEY, shelf.open("model")))

        assert _FILES == first == again
        assert newer == {**_FILES, "data/weights.bin": b"new and shorter"}


def _read(folder: RemoteFolder, file: RemoteFile, start: int = 0) -> bytes:
    with folder.read(file, start) as chunks:
        return b"".join(chunks)


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _raised(act: Callable[[], object]) -> PodiumError:
    try:
        act()
    except PodiumError as error:
        return error
    raise AssertionError("nothing was raised")
