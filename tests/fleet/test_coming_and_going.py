"""Endpoints that come and go while a server runs: loaded, unloaded, asleep, woken, evicted."""

import contextlib
import http.client
import json
import os
import signal
import socket
import threading

import pytest
from authority import Authority
from cryptography.x509 import DNSName
from tinyhouse import Load, until

from podium.fleet.host.machine import resident_bytes


def state(server, name):
    endpoint = server.status["endpoints"].get(name)
    return None if endpoint is None else endpoint["state"]


def ask(server, name, milliseconds=0):
    return server.ask(milliseconds, path=f"/models/{name}/invocations")


def labelled(server, name):
    """Which version answers, by what it says itself and by what its answer is called."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)) as connection:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", f"/models/{name}/invocations", b'{"inputs": [[0]]}', kind)
        response = connection.getresponse()
        return json.loads(response.read())["predictions"][0][0], response.headers["x-podium-version"]


def post(server, path, body=None):
    status, text = server.send("POST", path, body)
    return status, json.loads(text) if text else None


@pytest.fixture
def folders(house):
    return {f"m{number}": house.model(number) for number in range(1, 5)}


def named(folders, *flags):
    return [part for name, folder in folders.items() for part in ("-m", f"{name}={folder}")] + list(flags)


@pytest.mark.slow
def test_models_sleep_until_they_are_asked_and_the_least_used_goes(house, folders):
    """Two of four at a time: nothing is loaded at the start, no request fails, the oldest makes room."""
    with house.serving("-p", "0", "--gateways", "2", *named(folders, "--max-resident", "2"), uri=None) as server:
        assert [state(server, name) for name in folders] == ["asleep"] * 4
        assert server.get("/readyz")[0] == 200
        assert server.get("/models/m1/ready")[0] == 200
        answers = [ask(server, name) for name in (*folders, "m1")]
        until(lambda: sum(bool(server.workers(name)) for name in folders) <= 2, "no more than two stay")
        said = server.said()
    assert [status for status, _ in answers] == [200] * 5
    assert [answer[0] for _, answer in answers] == [1, 2, 3, 4, 1]
    assert next(line for line in said.splitlines() if "sleeps: to make room" in line) == "m1: sleeps: to make room for m3"


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_wakes_is_started_again(house):
    """Once says nothing of the model: who waits is answered. At the third time it is given up, until it is loaded."""
    gates = {name: house.gate(name) for name in ("a", "b")}
    folders = {name: house.model(number, gates[name].wait) for number, name in enumerate(gates, 1)}
    with house.serving("-p", "0", *named(folders, "--resident", "demand", "--timeout", "240"), uri=None) as server:
        for gate in gates.values():
            gate.close()
        asked = {name: Asking(server, name) for name in gates}
        kill_starting(server, "a", times=1)
        gates["a"].open()
        kill_starting(server, "b", times=3)
        gates["b"].open()
        status, (version, pid) = asked["a"].answer()
        assert (status, version) == (200, 1)
        until(lambda: pid in server.workers("a"), "the status has the worker that answered")
        status, answer = asked["b"].answer()
        assert (status, answer["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "did not load" in answer["message"]
        assert server.status["endpoints"]["b"]["wanted_failure"]["cause"] == "killed"

        assert post(server, "/models", {"model_name": "b", "url": str(folders["b"])})[0] == 200
        status, (version, pid) = ask(server, "b")
        assert (status, version) == (200, 2)
        until(lambda: pid in server.workers("b"), "the status has the worker that answered")


@pytest.mark.slow
def test_a_sleeper_that_served_before_wakes_whatever_is_killed(house):
    """It sleeps when nobody asked for a while; killed while it wakes, it starts again and nobody notices."""
    gate = house.gate("load")
    slow = house.model(1, gate.wait)
    with house.serving("-p", "0", "-m", f"a={slow}", "--sleep-after", "1", "--timeout", "240", uri=None) as server:
        assert "podium serves" in server.said()
        until(lambda: state(server, "a") == "asleep" and not server.status["endpoints"]["a"]["replicas"], "it sleeps")
        gate.close()
        waiting = [Asking(server, "a") for _ in range(5)]
        kill_starting(server, "a", times=1)
        gate.open()
        answers = [each.answer() for each in waiting]
    assert [status for status, _ in answers] == [200] * 5


@pytest.mark.slow
def test_a_folder_that_is_edited_while_its_model_sleeps_is_never_served_under_another_label(house):
    """Before it was ever loaded it fails, and says the way out; one that was loaded before wakes as what it was."""
    folder = house.model(1)
    code = folder / "code" / "tinymodel.py"
    flags = ("--resident", "demand", "--sleep-after", "2")
    with house.serving("-p", "0", "-m", f"a={folder}", *flags, uri=None) as server:
        first = server.status["endpoints"]["a"]["wanted"]
        code.write_text(code.read_text().replace("VERSION = 1", "VERSION = 2"))
        refused = ask(server, "a")
        failure = server.status["endpoints"]["a"]["wanted_failure"]["message"]
        assert post(server, "/v2/repository/models/a/load")[0] == 200
        taken = labelled(server, "a")
        until(lambda: state(server, "a") == "asleep" and not server.workers("a"), "it sleeps")
        code.unlink()
        woken = labelled(server, "a")
    assert refused[0] == 503
    assert first in failure
    assert "podium load NAME takes in what it holds now" in failure
    assert taken[0] == 2
    assert taken[1] != first
    assert woken == taken


@pytest.mark.slow
def test_memory_is_promised_before_it_is_taken(house, folders):
    """All are asked for at once, and two fit by what the first one took: never more than the budget, nobody refused."""
    with house.serving("-p", "0", *named(folders, "--memory-budget", "400MiB"), uri=None) as server:
        asked = [Asking(server, name) for name in folders]
        held = []
        until(lambda: held.append(resident(server, folders)) or all(each.is_over for each in asked), "all are answered")
        answers = [each.answer() for each in asked]
    assert [status for status, _ in answers] == [200] * 4
    assert max(held) <= 400 << 20


@pytest.mark.slow
def test_models_are_loaded_and_unloaded_while_others_serve(house, folders):
    """By name, by address where that is allowed; what goes gets 404, and no request of another is lost."""
    flags = ("-m", f"m1={folders['m1']}", "-m", f"m2={folders['m2']}", "--allow-load", "any")
    with house.serving("-p", "0", *flags, uri=None) as server:
        with Load(server, 1, path="/models/m1/invocations") as others:
            new = house.command("load", f"m3={folders['m3']}")
            again = post(server, "/v2/repository/models/m3/load")
            taken = post(server, "/models", {"model_name": "m3", "url": str(folders["m3"])})
            answered = ask(server, "m3")
            gone = house.command("unload", "m2")
            missing = ask(server, "m2")
            listed = {each["name"]: each["state"] for each in post(server, "/v2/repository/index")[1]}
            back = post(server, "/v2/repository/models/m2/load")
            until(lambda: len(others.answers) > 20, "others are answered")
        absent = [post(server, f"/v2/repository/models/nope/{verb}")[0] for verb in ("load", "unload")]
        fought = [Asking(server, verb, at_once=3) for verb in ("load", "unload")]
        assert {status for each in fought for status in each.answer()} <= {200, 404, 409}
        assert post(server, "/v2/repository/models/m2/load")[0] == 200
        kept = sorted(path.name for path in (house.home / "run").glob("*/endpoints/*"))
        metrics = server.get("/metrics")[1]
        pages = [server.send("GET", path) for path in ("/models", "/models/m3", "/models/nope")]
        removed = server.send("DELETE", "/models/m3")[0], server.send("DELETE", "/models/m3")[0]
        [gone_from_index] = [each for each in post(server, "/v2/repository/index")[1] if each["name"] == "m3"]
        by_name = post(server, "/v2/repository/models/m3/load")[0]
    assert new.stdout.startswith("m3 serves version "), new.stderr
    assert (again[0], taken[0], answered) == (200, 409, (200, [3, answered[1][1]]))
    assert gone.stdout.startswith("m2 is unloaded"), gone.stderr
    assert (missing[0], missing[1]["message"]) == (404, "No model is served here as m2. These are: m1, m3.")
    assert listed == {"m1": "READY", "m2": "UNAVAILABLE", "m3": "READY"}
    assert (back[0], absent, others.failed) == (200, [404, 404], [])
    assert kept == ["m1", "m2", "m3"]
    assert 'model="m2"' in metrics
    assert [status for status, _ in pages] == [200, 200, 404]
    assert json.loads(pages[1][1]) == {"modelName": "m3", "modelUrl": str(folders["m3"])}
    assert removed == (200, 404)
    assert gone_from_index.pop("version") == again[1]["version"]
    assert (gone_from_index, by_name) == (
        {"name": "m3", "state": "UNAVAILABLE", "reason": "unloaded, as somebody asked"},
        200,
    )


@pytest.mark.slow
def test_a_load_that_fails_leaves_what_serves_and_says_why(house, folders):
    """Another address under the same name; the old version answers on, the index has the reason, a retry is a retry."""
    broken = house.model(9, "raise ValueError('no')")
    with house.serving("-p", "0", "-m", f"m1={folders['m1']}", "--allow-load", str(house.folder), uri=None) as server:
        failed = house.command("load", f"m1={broken}")
        [entry] = post(server, "/v2/repository/index")[1]
        still = ask(server, "m1")
        outside = post(server, "/v2/repository/models/x/load", {"parameters": {"uri": "/etc"}})
        link = house.folder / "link"
        link.symlink_to("/etc")
        round_about = post(server, "/v2/repository/models/x/load", {"parameters": {"uri": str(link / "ssl")}})
        code = broken / "code" / "tinymodel.py"
        code.write_text(code.read_text().replace("raise ValueError('no')", "pass"))
        mended = post(server, "/v2/repository/models/m1/load")
        now = ask(server, "m1")
    assert failed.returncode == 2
    assert "ValueError: no" in failed.stderr
    assert "keeps serving" in failed.stderr
    assert (entry["state"], "ValueError: no" in entry["reason"], still[1][0]) == ("READY", True, 1)
    assert (outside[0], round_about[0]) == (403, 403)
    assert (mended[0], now[1][0]) == (200, 9)


@pytest.mark.slow
def test_a_server_may_begin_with_nothing(house, folders):
    """As SageMaker starts a container for many models: ready, told what to load, and again empty."""
    house.environment["SAGEMAKER_MULTI_MODEL"] = "true"
    with house.serving("-p", "0", "--allow-load", str(house.folder), uri=None) as server:
        empty = server.get("/ping")[0], server.ask()[0], json.loads(server.send("GET", "/models")[1])
        status = house.command("status")
        loaded = post(server, "/models", {"model_name": "a.b-1", "url": str(folders["m1"])})
        answer = server.send("POST", "/models/a.b-1/invoke", {"inputs": [[0]]})
        odd = [post(server, "/models", body)[0] for body in ({}, {"model_name": "../x", "url": str(folders["m1"])}, [])]
        server.send("DELETE", "/models/a.b-1")
        ready = server.get("/ping")[0]
        parameters = json.loads(server.get("/execution-parameters")[1])
    assert empty == (200, 404, {"models": []})
    assert status.returncode == 0, status.stderr
    assert (loaded[0], answer[0], odd, ready) == (200, 200, [400, 400, 400], 200)
    assert parameters == {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 100}


@pytest.mark.slow
def test_commands_believe_the_certificate_of_a_server_that_runs_here(house, folders):
    """Whatever name it is for, and whoever vouches for it: it stands in the server's own settings."""
    certificate, key = Authority(house.folder).pair("server", DNSName("fraud.example"))
    rows = house.folder / "rows.json"
    rows.write_text('{"inputs": [[0]]}')
    flags = ("-m", f"m1={folders['m1']}", "--allow-load", "any", "--tls-cert", certificate.name, "--tls-key", key.name)
    with house.serving("-p", "0", *flags, uri=None) as server:
        loaded = house.command("load", f"m2={folders['m2']}")
        unloaded = house.command("unload", "m2")
        asked = f"https://127.0.0.1:{server.port}/models/m1/invocations"
        schedule = ("--rate", "20", "--duration", "0.2s", "--warm-up", "0s", "--data", str(rows))
        measured = house.command("bench", asked, *schedule, "--json")
        said = server.status["certificate"]
    assert loaded.stdout.startswith("m2 serves version "), loaded.stderr
    assert unloaded.stdout.startswith("m2 is unloaded"), unloaded.stderr
    assert json.loads(measured.stdout)["is_met"], measured.stdout + measured.stderr
    assert said == str(certificate)


