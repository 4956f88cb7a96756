"""Rollouts under load: bad candidates are rolled back by themselves, each for what it does, and a good one is promoted."""

import json
import platform
import time

import pytest
from driven import Podium, Versions, loading

from podium.api.registering import Registry

# About a third of its answers are 1. What is done for each answer tells the versions apart.
_MODEL = """
import itertools, random, time
count = itertools.count(1)
class Model:
    def predict(self, data):
        time.sleep({seconds})
        if next(count) % {fails_each} == 0:
            raise RuntimeError("bad luck")
        return [int(random.random() < {share}) for _ in range(len(data))]
def _load_pyfunc(path):
    return Model()
"""
STABLE = {"seconds": 0.004, "fails_each": 10**9, "share": 0.3}
KINDS = {
    "1": STABLE,
    "2": {**STABLE, "fails_each": 50},
    "3": {**STABLE, "seconds": 0.012},
    "4": {**STABLE, "share": 0.8},
    "5": STABLE,
}


def register(podium: Podium) -> Versions:
    """Five versions of `calc`, the first of them in Production."""
    registry = Registry(podium.home)
    for number, kind in KINDS.items():
        folder = podium.folder / f"model-{number}"
        (folder / "code").mkdir(parents=True)
        (folder / "code" / "calculating.py").write_text(_MODEL.format(**kind))
        flavor = "loader_module: calculating\n    code: code"
        (folder / "MLmodel").write_text(
            f"flavors:\n  python_function:\n    {flavor}\n    python_version: {platform.python_version()}\n"
        )
        registry.register(folder, "calc")
    registry.promote("calc", 1)
    return Versions("calc", "models:/calc/production", {"inputs": [[0.0]]}, {})


def rolled_out(podium: Podium, to: str, *flags: str) -> tuple[dict, float]:
    """How it ended, and when that was known."""
    podium.run("rollout", "start", "calc", "--to", to, *flags)
    waited = podium.run("rollout", "status", "calc", "--wait", "--timeout", "90", "--json", timeout_s=240, check=False)
    told = json.loads(waited.stdout)
    assert (waited.returncode == 0) == (told["state"] == "finished"), waited.stderr
    return told, time.monotonic()


@pytest.mark.slow
@pytest.mark.alone
def test_bad_candidates_are_rolled_back_by_themselves_and_a_good_one_is_promoted(podium: Podium):
    """2 % errors, three times slower, other predictions, and none of it; no request that the stable version had fails."""
    versions = register(podium)
    server = podium.serve(versions.uri, "--gateways", "1")
    ends: dict[str, tuple[dict, float]] = {}
    with loading(server, versions, 0, rate=100) as load:
        for to in ("2", "3", "4"):
            ends[to] = rolled_out(podium, to, "--steps", "50,100", "--interval", "60")
        again = podium.run("rollout", "start", "calc", "--to", "3", check=False)
        ends["5"] = rolled_out(podium, "5", "--steps", "50,100", "--interval", "1.5")
        assert server.settle() == 0
        samples = load.samples()
    history = json.loads(podium.run("rollout", "history", "calc", "--json").stdout)
    live = Registry(podium.home).resolve("models:/calc/production").version
    assert server.stop() == 0

    assert [(each["candidate"], each["state"]) for each in history] == [
        ("2", "rejected"), ("3", "rejected"), ("4", "rejected"), ("5", "finished"),
    ]  # fmt: skip
    for to, criterion in (("2", "errors"), ("3", "latency"), ("4", "predictions")):
        told, known = ends[to]
        [veto] = [mark for mark in told["marks"] if mark["kind"] == "veto"]
        figure = veto["evidence"][criterion]
        assert figure["e_value"] >= figure["needed"], veto
        assert told["reason"] == veto["reason"]
        [seen] = [each["rollout"] for each in told["servers"]]
        assert (seen["verdict"]["opinion"], seen["verdict"]["criterion"]) == ("worse", criterion)
        # Heard of by the poll of a quarter of a second, and by every gateway after that.
        assert not [each for each in samples if each.version == to and (each.sent or 0) > known + 5]
    assert again.returncode == 1
    assert "slower" in again.stderr
    assert "--again" in again.stderr
    assert live == 5
    assert not [each for each in samples if each.version is None]
    assert {each.version for each in samples if each.status != 200} == {"2"}
    assert {each.version for each in samples} == KINDS.keys()
