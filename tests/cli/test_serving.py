"""`podium serve`, `status`, `logs` and `stop`, as a person types them."""

import json
import os
import shlex
import socket
import subprocess
import sys

import pytest
from tinyhouse import NAME, PRODUCTION, House, Server, until


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


@pytest.fixture
def one(house):
    house.register(1)
    house.promote(1)
    return house


def test_serve_says_where_what_and_how_far_it_can_be_trusted(one):
    """URL, version, flavor, interpreter, requirements, batching with its reason, and a command to paste."""
    with one.serving() as server:
        said = server.said()

        assert f"podium serves {PRODUCTION} at http://127.0.0.1:{server.port}" in said
        assert "version       1, verified against the registry (sha256:" in said
        assert "flavor        python_function" in said
        assert "interpreter   Python 3" in said
        assert "requirements  met" in said
        assert "batching      off: " in said
        pasted = shlex.split(said.split("Try it:")[1].strip().splitlines()[0])
        done = subprocess.run(
            [*pasted, "-s", "-o", "/dev/null", "-w", "%{http_code}"], capture_output=True, text=True, check=False
        )
        assert done.stdout == "200"


def test_a_folder_is_served_as_unverified_and_a_mismatch_is_named(house):
    """No record of its content exists; what its requirements.txt wants and does not get is said."""
    folder = house.model(5)
    (folder / "requirements.txt").write_text("numpy==0.0.1\nno-such-package\n")
    with house.serving("--name", "mine", uri=str(folder)) as server:
        said, document = server.said(), server.status

        assert "unverified: no record of its content exists" in said
        assert "requirements  NOT met:" in said
        assert "to build a Python that meets them: --env-manager virtualenv" in said
        assert "numpy" in said
        assert document["model"]["is_verified"] is False
        assert len(document["model"]["requirements"]["mismatches"]) == 2
        assert "audit         2 high, " in said
        assert f"podium env audit {folder}" in said
        assert document["model"]["audit"]["counts"]["high"] == 2
        assert {each["kind"] for each in document["model"]["audit"]["findings"]} >= {"missing", "mismatched", "unpinned"}
        until(lambda: 'podium_environment_findings{model="mine"' in server.get("/metrics")[1], "metrics have it")
        assert 'severity="high"} 2' in server.get("/metrics")[1]
        assert "audit         2 high" in house.command("status").stdout
        assert server.ask()[1][0] == 5
        assert (house.home / "logs" / "mine" / "supervisor.log").exists()


def test_the_example_becomes_a_curl_line_that_answers(house):
    """Made from the serving example in the folder."""
    folder = house.model(5)
    (folder / "serving_input_example.json").write_text('{"inputs": [[0], [0]]}')
    with (folder / "MLmodel").open("a") as file:
        file.write(
            "saved_input_example_info:\n  artifact_path: input_example.json\n"
            "  serving_input_path: serving_input_example.json\n"
        )
    with house.serving(uri=str(folder)) as server:
        pasted = shlex.split(server.said().split("Try it:")[1].strip().splitlines()[0])
        done = subprocess.run([*pasted, "-s"], capture_output=True, text=True, check=False)

        assert [row[0] for row in json.loads(done.stdout)["predictions"]] == [5, 5]


def test_an_example_that_does_not_score_is_not_offered_as_one_that_does(house):
    folder = house.model(5)
    (folder / "serving_input_example.json").write_text('{"columns": [0]}')
    with (folder / "MLmodel").open("a") as file:
        file.write(
            "saved_input_example_info:\n  artifact_path: input_example.json\n"
            "  serving_input_path: serving_input_example.json\n"
        )
    with house.serving(uri=str(folder)) as server:
        assert "Try it, with data that fit (the model's example does not score):" in server.said()


