import contextlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.artifacts.digest import digest_folder, is_digest
from podium.artifacts.tree import fingerprint
from podium.errors import InvalidModel, NotFound


def folder_of(root: Path, files: dict[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_the_digest_never_changes_between_releases(tmp_path):
    """Registries hold digests for years: this value may not change."""
    folder = folder_of(tmp_path / "m", {"MLmodel": b"flavors: {}\n", "data/w.bin": b"\x00\x01", "é.txt": b""})

    expected = "sha256:eeb53219fa32e116c88b66eb8634f21ab86fe6192b42f926a968453a6159133a"
    assert is_digest(expected)
    assert expected == digest_folder(folder)


def test_times_permissions_and_empty_folders_do_not_count(tmp_path):
    one = folder_of(tmp_path / "one", {"MLmodel": b"x", "run.sh": b"y"})
    other = folder_of(tmp_path / "other", {"run.sh": b"y", "MLmodel": b"x"})
    (other / "empty").mkdir()
    (other / "run.sh").chmod(0o700)
    os.utime(other / "MLmodel", (0, 0))

    assert digest_folder(one) == digest_folder(other)


@pytest.mark.parametrize(
    "changed",
    [
        {"MLmodel": b"y", "a/b": b"1"},
        {"MLmodel": b"x", "a/c": b"1"},
        {"MLmodel": b"x", "a/b": b""},
        {"MLmodel": b"x"},
        {"MLmodel": b"x", "a/b": b"1", "new": b""},
    ],
)
def test_any_change_of_names_or_content_changes_the_digest(tmp_path, changed):
    before = digest_folder(folder_of(tmp_path / "before", {"MLmodel": b"x", "a/b": b"1"}))

    assert before != digest_folder(folder_of(tmp_path / "after", changed))


def test_byte_code_and_what_mlflow_adds_on_download_do_not_count(tmp_path):
    folder = folder_of(tmp_path / "m", {"MLmodel": b"x", "code/my.py": b"1"})
    before = digest_folder(folder)

    folder_of(folder, {"registered_model_meta": b"model_name: a", "code/__pycache__/my.pyc": b"evil", "__pycache__/x": b""})

    assert before == digest_folder(folder)


def test_registered_model_meta_counts_anywhere_but_in_the_root(tmp_path):
    folder = folder_of(tmp_path / "m", {"MLmodel": b"x"})
    before = digest_folder(folder)

    folder_of(folder, {"data/registered_model_meta": b""})

    assert before != digest_folder(folder)


def test_a_link_is_refused_even_one_that_stays_inside(tmp_path):
    folder = folder_of(tmp_path / "m", {"MLmodel": b"x"})
    (folder / "link").symlink_to("MLmodel")

    with pytest.raises(InvalidModel, match="link is a link"):
        digest_folder(folder)


def test_a_linked_folder_is_refused_below_the_root_but_may_be_the_root(tmp_path):
    folder = folder_of(tmp_path / "m", {"MLmodel": b"x"})
    (tmp_path / "latest").symlink_to(folder)

    assert digest_folder(tmp_path / "latest") == digest_folder(folder)
    (folder / "data").symlink_to(tmp_path)
    with pytest.raises(InvalidModel, match="data is a link"):
        digest_folder(folder)


def test_sockets_and_pipes_are_refused_without_waiting_for_them(tmp_path):
    for name in ("socket", "pipe"):
        folder = folder_of(tmp_path / name, {"MLmodel": b"x"})
        if name == "pipe":
            os.mkfifo(folder / name)
        else:
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / name))

        with pytest.raises(InvalidModel, match=f"{name} is a {name}"):
            digest_folder(folder)


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "\x01", os.fsdecode(b"\xff")])
def test_names_that_cannot_travel_are_refused(tmp_path, name):
    folder = folder_of(tmp_path / "m", {"MLmodel": b"x"})
    (folder / name).write_bytes(b"")

    with pytest.raises(InvalidModel, match="Rename"):
        digest_folder(folder)


def test_folders_without_end_are_refused(tmp_path):
    folder_of(tmp_path / "m", {"/".join(["d"] * 70) + "/f": b""})

    with pytest.raises(InvalidModel, match="deep"):
        digest_folder(tmp_path / "m")


def test_a_file_or_nothing_is_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(InvalidModel, match="not a folder"):
        digest_folder(tmp_path / "file")
    with pytest.raises(NotFound, match="no folder"):
        digest_folder(tmp_path / "absent")


def test_no_descriptor_is_left_open(tmp_path):
    folder = folder_of(tmp_path / "m", {"a/b/c": b"1", "d": b"2"})
    (folder / "a/link").symlink_to("b")

    with pytest.raises(InvalidModel):
        digest_folder(folder)

    assert open_below(folder) == []
    with (folder / "d").open("rb"):
        assert open_below(folder) == [str(folder / "d")]


def open_below(folder: Path) -> list[str]:
    """What this process has open there; what else it opens or closes meanwhile does not matter."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if Path(path).is_relative_to(folder)]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8
)
TREES = st.dictionaries(
    NAMES.filter(lambda n: n not in {".", "..", "__pycache__", "registered_model_meta"}), st.binary(max_size=8)
)


@given(one=TREES, other=TREES)
def test_two_folders_have_one_digest_exactly_when_they_are_equal(tmp_path_factory, one, other):
    root = tmp_path_factory.mktemp("pair")

    digests = [digest_folder(folder_of(root / name, files)) for name, files in (("one", one), ("other", other))]

    assert (digests[0] == digests[1]) == (one == other)


def test_the_fingerprint_is_equal_while_nobody_writes_and_different_afterwards(tmp_path):
    folder = folder_of(tmp_path / "m", {"MLmodel": b"x", "a/b": b"1"})
    before = fingerprint(folder)

    assert before == fingerprint(folder)
    (folder / "a/b").write_bytes(b"22")
    assert before != fingerprint(folder)
