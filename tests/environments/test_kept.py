"""What is kept: who uses it, and what may go."""

import os
import subprocess
import sys
import time
from dataclasses import replace

from podium.environments.kept import KeptEnvironment, Lease, kept, mark, marked, remnants, remove, superfluous

ONE = KeptEnvironment("k", "p", "3.11.7", "uv", (), 10, 0.0, 0.0, False, (), 0, None, (), "log")
HOLD = """
import sys, time
from pathlib import Path
from podium.environments.kept import Lease
Lease.take(Path(sys.argv[1]), sys.argv[2], time.monotonic() + 60)
print("held", flush=True)
sys.stdin.read()
"""


def environment(root, key, size=10):
    (root / key / "one").mkdir(parents=True)
    python = root / key / "one" / "python"
    python.symlink_to(sys.executable)
    facts = {"python": str(python), "version": "3.11.7", "tool": "uv", "packages": ["numpy==2.0"], "size_bytes": size}
    mark(root, key, facts | {"built_at": time.time(), "as_of": None, "notices": [], "log": "log"})


def test_an_environment_in_use_stays_and_goes_once_its_user_was_killed(tmp_path):
    """SIGKILL: the system gives the lease back."""
    environment(tmp_path, "aaaa")
    user = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "aaaa"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert user.stdout.readline() == b"held\n"
    seen, removed = kept(tmp_path)[0], remove(tmp_path, "aaaa")
    user.kill()
    user.communicate(timeout=240)

    assert (seen.is_used, removed) == (True, False)
    assert seen.users in {(user.pid,), ()}
    assert marked(tmp_path, "aaaa")
    assert remove(tmp_path, "aaaa")
    assert kept(tmp_path) == []
    assert not (tmp_path / "aaaa").exists()


def test_using_one_makes_it_the_last_used(tmp_path):
    environment(tmp_path, "aaaa")
    environment(tmp_path, "bbbb")
    for used_at, key in enumerate(("aaaa", "bbbb")):
        Lease.take(tmp_path, key, time.monotonic() + 60).release()
        os.utime(tmp_path / f"{key}.used", (used_at, used_at))  # long ago: two of one moment have no order
    before = [each.key for each in kept(tmp_path)]

    Lease.take(tmp_path, "aaaa", time.monotonic() + 60).release()

    assert before == ["bbbb", "aaaa"]
    assert [each.key for each in kept(tmp_path)] == ["aaaa", "bbbb"]
    assert [each.is_used for each in kept(tmp_path)] == [False, False]


def test_what_nobody_needs_goes_by_age_and_by_size_and_never_what_is_used():
    old, used, new = (
        replace(ONE, key="old", used_at=0.0),
        replace(ONE, key="used", used_at=1.0, is_used=True),
        replace(ONE, key="new", used_at=99.0),
    )
    found = [new, used, old]

    assert superfluous(found, 100.0) == []
    assert superfluous(found, 100.0, older_than_s=50.0) == [old]
    assert superfluous(found, 100.0, older_than_s=0.0) == [old, new]
    assert superfluous(found, 100.0, most_bytes=30) == []
    assert superfluous(found, 100.0, most_bytes=29) == [old]
    assert superfluous(found, 100.0, most_bytes=1) == [old, new]


def test_a_folder_that_no_marker_names_is_a_remnant(tmp_path):
    environment(tmp_path, "aaaa")
    (tmp_path / "bbbb" / "half").mkdir(parents=True)
    (tmp_path / "bbbb.lock").touch()
    (tmp_path / "logs").mkdir()

    assert remnants(tmp_path) == ["bbbb"]
    assert remove(tmp_path, "bbbb")
    assert remnants(tmp_path) == []
