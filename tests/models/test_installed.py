"""What is installed, by the name that somebody else gave it."""

from pathlib import Path

import pytest

from podium.models.installed import installed_version, installed_versions
from podium.models.requirements import mismatches


def install(place: Path, name: str, version: str) -> None:
    """A package as an installer leaves it, as far as its name goes."""
    metadata = place / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_a_build_of_another_name_meets_a_requirement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """opencv-python-headless is opencv-python without windows, and brings the same modules."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "opencv-python-headless", "4.9.0")

    assert installed_version("opencv_python") == "4.9.0"
    assert mismatches(["opencv-python==4.9.0"], installed_versions(["opencv-python"])) == []
    assert mismatches(["opencv-python<4"], installed_versions(["opencv-python"])) == [
        "opencv-python: wants <4, found 4.9.0"
    ]


def test_a_package_of_that_very_name_counts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may be there."""
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "faiss-cpu", "1.7.0")
    install(tmp_path, "faiss-gpu", "1.8.0")

    assert (installed_version("faiss-gpu"), installed_version("faiss-cpu")) == ("1.8.0", "1.7.0")


def test_what_is_missing_is_missing() -> None:
    """With or without a twin; a name may be no name at all."""
    assert installed_versions(["no-such-package", "", "faiss-gpu"]) == {
        "no-such-package": None,
        "": None,
        "faiss-gpu": None,
    }
