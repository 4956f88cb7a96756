"""podium beside a real MLflow server: what is registered and moved there is served here, and goes on being served."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from driven import Podium, Server, wait_until
from mlflow_server import PYTHON, Mlflow
from ports import free_port

from podium import Rollouts
from podium.domain.references import parse_reference
from podium.domain.rollouts.judging import JudgingPolicy
from podium.domain.stages import Stage
from podium.errors import AlreadyExists, NotFound, RegistryError
from podium.registry.mlflow.stores import open_stores
from podium.registry.mlflow_census import MlflowCensus
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.mlflow import read_mlflow_settings

pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow"),
]
# From the move until the supervisor wants it. How long the worker then takes to load is the machine's affair.
_HEARD_S = 100.0
_LIVE_S = 150.0
_COMES_S = 200.0
_ROLLED_S = 150.0
_QUICKLY = ("--poll-interval", "0.1", "--gateways", "1")
_SKEW_S = 30.0


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory) -> Iterator[Mlflow]:
    """A server with two versions of `fraud`, which answer 1 and 2; the first is live."""
    server = Mlflow(tmp_path_factory.mktemp("mlflow"))
    try:
        server.start()
        server.first = server.do("log", "fraud", 1.0)
        server.do("log", "fraud", 2.0)
        server.do("stage", "fraud", 1, "Production")
        server.do("alias", "fraud", "champion", 1)
        yield server
    finally:
        server.close()


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "podium-home")


@pytest.fixture
def podium(tmp_path, mlflow) -> Iterator[Podium]:
    podium = Podium(tmp_path)
    podium.environment["MLFLOW_TRACKING_URI"] = mlflow.uri
    yield podium
    podium.end()


@pytest.fixture
def skewed(tmp_path, mlflow) -> Iterator[Podium]:
    """A machine of its own, whose clock is ahead."""
    folder = tmp_path / "skewed"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import time\nright = time.time\ntime.time = lambda: right() + {_SKEW_S}\n")
    podium = Podium(folder)
    podium.environment["MLFLOW_TRACKING_URI"] = mlflow.uri
    podium.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), podium.environment.get("PYTHONPATH")]))
    yield podium
    podium.end()


def settings(uri: str, folder: Path = Path(), **others: str):
    return read_mlflow_settings({"MLFLOW_TRACKING_URI": uri, **others}, folder)


def prediction(server: Server) -> float:
    status, _, body = server.post({"inputs": [[0.0]]})
    assert status == 200, body
    return float(json.loads(body)["predictions"][0])


def moves_to(server: Server, version: int) -> None:
    """Assert that a move that was just made is heard of within a few looks at the registry, and then live."""
    moved = time.time()
    wait_until(lambda: prediction(server) == version, _LIVE_S, f"version {version} is live")
    log = next(server.podium.home.glob("logs/*/supervisor.log")).read_text()
    heard = [line for line in log.splitlines() if f"is now version {version}" in line][-1]
    when = datetime.strptime(heard[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
    assert when - moved < _HEARD_S


def rollout_tags(mlflow: Mlflow, name: str) -> dict[str, Any]:
    """What MLflow's client reads of the newest rollout: the record under the empty key, marks by their kind."""
    tags = {key.removeprefix("podium.rollout."): json.loads(value) for key, value in mlflow.do("tags", name).items()}
    newest = max(key.partition(".")[0] for key in tags)
    return {key.partition(".")[2]: value for key, value in tags.items() if key.partition(".")[0] == newest}


def told(podium: Podium) -> dict[str, Any]:
    """What `podium status` reads, without the time that a command takes."""
    facts: dict[str, Any] = json.loads(next(podium.home.glob("run/[!.]*/server.json")).read_text())
    return facts


def shares(podium: Podium) -> dict[str, int]:
    """Who has which part of the traffic, by version."""
    status = told(podium)
    parts = (status["traffic"] or {}).get("versions")
    return {each["version"]: each["weight"] for each in parts if each["weight"]} if parts else {status["serving"]: 100}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("models:/fraud/1", 1),
        ("models:/fraud/02", 2),
        ("models:/fraud/production", 1),
        ("models:/fraud/latest", 2),
        ("models:/fraud@champion", 1),
    ],
)
def test_each_reference_means_what_it_means_in_mlflow(mlflow, home, text, version):
    """Over REST with the artifact proxy; what comes is a model."""
    found = resolve(parse_reference(text), home, settings(mlflow.uri))

    assert (found.name, found.version, found.label) == ("fraud", version, str(version))
    assert found.place == mlflow.uri
    assert (found.folder / "MLmodel").is_file()


