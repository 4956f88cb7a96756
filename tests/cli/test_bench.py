"""`podium bench`, as a person types it."""

import json
import subprocess
import sys

import pytest
from tinyhouse import PRODUCTION, House

BODY = '{"inputs": [[1.0], [2.0]]}'


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


def bench(house, *words):
    return subprocess.run(
        [sys.executable, "-m", "podium", "bench", *words],
        capture_output=True,
        text=True,
        env=house.environment,
        timeout=240,
        check=False,
    )


def test_a_running_server_is_found_by_its_model_and_judged(house, tmp_path):
    """0 when the objective holds, 1 when it does not; the table names each phase, the document has the same."""
    house.register(1)
    house.promote(1)
    data = tmp_path / "body.json"
    data.write_text(BODY)
    common = ("--rate", "50", "--data", str(data), "--duration", "1s", "--warm-up", "0.2s")
    with house.serving() as server:
        met = bench(house, PRODUCTION, *common, "--p99", "60s", "--timeout", "60s", "--json")
        missed = bench(house, f"http://127.0.0.1:{server.port}", *common, "--p50", "1us")

    assert met.returncode == 0, met.stderr
    document = json.loads(met.stdout)
    assert [phase["phase"] for phase in document["phases"]] == ["warm-up", "steady"]
    assert document["phases"][1]["statuses"] == {"200": 50}
    assert document["is_met"] is True
    assert missed.returncode == 1
    assert "steady" in missed.stdout
    assert "missed: steady: p50 is" in missed.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("http://127.0.0.1:9", "--rate", "fast"), "--rate fast"),
        (("http://127.0.0.1:9", "--rate", "5", "--p99", "20"), "--p99 20: write a number with its unit"),
        (("http://192.0.2.1", "--rate", "5"), "--allow-remote"),
        (("http://127.0.0.1:9", "--rate", "5"), "give one: --data FILE"),
        (("somewhere", "--rate", "5"), "expected http://HOST:PORT/PATH"),
        (("http://127.0.0.1:9", "--rate", "5", "--connections", "0"), "--connections 0"),
    ],
)
def test_what_was_asked_wrongly_ends_with_2_and_a_way_out(house, words, said):
    """Before a single request is sent."""
    done = bench(house, *words)

    assert done.returncode == 2
    assert said in done.stderr


def test_a_model_that_nobody_serves_is_not_found(house):
    """1, with what runs and how to start it."""
    done = bench(house, PRODUCTION, "--rate", "5")

    assert done.returncode == 1
    assert f"podium serve -m {PRODUCTION}" in done.stderr