def test_a_taken_port_names_its_holder_and_a_way_out(one):
    """Exit 2: asked wrongly."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]

        done = one.command("serve", "-m", PRODUCTION, "-p", str(port))

    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is taken. It is held by " in done.stderr
    assert "or -p 0 for any free one" in done.stderr


@pytest.mark.parametrize(("while_loading", "more"), [("pass", "{{{"), ("raise RuntimeError(__file__)", "")])
def test_a_broken_model_is_named_by_the_folder_that_was_given(house, while_loading, more):
    """Not by the server's private copy, which is gone when somebody looks."""
    folder = house.model(5, while_loading)
    with (folder / "MLmodel").open("a") as file:
        file.write(more)

    done = house.command("serve", "-m", str(folder), "-p", "0")

    assert done.returncode == 1
    assert str(folder) in done.stderr
    assert str(house.home) not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_home_of_somebody_else_is_not_taken_for_an_empty_one(one):
    one.home.chmod(0)
    try:
        listed, examined = one.command("status"), one.command("doctor")
    finally:
        one.home.chmod(0o700)

    assert "Permission denied. This user may not" in listed.stderr
    assert "cannot be written to" in examined.stdout


@pytest.mark.parametrize("words", [("serve",), ("models", "serve", "-m", "x")])
def test_a_model_without_its_flag_is_told_of_it(one, words):
    done = one.command(*words, PRODUCTION)

    assert done.returncode == 2
    assert "A model is named with -m: " in done.stderr


def test_a_variable_of_mlflow_that_does_not_fit_is_named(one):
    one.environment["MLFLOW_PORT"] = "many"

    done = one.command("models", "serve", "-m", PRODUCTION)

    assert done.returncode == 2
    assert "MLFLOW_PORT" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["-m", "models:/tiny/staging"], "no version of 'tiny' is in stage Staging"),
        (["-m", "models:/nobody/production"], "no registered model is named 'nobody'"),
        (["-m", "./nowhere"], "There is no model folder ./nowhere"),
    ],
)
def test_what_is_not_there_is_explained(one, flags, words):
    """A stage without a version, an unknown name, a folder that is not there: exit 1, with what was searched."""
    done = one.command("serve", *flags, "-p", "0")

    assert done.returncode == 1
    assert words in done.stderr
    assert "searched" in done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["-w", "0"],
        ["-t", "0"],
        ["-p", "70000"],
        ["--max-body", "much"],
        ["--name", "../x"],
        ["--batching", "off", "--row-independent"],
        ["--host", "192.0.2.1"],
    ],
)
def test_what_is_asked_wrongly_exits_2(one, flags):
    """And leaves nothing."""
    done = one.command("serve", "-m", PRODUCTION, "-p", "0", *flags)

    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert list((one.home / "run").glob("*")) == []


def test_status_of_no_server_says_how_to_start_one(house):
    """Exit 1; nothing is created."""
    done = house.command("status")

    assert done.returncode == 1
    assert "podium serve -m" in done.stderr
    assert not house.home.exists()


def test_status_refuses_to_guess_between_two_servers(one):
    """Exit 2 with a list; -p chooses."""
    with one.serving() as first, one.serving() as second:
        unsure = one.command("status")
        sure = one.command("status", "-p", str(second.port), "--json")
        nobody = one.command("status", "-p", "1")

        assert unsure.returncode == 2
        assert f"-p {first.port}" in unsure.stderr
        assert f"-p {second.port}" in unsure.stderr
        assert json.loads(sure.stdout)["pid"] == second.process.pid
        assert nobody.returncode == 1


def test_status_json_has_the_names_that_its_docstring_promises(one):
    """Schema 1."""
    with one.serving():
        document = json.loads(one.command("status", "--json").stdout)

    promised = (
        "schema id pid pid_started podium started_at host port url uri endpoint settings state wanted serving is_settled "
        "wanted_failure source replicas replicas_wanted model failed gateways restarts swaps isolation default endpoints "
        "rollout pin clock traffic grpc_address certificate logs objectives"
    )
    assert set(document) == set(promised.split())
    about_model = (
        "version digest is_verified flavor python executable batching runtime proof requirements warnings load_s "
        "inputs outputs rows audit"
    )
    assert set(document["model"]) == set(about_model.split())
    assert (document["schema"], document["state"], document["is_settled"]) == (1, "serving", True)


def test_status_for_people_is_about_the_same(one):
    """Endpoint, wanted and serving version, replicas, batching and its reason, requirements, isolation."""
    with one.serving("-w", "2") as server:
        until(lambda: len(server.workers()) == 2, "the second is ready, too", server.over)
        said = one.command("status").stdout

    named = "endpoint, wanted, serving, replicas, batching, requirements, device, isolation, restarts"
    for name in named.split(", "):
        assert f"{name} " in said
    assert "2 ready; 2 wanted" in said