def test_logged_models_and_runs_are_the_same_files(mlflow, home):
    """`models:/m-…`, `runs:/…`, the registered version and the artifact's own addresses."""
    first = mlflow.first
    addresses = [
        first["model_uri"],
        f"runs:/{first['run_id']}/model",
        first["artifact_uri"],
        first["artifact_uri"].replace("mlflow-artifacts:/", f"{mlflow.uri}/api/2.0/mlflow-artifacts/artifacts/"),
    ]

    found = [resolve(parse_reference(text), home, settings(mlflow.uri)) for text in addresses]

    assert len({each.label for each in found}) == 1


def test_the_servers_database_says_what_the_server_says(mlflow, home):
    """Read directly, sqlite:///; its artifacts are with the proxy, so a version is found but its files are the server's."""
    found = resolve(
        parse_reference("models:/fraud/production"),
        home,
        settings(mlflow.uri, MLFLOW_REGISTRY_URI=mlflow.database),
    )

    assert (found.version, found.place) == (1, str(mlflow.folder / "mlflow.db"))


def test_what_is_not_there_is_explained_by_what_is(mlflow, home):
    """Each place that was searched, in order."""
    with pytest.raises(NotFound) as caught:
        resolve(parse_reference("models:/fraud/staging"), home, settings(mlflow.uri))

    assert "no version of 'fraud' is in stage Staging" in caught.value.message
    assert [str(home.registry), mlflow.uri] == [place.split(": ")[0] for place in caught.value.searched]
    with pytest.raises(NotFound, match="Did you mean 'fraud'"):
        resolve(parse_reference("models:/frraud/1"), home, settings(mlflow.uri))


def test_a_version_is_fetched_once(mlflow, home):
    """The second time, the cache has it."""
    reference = parse_reference("models:/fraud/1")
    first = resolve(reference, home, settings(mlflow.uri))
    made = first.folder.stat().st_ino

    second = resolve(reference, home, settings(mlflow.uri))

    assert (second.folder, second.folder.stat().st_ino) == (first.folder, made)


def test_a_stage_is_followed_and_outlives_its_server(mlflow, podium):
    """Moved by MlflowClient, heard of here; the server gone, hanging, back: always an answer."""
    server = podium.serve("models:/fraud/production")
    assert prediction(server) == 1.0
    for version in (2, 1, 2):
        mlflow.do("stage", "fraud", version, "Production")
        moves_to(server, version)

    mlflow.stop()
    wait_until(lambda: not server.status()["source"]["is_up"], 150, "the outage is told")
    assert server.status()["source"]["down_since"] <= time.time()
    assert prediction(server) == 2.0

    mlflow.start()
    wait_until(lambda: server.status()["source"]["is_up"], 150, "the source is back")
    mlflow.suspend(is_suspended=True)
    wait_until(lambda: not server.status()["source"]["is_up"], 150, "a server that hangs is down")
    assert prediction(server) == 2.0
    mlflow.suspend(is_suspended=False)
    mlflow.do("stage", "fraud", 1, "Production")
    wait_until(lambda: prediction(server) == 1.0, 150, "it is followed again")
    assert server.stop() == 0


def test_an_alias_is_followed(mlflow, podium):
    """The same for `models:/fraud@champion`."""
    server = podium.serve("models:/fraud@champion")
    assert prediction(server) == 1.0

    mlflow.do("alias", "fraud", "champion", 2)

    moves_to(server, 2)
    assert podium.run("status", "-p", str(server.port), "--wait").returncode == 0
    assert server.stop() == 0


