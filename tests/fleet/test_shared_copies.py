"""Where copies lie for workers of another user, while other servers start and end beside."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.artifacts.leftovers import remove_unlocked
from podium.fleet.workers.shared_copies import shared_folder


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for temporary files that every user may enter, and of this test alone."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    yield made
    shutil.rmtree(made)


def test_what_nobody_holds_any_more_is_removed_and_what_is_held_stays(place: Path) -> None:
    (place / "podium-copies-left").mkdir()
    held = shared_folder()

    made = shared_folder()

    assert sorted(place.iterdir()) == sorted([held, made])


def test_one_that_another_server_removes_meanwhile_is_none(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was still there when the folder was listed."""
    monkeypatch.setattr(Path, "glob", lambda self, _: iter([self / "podium-copies-gone"]))

    assert shared_folder().parent == place


def test_one_that_another_server_takes_for_a_leftover_is_made_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts at the same moment, and looks before the new folder is locked."""
    make, made = tempfile.mkdtemp, []

    def make_and_look(**options: str) -> str:
        made.append(make(**options))
        if len(made) == 1:
            assert remove_unlocked(Path(made[0]))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_look)

    found = shared_folder()

    assert [str(found)] == made[1:]
    assert list(place.iterdir()) == [found]
