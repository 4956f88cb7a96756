"""Several models on one server: what befalls one is its own."""

import os
import signal

import pytest
from tinyhouse import PRODUCTION, Load, until


@pytest.fixture
def three(house):
    """`tiny` follows its stage (versions 1 and 2); `b` and `c` are folders that answer 3 and 4."""
    for version in (1, 2):
        house.register(version)
    house.promote(1)
    return [f"tiny={PRODUCTION}", "-m", f"b={house.model(3)}", "-m", f"c={house.model(4)}"]


def versions(server, *names):
    return [server.ask(path=f"/models/{name}/invocations")[1][0] for name in names]


def serving(house, named, *flags):
    return house.serving(*named[1:], *flags, uri=named[0])


@pytest.mark.slow
def test_one_is_swapped_and_another_killed_and_nobody_else_loses_a_request(house, three):
    """Under light load on all; the killed one's requests are sent again, so that even they are answered."""
    with serving(house, three, "--poll-interval", "0.1") as server:
        assert versions(server, "tiny", "b", "c") == [1, 3, 4]
        with (
            Load(server, 1, path="/invocations") as tiny,
            Load(server, 1, path="/models/b/invocations") as b,
            Load(server, 1, path="/endpoints/c/invocations") as c,
        ):
            [before] = [replica["pid"] for replica in server.status["endpoints"]["c"]["replicas"]]
            house.promote(2)
            until(lambda: server.status["endpoints"]["tiny"]["is_settled"] and server.status["serving"] == "2", "swapped")
            os.kill(server.workers("b")[0], signal.SIGKILL)
            until(lambda: server.status["endpoints"]["b"]["restarts"]["workers"] == 1, "b is restarted")
            until(lambda: server.status["endpoints"]["b"]["is_settled"], "b serves again")
            until(lambda: len(b.answers) > 20, "b answers")
            until(lambda: tiny.versions()[-1] == 2, "2 answers")
        assert (tiny.failed, b.failed, c.failed) == ([], [], [])
        assert (tiny.versions(), b.versions(), c.versions()) == ([1, 2], [3], [4])
        assert {answer[1] for _, answer in c.answers} == {before}
        assert server.status["swaps"] == 1
        assert [each["swaps"] for each in server.status["endpoints"].values()] == [1, 0, 0]
        until(lambda: 'podium_worker_restarts_total{model="b"} 1' in server.get("/metrics")[1], "gateways know it, too")
        metrics = server.get("/metrics")[1]
        assert server.stop() == 0
    assert 'podium_worker_restarts_total{model="c"} 0' in metrics
    assert house.processes() == {}


def test_one_that_does_not_load_is_said_and_the_others_serve(house):
    """Ready once it is decided; its own requests get 503 at once, and a better version is served when there is one."""
    house.register(1, "raise ValueError('no')")
    house.register(2)
    house.promote(1)
    named = [f"tiny={PRODUCTION}", "-m", f"b={house.model(3)}", "-m", "ghost=models:/ghost/production"]
    with serving(house, named, "--poll-interval", "0.1") as server:
        assert server.get("/readyz")[0] == 200
        assert [server.get(f"/models/{name}/ready")[0] for name in ("tiny", "b", "ghost")] == [503, 200, 503]
        assert [server.ask(path=f"/models/{name}/invocations")[0] for name in ("tiny", "b", "ghost")] == [503, 200, 503]
        assert [each["state"] for each in server.status["endpoints"].values()] == ["failed", "serving", "failed"]
        assert "tiny: version 1 did not load (load_error): " in server.said()
        assert "no registered model is named 'ghost'" in server.said()
        waited = house.command("status", "--wait", "tiny")
        shown = house.command("status").stdout

        house.promote(2)
        until(lambda: server.status["endpoints"]["tiny"]["is_settled"], "2 serves")
        mended = server.ask(path="/invocations")
        stopped = house.command("stop").stdout
    assert (waited.returncode, "did not load" in waited.stderr) == (1, True)
    assert [line.split()[:2] for line in shown.splitlines() if line.startswith(("tiny ", "b ", "ghost "))] == [
        ["tiny", "failed"], ["b", "serving"], ["ghost", "failed"],
    ]  # fmt: skip
    assert (mended[0], mended[1][0]) == (200, 2)
    assert stopped.startswith("stopped tiny, b, ghost (http://")


def test_a_server_of_which_no_model_loads_ends_and_says_why_of_each(house):
    """Exit status 1, each model by its name."""
    first, second = house.model(1, "raise ValueError('one')"), house.model(2, "raise ValueError('two')")

    ended = house.command("serve", "-m", f"a={first}", "-m", f"b={second}", "-p", "0")

    assert ended.returncode == 1
    assert "None of the 2 models can be served." in ended.stderr
    assert all(word in ended.stderr for word in ("a: Version", "ValueError: one", "b: Version", "ValueError: two"))


def test_models_are_named_in_a_file_each_with_its_own_settings(house):
    """podium.toml; two replicas for one, one for the other. Status, logs and clash by the command line."""
    first, second = house.model(1), house.model(2)
    (house.folder / "podium.toml").write_text(
        f'[serve]\nport = 0\n[models.a]\nuri = "{first}"\nworkers = 2\n[models.b]\nuri = "{second}"\n'
    )
    clash = house.command("serve", "-m", str(first), "-m", f"{first.name}={second}")
    with house.serving(uri=None) as server:
        assert [each["replicas_wanted"] for each in server.status["endpoints"].values()] == [2, 1]
        until(lambda: len(server.workers("a")) == 2, "both replicas of a are ready")
        assert server.status["settings"]["models.a.workers"] == {"value": "2", "source": "podium.toml:5"}
        assert versions(server, "a", "b") == [1, 2]
        one = house.command("status", "b").stdout
        unknown = house.command("status", "bb")
        logs = house.command("logs").stdout
    assert clash.returncode == 2
    assert f"Two models are called {first.name}" in clash.stderr
    assert f"uri           {second}" in one
    assert "Did you mean 'b'?" in unknown.stderr
    assert "server/supervisor: " in logs
