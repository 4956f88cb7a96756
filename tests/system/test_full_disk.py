"""A disk that is full: what sleeps gives way to what is asked for."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import Podium
from stage import write_model

_MIB = 1 << 20


@pytest.fixture
def small(tmp_path) -> Iterator[Path]:
    """A folder on a disk of 9 MiB, where one may be made."""
    place = tmp_path / "home"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.slow
def test_copies_of_models_that_sleep_make_room_for_those_that_wake(small, podium: Podium):
    """Four models of 3 MiB are more than fit; each is answered, and again, however often they take turns."""
    lines = ["[serve]\ngateways = 1\nmax_resident = 2"]
    for name in "abcd":
        folder = write_model(podium.folder / name)
        (folder / "weights.bin").write_bytes(os.urandom(3 * _MIB))
        lines.append(f'[models.{name}]\nuri = "{folder}"\nresident = "{"always" if name == "a" else "demand"}"')
    (podium.folder / "podium.toml").write_text("\n".join(lines) + "\n")
    server = podium.serve(None)

    answers = [server.post({"inputs": [[1.0, 2.0, 3.0, 4.0]]}, f"/models/{name}/invocations") for name in "abcdbcda"]

    assert [status for status, _, _ in answers] == [200] * len(answers), (answers, server.said())
    assert "its copy gives way" in server.said()
    assert server.stop() == 0