def test_a_rollout_lives_in_the_tags_of_a_registered_model(mlflow, podium, monkeypatch):
    """Begun and finished by the server that takes part, seen by MlflowClient; a veto that only MLflow was told counts."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.uri)
    mlflow.do("quick", "rolled", 1.0)
    mlflow.do("quick", "rolled", 2.0)
    mlflow.do("alias", "rolled", "champion", 1)
    rollouts, policy = Rollouts(podium.home), JudgingPolicy(predictions=None, least_requests=0)
    server = podium.serve("models:/rolled@champion", *_QUICKLY)
    assert prediction(server) == 1.0

    rollouts.start("rolled", to=2, steps=[50, 100], interval_s=1, alias="champion", policy=policy)
    wait_until(lambda: rollouts.status("rolled", alias="champion").state == "finished", _ROLLED_S, "it is finished")
    wait_until(lambda: shares(podium) == {"2": 100}, _ROLLED_S, "the candidate has all of it")

    first = rollout_tags(mlflow, "rolled")
    assert sorted(first) == ["", "begin", "finish"]
    assert (first[""]["candidate"], first[""]["stable"], first[""]["follows"]) == ("2", "1", "@champion")
    assert first["begin"]["by"].startswith("podium serve@")
    assert first["finish"]["is_moved"] is False

    # Both within one second of the server's clock, and heard of with one look.
    rollouts.undo("rolled", "too red", alias="champion")
    begun = rollouts.start("rolled", to=2, steps=[50, 100], interval_s=600, alias="champion", policy=policy, again=True)
    assert (begun.state, begun.rollout.stable) == ("running", "1")
    wait_until(lambda: shares(podium) == {"1": 50, "2": 50}, _ROLLED_S, "the first step")
    veto = {"at": rollouts.status("rolled", alias="champion").now, "by": "a monitor", "reason": "the fraud team saw it"}
    mlflow.do("tag", "rolled", f"podium.rollout.{begun.rollout.id}.veto", json.dumps(veto))

    wait_until(lambda: shares(podium) == {"1": 100}, _ROLLED_S, "the candidate has no traffic")
    wait_until(lambda: told(podium)["is_settled"], _ROLLED_S, "and every gateway knows")
    seen = told(podium)["rollout"]
    assert (seen["state"], seen["reason"], prediction(server)) == ("rejected", "the fraud team saw it", 1.0)
    assert [each.state for each in rollouts.history("rolled")] == ["undone", "rejected"]
    with pytest.raises(AlreadyExists, match="the fraud team saw it"):
        rollouts.start("rolled", to=2, alias="champion")
    assert server.stop() == 0


def test_two_nodes_agree_by_the_clock_of_the_registry(mlflow, podium, skewed, monkeypatch):
    """One's own clock is 30 s ahead, and it is killed, stopped, and alone; then a veto and a finish are written at once."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.uri)
    mlflow.do("quick", "shared", 1.0)
    mlflow.do("quick", "shared", 2.0)
    mlflow.do("stage", "shared", 1, "Production")
    rollouts, policy = Rollouts(podium.home), JudgingPolicy(predictions=None, least_requests=0)
    one, other = (each.serve("models:/shared/production", *_QUICKLY) for each in (podium, skewed))

    def both_have(**expected: int) -> None:
        versions = {name.removeprefix("v"): share for name, share in expected.items()}
        wait_until(lambda: shares(podium) == shares(skewed) == versions, _ROLLED_S, f"both have {versions}")

    rollouts.start("shared", to=2, steps=[20, 60, 100], interval_s=20, policy=policy)
    wait_until(lambda: rollouts.status("shared").phase.is_begun, _ROLLED_S, "one has loaded it")
    rollouts.pause("shared", "a look at the clocks")
    both_have(v1=80, v2=20)
    clocks = [told(each)["clock"] for each in (podium, skewed)]
    assert abs(clocks[0]["skew_s"]) <= clocks[0]["uncertainty_s"] + 1
    assert abs(clocks[1]["skew_s"] + _SKEW_S) <= clocks[1]["uncertainty_s"] + 1

    # Killed in the middle of a step, with all that it knew.
    os.kill(other.pid, signal.SIGKILL)
    other.process.wait(60)
    wait_until(lambda: not skewed.processes(), 150, "nothing of it is left")
    other = skewed.serve("models:/shared/production", *_QUICKLY)
    both_have(v1=80, v2=20)
    rollouts.resume("shared")
    both_have(v1=40, v2=60)

    # Nobody answers: the schedule goes on, and nothing is finished.
    mlflow.suspend(is_suspended=True)
    try:
        both_have(v2=100)
        assert told(podium)["rollout"]["state"] == "running"
    finally:
        mlflow.suspend(is_suspended=False)
    wait_until(lambda: rollouts.status("shared").state == "finished", _ROLLED_S, "it is finished")

    os.kill(other.pid, signal.SIGSTOP)
    rollouts.undo("shared", "too red")
    wait_until(lambda: shares(podium) == {"1": 100}, _ROLLED_S, "one has gone back")
    os.kill(other.pid, signal.SIGCONT)
    both_have(v1=100)

    begun = rollouts.start("shared", to=2, steps=[100], interval_s=0.5, policy=policy, again=True)
    wait_until(lambda: shares(podium) == {"2": 100} or shares(skewed) == {"2": 100}, _ROLLED_S, "one is at the end")
    veto = {"at": rollouts.status("shared").now, "by": "a monitor", "reason": "the fraud team saw it"}
    mlflow.do("tag", "shared", f"podium.rollout.{begun.rollout.id}.veto", json.dumps(veto))

    def both_obey() -> bool:
        # Asked again with each look: a finish from before the veto may be written after it, and counts.
        version = {"finished": "2", "rejected": "1"}[rollouts.status("shared").state]
        return shares(podium) == shares(skewed) == {version: 100}

    wait_until(both_obey, _ROLLED_S, "both obey the end that was first")
    assert (one.stop(), other.stop()) == (0, 0)


