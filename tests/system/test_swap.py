"""Shown by, line 2: versions are swapped under load and nobody notices."""

import pytest
from driven import Podium, Server, Versions, loading
from judging import Switch, bad, move, not_live, summary

pytestmark = pytest.mark.slow


def test_versions_are_swapped_and_one_rolled_back_under_load_without_a_failed_request(
    podium: Podium, server: Server, versions: Versions, seconds: float
):
    """1 → 2 → 3, then the rollback to 2: each request gets 200 and the prediction of a version that was live."""
    switches: list[Switch] = []

    with loading(server, versions, seconds) as load:
        switches.append(move(server, ["promote", versions.name, "2"], 2))
        switches.append(move(server, ["promote", versions.name, "3"], 3))
        switches.append(move(server, ["rollback", versions.name], 2))
        samples = load.samples()

    assert bad(samples) == [], summary(samples)
    assert not_live(samples, "1", switches) == []
    assert {"1", "2", "3"} == {sample.version for sample in samples}
    assert samples[-1].version == "2"


def test_an_alias_is_followed_like_a_stage(podium: Podium, versions: Versions):
    """What serves `models:/name@alias` changes when the alias moves."""
    podium.run("models", "alias", versions.name, "champion", "1")
    server = podium.serve(f"models:/{versions.name}@champion")

    podium.run("models", "alias", versions.name, "champion", "3")
    assert server.settle() == 0

    assert server.post(versions.body)[1]["x-podium-version"] == "3"
    assert server.stop() == 0


def test_many_swaps_in_a_row_end_at_the_last_one_wanted(podium: Podium, server: Server, versions: Versions, seconds: float):
    """Moves that come faster than a model loads are not queued: the newest wins, and no request fails on the way."""
    with loading(server, versions, seconds) as load:
        for version in ("2", "3", "1", "3", "2"):
            podium.run("models", "promote", versions.name, version)
        assert server.settle() == 0
        samples = load.samples()

    assert bad(samples) == [], summary(samples)
    assert samples[-1].version == "2"