@pytest.mark.slow
def test_a_server_that_ends_waits_for_nothing_that_is_loaded(house):
    """For no load that somebody asked for, no model that wakes, no registry that hangs: whoever waits is told so."""
    hangs = [house.model(number, "import time; time.sleep(600)") for number in (1, 2)]
    flags = ("-m", f"a={hangs[0]}", "--resident", "demand", "--allow-load", "any")
    with socket.create_server(("127.0.0.1", 0)) as registry:
        registry.settimeout(60)
        house.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{registry.getsockname()[1]}"
        with house.serving("-p", "0", *flags, uri=None) as server:
            asked = [Asking(server, "a"), Loading(server, "b", hangs[1]), Loading(server, "c", "models:/far/1")]
            until(lambda: starting(server, "a") and state(server, "b") and starting(server, "b"), "both load")
            never_answered, _ = registry.accept()

            status = server.stop()
            answers = [each.answer() for each in asked]
            never_answered.close()
    assert status == 0
    assert [answer[0] for answer in answers] == [503, 503, 503]
    assert [answer[1] for answer in answers[1:]] == [{"error": "The server is shutting down."}] * 2


def resident(server, names):
    pids = [
        replica["pid"]
        for name in names
        for replica in server.status["endpoints"][name]["replicas"]
        if replica["pid"] is not None
    ]
    return sum(resident_bytes(pid) for pid in pids)


