"""Several versions of one endpoint at once, in real servers: split, shadow, canary; under load, with processes killed."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from load import read_samples
from tinyhouse import NAME, PRODUCTION, Load, until

from podium.api.beside import beside_of
from podium.api.endpoint import choose
from podium.domain.planning import Candidate
from podium.domain.references import parse_reference
from podium.errors import Misconfigured
from podium.fleet.rollouts.desk import Guidance
from podium.fleet.site import EndpointOrder, ServerOrder
from podium.fleet.sources import Wish
from podium.fleet.supervisor import Supervisor
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.provenance import Said
from podium.settings.serve import ServeSettings
from podium.telemetry.metrics import COMPARISONS

LOAD = Path(__file__).resolve().parents[1] / "system" / "load.py"


@pytest.fixture
def gate(house):
    """What version 2 waits for while it loads: as long as it is closed, one that was killed is not back."""
    return house.gate("of-2")


@pytest.fixture
def two_versions(house, gate):
    house.register(1)
    house.register(2, gate.wait)
    house.promote(1)
    house.command("models", "alias", NAME, "challenger", "2")
    return house


def ask(server, body='{"inputs": [[0]]}', **headers):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)) as connection:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json", **said})
        response = connection.getresponse()
        return response.status, json.loads(response.read()), dict(response.getheaders())


def weights(server):
    """Those that every gateway goes by, with all replicas there; nothing while they change."""
    status = server.status
    traffic = status["traffic"] if status.get("is_settled") else None
    return {each["version"]: each["weight"] for each in traffic["versions"]} if traffic else {}


def pids(server, version):
    replicas = server.status["replicas"]
    return [each["pid"] for each in replicas if each["version"] == version and each["state"] == "ready"]


def shadowed(server, result):
    """How many copies had this result, as anybody's monitoring sees it."""
    page = server.get("/metrics")[1]
    lines = [line for line in page.splitlines() if line.startswith("podium_shadow") and f'result="{result}"' in line]
    return sum(int(line.rpartition(" ")[2]) for line in lines)


def test_a_split_by_alias_holds_follows_and_survives_the_death_of_its_workers(two_versions, gate):
    """40 percent to @challenger: users keep their versions, a killed worker costs no answer, a moved alias is followed."""
    house = two_versions
    house.register(3)
    with house.serving("--split", "@challenger=40", "--sticky", "header:X-User", "--version-header") as server:
        until(lambda: weights(server) == {"1": 60, "2": 40}, "the challenger has its part")
        users = {user: ask(server, X_User=user)[2]["x-podium-version"] for user in map(str, range(60))}
        assert 8 <= list(users.values()).count("2") <= 42
        assert all(ask(server, X_User=user)[2]["x-podium-version"] == version for user, version in users.items())
        with Load(server) as load:
            gate.close()
            os.kill(pids(server, "2")[0], signal.SIGKILL)
            until(lambda: weights(server) == {"1": 100}, "it lost its weight")
            gate.open()
            until(lambda: weights(server) == {"1": 60, "2": 40}, "it is back")
            house.command("models", "alias", NAME, "challenger", "3")
            until(lambda: weights(server) == {"1": 60, "3": 40}, "the alias is followed")
            until(lambda: not pids(server, "2"), "2 is gone")
        assert load.failed == []
        # Whom the key had sent to the challenger, it sends to the new one; the others never moved.
        now = {user: ask(server, X_User=user)[2]["x-podium-version"] for user in users}
        assert now == {user: {"1": "1", "2": "3"}[version] for user, version in users.items()}
        assert ask(server, X_Podium_Version="3")[1]["predictions"][0][0] == 3
        assert ask(server, X_Podium_Version="2")[0] == 404
        assert (server.status["serving"], server.status["swaps"]) == ("1", 0)
        assert "60 % version 1, 40 % version 3" in house.command("status").stdout


def test_a_shadow_gets_copies_and_neither_its_death_nor_a_broken_version_is_anybodys_trouble(two_versions, gate):
    """All is copied and compared; it is killed and comes back. What does not load is vetoed, what is not there is told."""
    house = two_versions
    house.register(3, "import nowhere_to_be_found")
    with house.serving("--shadow", "@challenger", "--split", "3=50,@nobody=10", "-w", "2") as server:
        until(lambda: weights(server) == {"1": 100, "2": 0}, "the shadow is loaded")
        gives_way = {os.SCHED_IDLE, os.SCHED_BATCH}
        until(lambda: os.sched_getscheduler(pids(server, "2")[0]) in gives_way, "it gives way to what serves")
        assert os.sched_getscheduler(pids(server, "1")[0]) == os.SCHED_OTHER
        for _ in range(20):
            assert ask(server)[1]["predictions"][0][0] == 1
        until(lambda: shadowed(server, "disagreed") == 20, "all are compared; it answers with its own version")
        until(lambda: server.status["traffic"]["shadow"]["agreement_percent"] == 0, "the status tells it")
        with Load(server) as load:
            gate.close()
            os.kill(pids(server, "2")[0], signal.SIGKILL)
            until(lambda: weights(server) == {"1": 100}, "it is gone")
            gate.open()
            until(lambda: weights(server) == {"1": 100, "2": 0}, "it is back")
            seen = sum(shadowed(server, result) for result in COMPARISONS)
            until(lambda: sum(shadowed(server, result) for result in COMPARISONS) > seen + 20, "it is compared again")
            until(lambda: [each["version"] for each in server.status["failed"]] == ["3"], "3 is vetoed")
        assert load.failed == []
        assert set(load.versions()) == {1}
        assert server.status["state"] == "serving"
        assert server.said().count("version 3 did not load") == 1
        assert "nobody" in house.command("status").stdout


