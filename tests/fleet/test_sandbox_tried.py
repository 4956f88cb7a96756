"""Whether this machine can make sandboxes is found out by making one, which is work."""

import pytest

from podium.errors import Misconfigured
from podium.fleet.workers.isolation import SANDBOX, check_isolation, check_sandbox


@pytest.fixture
def bubblewrap(tmp_path, monkeypatch):
    """Has a bwrap of ours end with this status, and says how often it was run."""
    tried, program = tmp_path / "tried", tmp_path / "bwrap"

    def of_status(status):
        program.write_text(f"#!/bin/sh\necho once >> {tried}\nexit {status}\n")
        program.chmod(0o755)
        return lambda: len(tried.read_text().split())

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check_sandbox.cache_clear()
    yield of_status
    check_sandbox.cache_clear()


def test_a_sandbox_that_works_is_tried_once_for_all_models(bubblewrap):
    """A server looks before it starts, and again for each model that it opens."""
    times = bubblewrap(0)

    for _ in range(5):
        check_isolation(SANDBOX, None)

    assert times() == 1


def test_one_that_does_not_work_is_tried_again(bubblewrap):
    """Somebody may have mended it meanwhile."""
    bubblewrap(1)
    with pytest.raises(Misconfigured, match="needs bubblewrap to make a sandbox"):
        check_isolation(SANDBOX, None)

    times = bubblewrap(0)
    check_isolation(SANDBOX, None)

    assert times() == 2
