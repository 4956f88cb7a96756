"""Windows in which nothing happened, and some in which something did, through the judge that serves."""

import json
import subprocess
import sys
from pathlib import Path

_SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "false_alarms.py"


def test_what_did_not_happen_is_not_told_and_what_did_is():
    """The benchmark's figures on a twentieth of its windows: 400 of them are for a quiet machine."""
    arguments = [sys.executable, _SCRIPT, "--windows", "20", "--runs", "10", "--seed", "1", "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=560, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (found["rows"], found["quiet"]["windows"], found["quiet"]["columns"]) == (500, 20, 30)
    assert (found["quiet"]["alerts"], found["quiet"]["which"]) == (0, [])
    assert found["shift"]["found_in_an_hour"] >= 0.9
    assert found["shift"]["stands_after_two"] >= 0.9
    # One of thirty columns: with 500 rows an hour about two hours in three show it.
    assert found["torn"]["found_in_an_hour"] >= 0.4
    assert (found["shift"]["others"], found["torn"]["others"]) == (0, 0)