@pytest.mark.parametrize(
    ("key", "raw", "message"),
    [
        ("split", "@a=60,@b=50", "together at most 100"),
        ("split", "@a", "names with percents"),
        ("split", {"@a": -1}, "names with percents"),
        ("split", {"@a": 1.5}, "names with percents"),
        ("split", "fraud/1=50", "none of a version's number, a stage, latest and @ALIAS"),
        ("shadow", "models:/other/1", "must be a version, a stage or an @alias of tiny itself"),
        ("shadow", "./folder", "none of a version's number"),
        ("sticky", "query:user", "header:NAME, cookie:NAME or field:NAME"),
        ("shadow_tolerance", "2", "a number from 0 to 1"),
        ("shadow_percent", "101", "at most 100"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_can(tmp_path, key, raw, message):
    """Before anything is served."""

    def look_up():
        settings = ModelSettings(**choose([Said(f"serve.{key}", raw, "here")], environ={}).fields(ModelSettings))
        return beside_of(NAME, parse_reference(PRODUCTION), settings, Home(tmp_path))

    with pytest.raises(Misconfigured, match=re.escape(message)):
        look_up()


def test_a_folder_has_no_other_versions(tmp_path):
    with pytest.raises(Misconfigured, match="has no other versions"):
        beside_of("hue", parse_reference("./hue"), ModelSettings(shadow="2"), Home(tmp_path))


@pytest.mark.parametrize(
    "raw", ["@a=20, 3=5,staging=0", {"@a": 20, "3": 5, "staging": 0}, [["@a", 20], ["3", 5], ["staging", 0]]]
)
def test_a_split_is_written_in_each_place_as_suits_it(raw):
    """In a flag or a variable, as a table of the file, and as it is handed to another process."""
    found = choose([Said("serve.split", raw, "here")], environ={})

    assert found["serve.split"] == (("@a", 20), ("3", 5), ("staging", 0))
    assert found.shown()["serve.split"]["value"] == "@a=20,3=5,staging=0"


@pytest.mark.slow
def test_a_canary_grows_to_everything_under_open_loop_load(two_versions, gate, monkeypatch):
    """5, 25, its worker killed, 25, 100, then promoted: every request of a fixed schedule is answered."""
    house = two_versions
    monkeypatch.setenv("PODIUM_HOME", str(house.home))
    monkeypatch.setenv("PYTHONPATH", house.environment["PYTHONPATH"])
    body, expected, out = (house.folder / name for name in ("body.json", "expected.json", "out.jsonl"))
    body.write_text('{"inputs": [[0]]}')
    expected.write_text("{}")
    home, reference = Home(house.home), parse_reference(PRODUCTION)
    candidate = resolve(parse_reference(f"models:/{NAME}/2"), home)
    first = Wish(resolve(reference, home))
    endpoint = EndpointOrder(NAME, reference, first, ModelSettings(), RegistryObserver(home))
    order = ServerOrder(home, (endpoint,), NAME, ServeSettings(port=0, poll_s=0.1), {})
    supervisor = Supervisor(order)

    async def later(holds, what):
        await asyncio.to_thread(until, holds, what)

    def given():
        return {target.version: target.weight for target in supervisor._publisher.targets(NAME)}

    def evidence():
        return supervisor._gateways.evidence(NAME, "2")

    async def scene():
        await later(lambda: supervisor.status.get("is_settled"), "1 serves")
        load = [sys.executable, str(LOAD), "--port", str(supervisor.status["port"]), "--rate", "150", "--seconds", "230"]
        generator = await asyncio.to_thread(
            subprocess.Popen, [*load, "--body", str(body), "--expect", str(expected), "--out", str(out)]
        )
        mine = supervisor.endpoints[NAME]
        desk = mine._desk

        def try_out(trial):
            """What a rollout in the registry would have the desk say."""
            desk.guide = lambda: Guidance(desk._wish.resolved, trial, candidate if trial else None)

        started = mine.crew.ready()[0].pid
        for percent in (5, 25, 100):
            try_out(Candidate("2", percent))
            await later(lambda wanted=percent: given() == {"1": 100 - wanted, "2": wanted}, "its part")
            answered = sum(evidence().latency)
            await later(lambda more=answered: sum(evidence().latency) > more + 10, "it answers")
            if percent == 25:
                gate.close()
                os.kill(next(each.pid for each in mine.crew.ready() if each.version == "2"), signal.SIGKILL)
                await later(lambda: given() == {"1": 100}, "it lost its weight")
                gate.open()
                await later(lambda: given() == {"1": 75, "2": 25}, "it is back")
        before = next(each.pid for each in mine.crew.ready() if each.version == "2")
        assert supervisor.status["serving"] == "1"
        assert started in [each.pid for each in mine.crew.ready()]
        house.promote(2)
        await later(lambda: supervisor.status["wanted"] == "2", "the supervisor has heard of it")
        try_out(None)
        await later(lambda: supervisor.status["is_settled"] and supervisor.status["serving"] == "2", "2 is the stable one")
        assert [each.pid for each in mine.crew.ready()] == [before]
        # What gives way has another policy (worker/priority.py): who has traffic no longer does.
        await later(lambda: os.sched_getscheduler(before) == os.SCHED_OTHER, "it gives way no more")
        generator.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(generator.wait, 120) == 0

    async def run():
        serving, looking = asyncio.create_task(supervisor.run()), asyncio.create_task(scene())
        await asyncio.wait({serving, looking}, return_when=asyncio.FIRST_COMPLETED, timeout=240)
        supervisor.stop()
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await serving
        return await looking

    asyncio.run(run())

    samples = read_samples(out)
    versions = [sample.version for sample in samples]
    assert [sample for sample in samples if sample.status != 200] == []
    assert set(versions) == {"1", "2"}
    assert versions[-1] == "2"