def starting(server, name):
    replicas = server.status["endpoints"][name]["replicas"]
    loading = [each["pid"] for each in replicas if each["state"] == "starting" and each["step"] == "load"]
    return [pid for pid in loading if pid]  # One that has just died is starting for a moment longer, without a process.


def kill_starting(server, name, times):
    """Kill each worker that loads a model, until so many were."""
    killed = set()
    for _ in range(times):
        found = set()
        until(lambda: found.update(set(starting(server, name)) - killed) or found, f"{name} loads")  # noqa: B023
        (pid,) = found
        os.kill(pid, signal.SIGKILL)
        killed.add(pid)


class Asking:
    """A request in a thread of its own: for a prediction, or so often for m2 to be loaded or unloaded."""

    def __init__(self, server, name, at_once=0):
        self._found = None
        self._thread = threading.Thread(target=self._move if at_once else self._ask, args=(server, name, at_once))
        self._thread.start()

    def _ask(self, server, name, _):
        self._found = ask(server, name)

    def _move(self, server, verb, times):
        self._found = [post(server, f"/v2/repository/models/m2/{verb}")[0] for _ in range(times)]

    @property
    def is_over(self):
        return not self._thread.is_alive()

    def answer(self):
        self._thread.join(120)
        return self._found


class Loading(Asking):
    """A load of what lies in a folder, in a thread of its own."""

    def __init__(self, server, name, folder):
        self._folder = folder
        super().__init__(server, name)

    def _ask(self, server, name, _):
        self._found = post(server, f"/v2/repository/models/{name}/load", {"parameters": {"uri": str(self._folder)}})