def test_a_database_in_the_current_folder_is_found_and_followed(tmp_path):
    """`./mlflow.db` with `./mlruns`, as MLflow makes them where nothing is configured; nothing is written beside them."""
    podium = Podium(tmp_path)
    podium.environment.pop("MLFLOW_TRACKING_URI", None)
    local = Mlflow(tmp_path, f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        local.do("log", "local", 1.0)
        local.do("log", "local", 2.0)
        local.do("stage", "local", 1, "Production")
        server = podium.serve("models:/local/production")
        assert prediction(server) == 1.0

        local.do("stage", "local", 2, "Production")

        moves_to(server, 2)
        assert server.stop() == 0
    finally:
        local.close()
        podium.end()
    assert not list(tmp_path.glob("mlflow.db-*"))


def test_a_copied_version_is_followed_to_its_files(mlflow, home):
    """`copy_model_version` makes a version whose source is `models:/fraud/1`."""
    mlflow.do("copy", "fraud", 1, "copied")

    found = resolve(parse_reference("models:/copied/1"), home, settings(mlflow.uri))

    assert (found.folder / "MLmodel").is_file()


def test_an_observer_that_never_saw_the_server_says_it_is_down(home):
    """Nobody listens there."""
    observer = RegistryObserver(home, settings(f"http://127.0.0.1:{free_port()}"))

    with pytest.raises(RegistryError, match="cannot be reached"):
        observer.resolve(parse_reference("models:/fraud/production"))


def test_a_list_of_all_models_says_the_same_over_rest_and_from_the_database(mlflow, home):
    """Stages, aliases and tags of each, by one request; what a version's own question says, the list says too."""
    mlflow.do("copy", "fraud", 1, "listed")
    mlflow.do("alias", "listed", "champion", 1)
    served = open_stores(settings(mlflow.uri), timeout_s=120, retries=0).registry
    stored = open_stores(settings(mlflow.database), timeout_s=120, retries=0).registry
    over_rest, from_database = ({each.name: each for each in store.listed()[0]} for store in (served, stored))

    assert over_rest.keys() == from_database.keys() >= {"fraud", "listed"}
    for name, listed in over_rest.items():
        other = from_database[name]
        assert (listed.aliases, listed.tags, listed.created_ms) == (other.aliases, other.tags, other.created_ms)
        assert {each.number: each.stage for each in listed.latest} == {each.number: each.stage for each in other.latest}
    live = served.highest("fraud", Stage.PRODUCTION)
    assert live in over_rest["fraud"].latest
    census = MlflowCensus(home, "@champion", settings(mlflow.uri))
    assert {"fraud", "listed"} <= {name for name, each in census.gather(120).items() if each.resolved is not None}


def test_a_whole_registry_is_served_as_it_is_there(mlflow, podium):
    """Models appear and move and, deleted, go; while the server hangs, everything goes on."""
    mlflow.do("stage", "fraud", 1, "Production")
    server = podium.serve(None, "--registry", "mlflow:production", "--poll-interval", "0.2")

    def answer(name: str) -> object:
        try:
            status, _, body = server.post({"inputs": [[0.0]]}, f"/models/{name}/invocations")
        except TimeoutError:
            return None  # It still waits for its model, on a machine that has much else to do.
        return json.loads(body)["predictions"][0] if status == 200 else status

    assert (answer("fraud"), answer("later")) == (1.0, 404)
    mlflow.do("copy", "fraud", 1, "later")
    mlflow.do("stage", "later", 1, "Production")
    wait_until(lambda: answer("later") == 1.0, _COMES_S, "a new model appears")
    mlflow.do("copy", "fraud", 2, "later")
    mlflow.do("stage", "later", 2, "Production")
    wait_until(lambda: answer("later") == 2.0, _COMES_S, "its stage moves")
    mlflow.suspend(is_suspended=True)
    wait_until(lambda: "the registry does not answer" in server.said(), _COMES_S, "the outage is told")
    assert (answer("fraud"), answer("later")) == (1.0, 2.0)
    mlflow.suspend(is_suspended=False)
    wait_until(lambda: "the registry answers again" in server.said(), _COMES_S, "its end is told")
    mlflow.do("delete", "later")
    wait_until(lambda: answer("later") == 404, _COMES_S, "what was deleted goes")
    assert answer("fraud") == 1.0
    assert server.stop() == 0
