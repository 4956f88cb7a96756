"""Which package a module comes from is read once, and again when packages come, change or go."""

import os
import shutil
from pathlib import Path

import pytest

from podium.flavors.owners import module_owners


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(place: Path, name: str, *files: str) -> Path:
    metadata = place / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return metadata


def test_modules_are_found_by_what_a_package_holds(place: Path):
    install(place, "owner-of-two", "one_of_two/__init__.py", "two_of_two.py")

    owners = module_owners()

    assert owners["one_of_two"] == owners["two_of_two"] == ["owner-of-two"]
    assert "numpy" in owners["numpy"]
    assert module_owners() is owners


def test_a_package_that_comes_is_seen_and_one_that_goes_is_not(place: Path):
    assert "late_module" not in module_owners()

    metadata = install(place, "latecomer", "late_module.py")
    assert module_owners()["late_module"] == ["latecomer"]

    shutil.rmtree(metadata)
    assert "late_module" not in module_owners()


def test_a_package_is_looked_at_again_once_its_metadata_is_whole(place: Path):
    metadata = install(place, "halfway")
    (metadata / "RECORD").unlink()
    assert "half_module" not in module_owners()

    (metadata / "RECORD").write_text("half_module.py,,\n")
    os.utime(metadata, (1, 1))  # it is another moment than that of the folder's making, on file systems of any clock
    assert module_owners()["half_module"] == ["halfway"]


def test_places_that_are_no_folder_are_passed_over(place: Path, monkeypatch: pytest.MonkeyPatch):
    (place / "archive.zip").write_bytes(b"no archive")
    monkeypatch.syspath_prepend(str(place / "archive.zip"))
    monkeypatch.syspath_prepend(str(place / "nowhere"))

    assert "numpy" in module_owners()["numpy"]
