"""`podium.serve`: from an object or a URI to predictions, and to no process at all."""

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from authority import Authority
from tinyhouse import NAME, PRODUCTION, House, until

import podium
from podium import errors


@pytest.fixture
def house(tmp_path, monkeypatch):
    made = House(tmp_path)
    for name in ("PODIUM_HOME", "LC_TEST_HOME"):
        monkeypatch.setenv(name, str(made.home))
    monkeypatch.chdir(tmp_path)
    yield made
    assert made.processes() == {}


def told_of(pids: Iterable[int]) -> list[bytes]:
    """What everybody on this machine may read of processes; one that ends meanwhile says nothing."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found += [Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    return found


def doubled(frame: pd.DataFrame) -> pd.DataFrame:
    if (frame["x"] == 13).any():
        raise RuntimeError("unlucky")
    return pd.DataFrame({"twice": frame["x"] * 2})


FRAME = pd.DataFrame({"x": [1.0, 2.5]})


def test_a_fitted_estimator_is_served_as_it_predicts_here(house):
    """Saved to a folder of its own, served, asked, and gone; input is a frame, a list of records or a request."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)

    with podium.serve(model, input_example=X.head(2), threads=2, max_body="1MiB") as server:
        answer = server.predict(X)
        few = server.predict(X.head(3).to_dict("records"))
        whole = server.predict({"dataframe_split": X.head(3).to_dict("split")})
        settings = server.status()["settings"]
        running = " ".join(house.processes().values())

    assert answer.tolist() == model.predict(X).tolist()
    assert few.tolist() == whole.tolist() == answer[:3].tolist()
    assert settings["serve.threads"] == {"value": "2", "source": "podium.serve(threads=…)"}
    assert settings["limits.max_body"]["value"] == "1MiB"
    # The fixture looks for what is left: here is what it would find.
    assert all(module in running for module in ("podium.api.tethered", "podium.serving", "podium.worker"))


def test_a_server_that_requires_keys_knows_whoever_holds_it(house, tmp_path):
    """By a key that is in no file, command line, variable or log; over TLS too, where its own certificate is believed."""
    authority = Authority(tmp_path)
    certificate, key = authority.pair("server")

    tls = {"tls_cert": str(certificate), "tls_key": str(key)}
    with podium.serve(doubled, input_example=FRAME, require_keys=True, gateways=1, **tls) as server:
        answer = server.predict(FRAME)
        state = server.status()["endpoints"]
        secret = server._key
        seen = told_of(house.processes())
        strangers = http.client.HTTPSConnection(
            "127.0.0.1", int(server.url.rpartition(":")[2]), context=ssl._create_unverified_context()
        )
        strangers.request("POST", "/invocations", b"{}", {"Content-Type": "application/json"})
        refused = strangers.getresponse().status
        strangers.close()
        assert secret not in repr(server)

    kept = [path.read_bytes() for path in house.home.rglob("*") if path.is_file()]
    assert (answer["twice"].tolist(), len(state), refused) == ([2.0, 5.0], 1, 401)
    assert not house.home.joinpath("keys.json").exists()
    assert len(seen) > 2
    assert not any(secret.encode() in each for each in [*seen, *kept])


def test_a_frame_answers_a_frame_and_missing_values_pass_both_ways(house):
    """With the index of what was asked."""
    with podium.serve(doubled, input_example=FRAME) as server:
        answer = server.predict(pd.DataFrame({"x": [1.0, np.nan]}, index=[7, 9]))

    pd.testing.assert_frame_equal(answer, pd.DataFrame({"twice": [2.0, np.nan]}, index=[7, 9]))


def test_the_errors_of_a_server_are_raised_by_their_kind(house):
    """What does not fit, what the model itself raised, what is too large, what is not there any more."""
    with podium.serve(doubled, input_example=FRAME, max_body="2K") as server:
        with pytest.raises(errors.SchemaMismatch, match="missing inputs") as caught:
            server.predict(pd.DataFrame({"y": [1.0]}))
        with pytest.raises(errors.PredictFailed):
            server.predict(pd.DataFrame({"x": [13.0]}))
        with pytest.raises(errors.BodyTooLarge, match="2048 bytes"):
            server.predict(pd.DataFrame({"x": [1.0] * 1000}))
    with pytest.raises(errors.Unavailable, match="has ended"):
        server.predict(FRAME)

    assert "HTTP 400, request " in caught.value.__notes__[0]


def test_a_stage_is_followed_while_it_is_served(house):
    """Promoted, and the same server answers with the next version."""
    house.register(1)
    house.register(2)
    house.promote(1)

    with podium.serve(PRODUCTION, poll_interval=0.1) as server:
        before = server.predict([[0.0]])[0]
        house.promote(2)
        until(lambda: itemgetter("is_settled", "serving")(server.status()) == (True, "2"), "version 2 serves")
        after = server.predict([[0.0]])[0]

    assert (before[0], after[0]) == (1, 2)


def test_what_is_wrong_at_start_is_raised_as_the_command_says_it(house):
    """No such model, one that does not load, a taken port, settings that do not fit: same class, same sentence."""
    house.register(1, while_loading="raise RuntimeError('no weights')")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cases = [
            (errors.NotFound, f"models:/{NAME}x/1", {}),
            (errors.LoadFailed, f"models:/{NAME}/1", {}),
            (errors.Misconfigured, f"models:/{NAME}/1", {"port": port}),
            (errors.Misconfigured, f"models:/{NAME}/1", {"batching": "off", "row_independent": True}),
        ]
        for kind, uri, settings in cases:
            with pytest.raises(kind) as caught:
                podium.serve(uri, **settings)
            flags = [f"--{key}={value}".replace("_", "-").replace("=True", "") for key, value in settings.items()]
            said = house.command("serve", "-m", uri, *(flags or ["--port=0"])).stderr

            assert caught.value.message.splitlines()[0].partition(" (podium.serve")[0] in said
            assert type(caught.value) is kind
    with pytest.raises(errors.Misconfigured, match=r"podium.serve\(worker=…\).*Did you mean 'workers'"):
        podium.serve(PRODUCTION, worker=2)
    with pytest.raises(errors.Misconfigured, match=r"podium.serve\(timeout=…\): serve.timeout is 'x'"):
        podium.serve(PRODUCTION, timeout="x")