def test_waiting_ends_with_the_time(house):
    """Exit 1 when what is wanted does not serve in time."""
    house.register(1)
    house.register(2, "time.sleep(600)")
    house.promote(1)
    with house.serving() as server:
        house.promote(2)
        until(lambda: server.status["state"] == "swapping", "the server has seen it", server.over)
        done = house.command("status", "--wait", "--timeout", "1")

    assert done.returncode == 1
    assert "version 2 does not serve after 1 s; the server's state is swapping" in done.stderr


def test_waiting_begins_before_its_server_is_there(one):
    """Both are started by one script, the server in the background."""
    waiting = subprocess.Popen(
        [sys.executable, "-m", "podium", "status", "--wait"],
        env=one.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with waiting, one.serving():
        assert (waiting.wait(240), "serving" in waiting.stdout.read()) == (0, True)


def test_waiting_sees_a_move_that_the_server_has_not_seen_yet(one):
    """Right after a promotion `--wait` asks the registry itself: it never reports the version before as settled."""
    for version in (2, 3, 4):
        one.register(version)
    with one.serving() as server:
        answers = []
        for version in (2, 3, 4):
            one.promote(version)
            assert one.command("status", "--wait").returncode == 0
            answers.append(server.ask()[1][0])

    assert answers == [2, 3, 4]


def test_logs_show_what_each_process_wrote(house):
    """The supervisor's events and what the model printed, each with its file's name."""
    house.register(1, "print('hello from the model', flush=True)")
    house.promote(1)
    with house.serving() as server:
        server.ask()
        printed = house.command("logs", NAME).stdout
        until(lambda: "/invocations" in house.command("logs", NAME, "--access").stdout, "the access log is written")

    assert "worker-1: hello from the model" in printed
    assert "supervisor: " in printed
    assert "serving: version 1 serves" in printed


def test_logs_are_followed(house):
    """-f goes on; a swap shows up."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving():
        out = house.folder / "followed.txt"
        with out.open("wb") as file:
            following = subprocess.Popen(
                [*_podium(), "logs", NAME, "-f"], env=house.environment, cwd=house.folder, stdout=file
            )
            try:
                until(lambda: "version 1 serves" in out.read_text(), "it shows what was")
                house.promote(2)
                until(lambda: "swapped: version 1 -> 2" in out.read_text(), "it shows what comes")
            finally:
                following.kill()
                following.wait(60)


@pytest.mark.parametrize("name", ["nobody", "../home", ""])
def test_logs_of_nobody_name_who_has_some(one, name):
    """Exit 1; a path is no name."""
    done = one.command("logs", name)

    assert done.returncode == 1
    assert "endpoints with logs: none" in done.stderr


def test_stop_drains_and_waits(one):
    """Exit 0 once the server has ended; `serve` exits 0 too."""
    with one.serving() as server:
        done = one.command("stop")

        assert (done.returncode, server.process.wait(240)) == (0, 0)
        assert "stopped tiny" in done.stdout
    assert one.command("stop").returncode == 1


def test_loading_that_takes_long_shows_progress(house):
    """A line every two seconds names the step."""
    go = house.folder / "go"
    house.register(1, f"while not os.path.exists({str(go)!r}): time.sleep(0.01)")
    house.promote(1)
    server = Server(house, PRODUCTION, ())
    try:
        until(lambda: "loading version 1: load, " in server.said(), "the step is named", server.over)
        go.touch()
        until(lambda: "Try it" in server.said(), "it serves", server.over)
    finally:
        server.end()


def _podium() -> list[str]:
    import sys

    return [sys.executable, "-m", "podium"]


def test_a_promotion_names_what_to_type_next(one):
    """The server that follows the stage already, or else how to start one."""
    alone = one.command("models", "promote", "tiny", "1").stderr
    one.register(2)
    with one.serving() as server:
        followed = one.command("models", "promote", "tiny", "2").stderr

        assert f"Next: podium serve -m {PRODUCTION}" in alone
        assert f"Next: podium status --wait -p {server.port}" in followed
