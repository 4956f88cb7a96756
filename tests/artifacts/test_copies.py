import os
import stat
from pathlib import Path

import pytest

from podium.artifacts import copies
from podium.artifacts.copies import verified_copy
from podium.artifacts.digest import digest_folder
from podium.errors import AlreadyExists, DigestMismatch, InvalidModel, NotFound, RegistryError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data/empty").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data/weights.bin").write_bytes(os.urandom(3_000_000))
    return folder


def test_a_copy_is_private_complete_and_hashes_to_what_was_recorded(model, tmp_path):
    digest = digest_folder(model)

    found = verified_copy(model, tmp_path / "copy", digest)

    assert found == digest == digest_folder(tmp_path / "copy")
    assert (tmp_path / "copy/data/empty").is_dir()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").rglob("*")}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    assert modes == {0o700, 0o600}


def test_without_a_record_the_digest_is_that_of_the_copy(model, tmp_path):
    assert verified_copy(model, tmp_path / "copy", None) == digest_folder(model)


def test_a_folder_that_is_not_what_was_recorded_leaves_no_copy(model, tmp_path):
    digest = digest_folder(model)
    (model / "data/weights.bin").write_bytes(b"evil")

    with pytest.raises(DigestMismatch, match=digest):
        verified_copy(model, tmp_path / "copy", digest)

    assert not (tmp_path / "copy").exists()


def test_unhashed_byte_code_never_reaches_the_copy(model, tmp_path):
    (model / "code/__pycache__").mkdir(parents=True)
    (model / "code/__pycache__/my.cpython-311.pyc").write_bytes(b"evil")

    verified_copy(model, tmp_path / "copy", digest_folder(model))

    assert list((tmp_path / "copy").rglob("__pycache__")) == []


def test_a_link_in_the_source_leaves_no_copy(model, tmp_path):
    (model / "zz").symlink_to("/etc/passwd")

    with pytest.raises(InvalidModel, match="zz is a link"):
        verified_copy(model, tmp_path / "copy", None)

    assert not (tmp_path / "copy").exists()


def test_a_target_that_is_there_is_left_alone(model, tmp_path):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/mine").write_text("mine")

    with pytest.raises(AlreadyExists):
        verified_copy(model, tmp_path / "copy", None)

    assert (tmp_path / "copy/mine").read_text() == "mine"


def test_an_absent_source_leaves_no_copy(tmp_path):
    with pytest.raises(NotFound):
        verified_copy(tmp_path / "absent", tmp_path / "copy", None)

    assert not (tmp_path / "copy").exists()


def test_a_target_that_cannot_be_made_says_so(model, tmp_path):
    with pytest.raises(RegistryError, match="cannot be made"):
        verified_copy(model, tmp_path / "no/such/parent", None)


def test_copying_falls_back_to_reading_where_the_kernel_cannot_copy(tmp_path):
    """From a pipe neither sharing blocks nor copy_file_range works; what is left is reading and writing."""
    reader, writer = os.pipe()
    os.write(writer, b"x" * 5000)
    os.close(writer)
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT, 0o600)

    copies._copy_bytes(reader, target, 10_000)

    os.close(reader)
    os.close(target)
    assert (tmp_path / "target").read_bytes() == b"x" * 5000
