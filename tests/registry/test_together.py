"""Eight processes that register, move, alias, tag, rename, delete and clean at once: nothing lost, everything recorded."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from podium.artifacts.digest import digest_folder
from podium.artifacts.local import LocalArtifacts
from podium.registry.contract import Action
from podium.registry.record import replay
from podium.registry.service import RegistryService
from podium.registry.sqlite import SqliteStore

# Steps of each of the eight, or seconds.
MUCH = os.environ.get("PODIUM_TEST_CONTENDERS_DO", "150")
CONTENDER = Path(__file__).parent / "contender.py"
# What a contender may be answered: that what it wanted cannot be had. Never that the registry failed or was busy.
CLEAR = {"NotFound", "AlreadyExists", "InvalidInput"}


def contend(home, much: str) -> dict[int, list[dict]]:
    """Run eight contenders; what each did, by process id."""
    processes = [
        subprocess.Popen(
            [sys.executable, CONTENDER, home.root, str(seed), much],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(8)
    ]
    outputs = [process.communicate(timeout=550) for process in processes]
    assert [(process.returncode, err) for process, (_, err) in zip(processes, outputs, strict=True)] == [(0, "")] * 8
    return {p.pid: [json.loads(line) for line in out.splitlines()] for p, (out, _) in zip(processes, outputs, strict=True)}


def check(home, done: dict[int, list[dict]]) -> None:
    artifacts = LocalArtifacts(home.artifacts)
    service = RegistryService(SqliteStore(home.registry, "ann"), artifacts)
    everything = [step for steps in done.values() for step in steps]

    unclear = [s for s in everything if s["error"] and s["error"][0] not in CLEAR]
    assert unclear == []

    changes = service.changes()
    by_process = Counter((int(change.actor.rsplit("/", 1)[1]), change.action) for change in changes)
    for pid, steps in done.items():
        counts = Counter(step["step"].removesuffix("-again") for step in steps if not step["error"])
        moved = sum(1 for s in steps if s["step"] in {"transition", "promote"} and s["done"])
        assert by_process[pid, Action.REGISTER] == counts["register"]
        assert by_process[pid, Action.LOG] == counts["log"]
        assert by_process[pid, Action.DELETE_VERSION] == counts["delete-version"]
        assert by_process[pid, Action.TRANSITION] == moved

    recorded = [(change.model, change.version) for change in changes if change.action is Action.REGISTER]
    answered = [(step["name"], step["done"]) for step in everything if step["step"].startswith("register") and step["done"]]
    assert sorted(recorded) == sorted(answered)
    assert len(set(recorded)) == len(recorded), "a version's number was used twice"

    state = replay(changes)
    assert documents(service) == {document["name"]: document for document in state.models.values()}
    assert all(service.logged(model_id).digest == digest for model_id, digest in state.logged.items())
    for model in service.models():
        touched = [change for change in changes if change.model_key == model.key]
        assert (model.created_ms, model.updated_ms) == (touched[0].at_ms, touched[-1].at_ms)

    needed = {version.digest for version in service.versions()} | set(state.logged.values())
    stored = {each.digest for each in artifacts.list()}
    assert needed <= stored
    assert all(digest_folder(artifacts.locate(digest)) == digest for digest in needed)


def documents(service) -> dict[str, dict]:
    """The registry's state as documents, read from its tables."""
    return {
        model.name: {
            "name": model.name,
            "description": model.description,
            "tags": model.tags,
            **({"aliases": aliases} if (aliases := model.aliases) or had_alias(service, model.name) else {}),
            "versions": {
                str(version.version): {
                    "stage": version.stage.value,
                    "digest": version.digest,
                    "source": version.source,
                    "description": version.description,
                    "tags": version.tags,
                }
                for version in service.versions(model.name)
            },
        }
        for model in service.models()
    }


def had_alias(service, name: str) -> bool:
    """A document that once had an alias keeps the key."""
    return any("aliases" in (change.after or {}) for change in service.changes(name))


def test_what_eight_processes_do_at_once_is_all_there_and_all_recorded(home):
    check(home, contend(home, "25"))


@pytest.mark.slow
def test_eight_processes_at_once_for_longer(home):
    """So long that most steps meet what another process has just made or removed; a minute is `60s`."""
    done = contend(home, MUCH)

    check(home, done)
    assert sum(len(steps) for steps in done.values()) > 1000
