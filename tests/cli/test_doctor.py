"""`podium doctor`, on this machine and on homes that something is wrong with."""

import http.server
import json
import threading

import pytest
from tinyhouse import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def examined(house, timeout="0.5", **variables):
    house.environment = {name: text for name, text in house.environment.items() if not name.startswith("MLFLOW_")}
    house.environment |= {"PODIUM_SERVE_PORT": "0", **variables}
    done = house.command("doctor", "--json", "--timeout", timeout)
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["is_healthy"] else 1), done.stderr
    return {finding["check"]: finding for finding in document["findings"]}, done


def test_this_machine_can_serve(house):
    """Where these tests pass nothing keeps podium from serving, and nothing was created."""
    checks, _ = examined(house)

    assert [finding for finding in checks.values() if finding["level"] == "problem"] == []
    assert checks["registry"]["fact"].endswith("nothing is registered yet")
    named = "python, module uvloop, kernel pidfd, open files, memory, library numpy, locale, gpu, uv, sandbox"
    assert set(named.split(", ")) <= set(checks)
    assert not house.home.exists()


def test_people_get_a_table_with_ways_out(house):
    """A line for each check, a line for what to do about it."""
    house.home.mkdir(mode=0o755)
    house.environment["PODIUM_SERVE_PORT"] = "0"

    done = house.command("doctor")

    assert done.returncode == 0, done.stdout
    assert "ok       registry" in done.stdout
    assert f"→ Run: chmod 700 {house.home}" in done.stdout
    assert "0 problems" in done.stderr


def test_a_registry_is_looked_at_without_leaving_a_file(house):
    """Whole, and then damaged in the middle."""
    house.register(1)
    files = sorted(path.name for path in house.home.iterdir())

    whole, _ = examined(house)
    assert whole["registry"]["fact"].endswith("schema 2, whole")
    assert sorted(path.name for path in house.home.iterdir()) == files

    (house.home / "registry.db").write_bytes(b"SQLite format 3\0" + b"\0" * 5000)
    damaged, done = examined(house)
    assert damaged["registry"]["level"] == "problem"
    assert done.returncode == 1


def test_what_a_killed_server_left_and_what_runs_is_told_apart(house):
    """A folder with a free lock is a dead server's; the port of our own server is said to be that."""
    house.register(1)
    house.promote(1)
    dead = house.home / "run" / "0bad0bad"
    dead.mkdir(mode=0o700)
    with house.serving() as server:
        dead.mkdir(mode=0o700, exist_ok=True)
        (dead / "lock").touch()

        checks, _ = examined(house, PODIUM_SERVE_PORT=str(server.port))

    assert "0bad0bad" in checks["run folders"]["fact"]
    assert "podium serves models:/tiny/production there" in checks["port"]["fact"]


def test_a_mistake_in_the_settings_is_a_problem_and_the_rest_is_looked_at(house):
    """With file and line."""
    (house.folder / "podium.toml").write_text("[serve]\nprot = 1\n")

    checks, _ = examined(house)

    assert checks["settings"]["level"] == "problem"
    assert "podium.toml:2: there is no setting serve.prot. Did you mean 'port'?" in checks["settings"]["fact"]
    assert checks["python"]["level"] == "ok"


class _Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_mlflow_servers_are_asked_and_no_secret_is_shown(house, tmp_path):
    """One that answers, one that does not; neither user nor password nor query is in any output."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            here = f"http://ada:hunter2@127.0.0.1:{server.server_port}"
            checks, done = examined(
                house, "60", MLFLOW_TRACKING_URI=here, MLFLOW_REGISTRY_URI=f"sqlite:///{tmp_path}/gone.db?key=hunter2"
            )
        finally:
            server.shutdown()
            thread.join(60)

    assert checks["MLFLOW_TRACKING_URI"]["fact"] == f"http://127.0.0.1:{server.server_port} answers"
    assert checks["MLFLOW_REGISTRY_URI"]["level"] == "warning"
    assert "there is no such file" in checks["MLFLOW_REGISTRY_URI"]["fact"]
    assert "hunter2" not in done.stdout + done.stderr
    assert "ada" not in checks["MLFLOW_TRACKING_URI"]["fact"]
