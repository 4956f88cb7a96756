"""The cache of fetched models: whose eyes may see it."""

import contextlib
import stat
from collections.abc import Iterator

from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.contract import RemoteFile

_MODEL = b"flavors: {}\n"


class OneFile:
    """A model's folder that holds nothing but MLmodel."""

    place = "memory"

    def files(self) -> list[RemoteFile]:
        return [RemoteFile("MLmodel", len(_MODEL))]

    @contextlib.contextmanager
    def read(self, file: RemoteFile, start: int = 0) -> Iterator[Iterator[bytes]]:
        yield iter([_MODEL[start:]])

    def abort(self) -> None:
        raise AssertionError("nobody asked for that")


def test_a_home_that_the_cache_makes_is_its_owners_alone(tmp_path):
    """`podium serve -m models:/…` of an MLflow server may be the first that a home folder is needed for."""
    home = tmp_path / "home"

    model = Cache(home / "cache").fetch("0" * 64, OneFile())

    assert (model / "MLmodel").read_bytes() == _MODEL
    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (home, home / "cache")}