def test_a_running_event_loop_and_other_threads_are_no_hindrance(house):
    """As in a notebook: the loop runs, and signal handlers may be set in the main thread only."""
    house.register(1)

    async def in_a_loop():
        with podium.serve(f"models:/{NAME}/1") as server:
            return [await asyncio.to_thread(server.predict, [[0.0]]) for _ in range(3)]

    answers = []
    thread = threading.Thread(target=lambda: answers.extend(asyncio.run(in_a_loop())))
    thread.start()
    thread.join(240)

    assert [int(answer[0][0]) for answer in asyncio.run(in_a_loop()) + answers] == [1] * 6


def test_stopping_twice_and_leaving_by_an_error_are_fine(house):
    """The error passes through; stopped is stopped."""
    house.register(1)
    with pytest.raises(ZeroDivisionError), podium.serve(f"models:/{NAME}/1") as server:
        _ = 1 / 0
    server.stop()

    assert repr(server).endswith("(stopped)>")


# What a script does after its server is up, and the exit status that follows.
_ENDINGS = {
    "its end without a stop": ("pass", 0),
    "an error": ("raise SystemExit(3)", 3),
    "nobody holds the server": ("del server; import gc; gc.collect(); assert not children(), children()", 0),
    "ctrl-c": (
        "signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), signal.SIGINT); signal.pause()",
        130,
    ),
    "kill -9": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "kill -9, with a forked child that lives on": (
        "pid = os.fork() or (time.sleep(600), os._exit(0)); print(pid); os.kill(os.getpid(), signal.SIGKILL)",
        -9,
    ),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -15),
    "a forked child that ends": (
        "pid = os.fork() or sys.exit(0); os.waitpid(pid, 0); assert server.predict([[0.0]])[0][0] == 1",
        0,
    ),
    "a forked child that wants to stop it": (
        """
pid = os.fork()
if pid == 0:
    try:
        server.stop()
    except podium.errors.Misconfigured as error:
        os._exit(0 if f"Process {os.getppid()} started this server" in error.message else 1)
    os._exit(2)
assert os.waitpid(pid, 0)[1] == 0
assert server.predict([[0.0]])[0][0] == 1
""",
        0,
    ),
}
_SCRIPT = """
import os, pathlib, signal, sys, time
import podium

def children():
    return pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

server = podium.serve("models:/tiny/1")
assert server.predict([[0.0]])[0][0] == 1
"""


@pytest.mark.parametrize("ending", _ENDINGS)
def test_no_process_is_left_however_the_script_ends(house, ending):
    """Supervisor, gateway and worker go with the process that wanted them, and only with it."""
    house.register(1)
    statement, status = _ENDINGS[ending]

    with (house.folder / "out.txt").open("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(_SCRIPT) + statement],
            env=house.environment,
            cwd=house.folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        # An interrupt that nobody handles ends Python by that signal.
        assert process.wait(240) in {status, -2 if status == 130 else status}, (house.folder / "out.txt").read_text()
        out.seek(0)
        forked = [int(line) for line in out.read().splitlines() if line.isdigit()]
    until(lambda: set(house.processes()) <= set(forked), "no process is left")

    for pid in forked:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not house.processes(), "nor the forked one")


def tripled(rows: list[float]) -> list[float]:
    return [3 * row for row in rows]


def halved(rows: list[float]) -> list[float]:
    return [row / 2 for row in rows]


def test_several_models_are_served_by_one_server_and_asked_by_name(house):
    """A mapping of names to models; the first is asked where none is named, and a name that there is not is refused."""
    with podium.serve({"halved": halved, "tripled": tripled}) as server:
        assert server.models == ("halved", "tripled")
        assert server.predict([2.0]).tolist() == [1.0]
        assert server.predict([2.0], model="tripled").tolist() == [6.0]
        with pytest.raises(errors.NotFound, match=r"No model is served here as squared\. These are: halved, tripled"):
            server.predict([2.0], model="squared")


def test_of_several_models_one_that_does_not_load_is_warned_of(house, tmp_path):
    """The others serve; what is asked of it is Unavailable at once."""
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: podium_has_no_such_module\n")

    with pytest.warns(RuntimeWarning, match=r"^bad is not served: .*podium_has_no_such_module"):
        server = podium.serve({"bad": folder, "tripled": tripled})
    with server:
        assert server.predict([2.0], model="tripled").tolist() == [6.0]
        with pytest.raises(errors.Unavailable):
            server.predict([2.0])


@pytest.mark.parametrize(("models", "said"), [({}, "no model is named"), ({"a/b": tripled}, "cannot be called 'a/b'")])
def test_a_mapping_without_models_or_with_a_name_that_is_none_is_refused(house, models, said):
    """Before anything is saved or started."""
    with pytest.raises(errors.Misconfigured, match=said):
        podium.serve(models)


def test_what_is_for_a_single_model_is_refused_for_several(house):
    """An example fits one model."""
    with pytest.raises(errors.Misconfigured, match="are for a single model"):
        podium.serve({"tripled": tripled}, input_example=[1.0])
