import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from podium.artifacts.conformance import ArtifactStoreLaws
from podium.artifacts.digest import digest_folder
from podium.artifacts.local import LocalArtifacts
from podium.errors import DigestMismatch, InvalidInput, InvalidModel, RegistryError

PUT = """
import sys
from pathlib import Path
from podium.artifacts.local import LocalArtifacts
print(LocalArtifacts(Path(sys.argv[1])).put(Path(sys.argv[2])), flush=True)
"""

WRITE = """
import os, sys
n = 0
while os.getppid() == int(sys.argv[2]):
    n += 1
    with open(sys.argv[1], "r+b") as file:
        file.write(bytes([n % 256]) * 500_000)
"""


def start_put(root: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PUT, root, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(is_true, process: subprocess.Popen[str] | None = None, timeout_s: float = 120) -> None:
    """Until the condition holds, or the process has ended."""
    deadline = time.monotonic() + timeout_s
    while not is_true() and (process is None or process.poll() is None):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifacts:
    return LocalArtifacts(tmp_path / "artifacts")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "some-model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return folder


class TestLocalArtifacts(ArtifactStoreLaws):
    """The store in a folder keeps every law of artifact stores."""


def test_stored_files_are_read_only_and_the_folders_private(store, model):
    place = store.locate(store.put(model))

    assert stat.S_IMODE((place / "MLmodel").stat().st_mode) == 0o400
    assert stat.S_IMODE((place / "run.sh").stat().st_mode) == 0o500
    assert {0o700} == {stat.S_IMODE(folder.stat().st_mode) for folder in (store.root, place.parent, place)}


def test_damage_is_noticed_when_fetching_and_healed_by_putting_again(store, model, tmp_path):
    digest = store.put(model)
    damaged = store.locate(digest) / "MLmodel"
    damaged.chmod(0o600)
    damaged.write_text("evil")

    with pytest.raises(DigestMismatch):
        store.fetch(digest, tmp_path / "copy")
    assert store.put(model) == digest
    store.fetch(digest, tmp_path / "copy")
    assert digest_folder(tmp_path / "copy") == digest


def test_a_refused_folder_leaves_nothing_behind(store, model):
    (model / "link").symlink_to("MLmodel")

    with pytest.raises(InvalidModel):
        store.put(model)

    assert os.listdir(store.root / "incoming") == []
    assert store.list() == []


def test_what_is_not_a_digest_cannot_name_a_place(store):
    for text in ("../../etc", "sha256:../x", "sha256:ABC", "", "sha256:" + "g" * 64):
        with pytest.raises(InvalidInput, match="digest"):
            store.contains(text)


def test_a_store_that_cannot_be_written_says_so(model, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(RegistryError, match="artifact store"):
        LocalArtifacts(tmp_path / "file").put(model)


def test_eight_processes_that_put_the_same_agree(store, model):
    (model / "weights.bin").write_bytes(os.urandom(2_000_000))
    expected = digest_folder(model)

    processes = [start_put(store.root, model) for _ in range(8)]
    outputs = [process.communicate(timeout=550) for process in processes]

    assert {(f"{expected}\n", "")} == set(outputs)
    assert [expected] == [stored.digest for stored in store.list()]
    assert digest_folder(store.locate(expected)) == expected
    assert os.listdir(store.root / "incoming") == []


def test_a_folder_that_is_written_while_it_is_put_never_gets_a_wrong_digest(store, model):
    """Whatever the put answers is the digest of what the store holds; a torn copy is refused, not recorded."""
    (model / "weights.bin").write_bytes(os.urandom(4_000_000))
    writer = subprocess.Popen([sys.executable, "-c", WRITE, model / "weights.bin", str(os.getpid())])
    refused = tries = 0
    try:
        while tries < 8 or (not refused and tries < 1000):
            tries += 1
            try:
                digest = store.put(model)
            except InvalidModel as error:
                refused += "written to while" in error.message
            else:
                assert digest_folder(store.locate(digest)) == digest
    finally:
        writer.kill()
        writer.wait()
    assert refused > 0
    assert all(digest_folder(store.locate(stored.digest)) == stored.digest for stored in store.list())


def test_a_put_that_is_killed_leaves_only_leftovers_that_a_sweep_removes(store, model):
    (model / "weights.bin").write_bytes(os.urandom(20_000_000))
    incoming = store.root / "incoming"

    process = start_put(store.root, model)
    wait_until(lambda: incoming.is_dir() and any(incoming.iterdir()), process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=550)

    assert all(digest_folder(store.locate(stored.digest)) == stored.digest for stored in store.list())
    store.sweep()
    assert os.listdir(incoming) == []
    assert store.put(model) == digest_folder(model)


def test_a_sweep_leaves_work_under_way_alone(store, model):
    digest = store.put(model)
    at_work = store.root / "incoming/at-work"
    at_work.mkdir()
    descriptor = os.open(at_work, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    assert store.sweep() == 0
    os.close(descriptor)
    assert store.sweep() == 1
    assert store.contains(digest)
