"""Sixty models of which eight are resident, under a load that moves: nobody notices who sleeps."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "many.py"


@pytest.mark.slow
@pytest.mark.alone
def test_no_request_fails_while_models_come_and_go():
    """The big one, a thousand and fifty, is the same script by itself."""
    sizes = ["--models", "60", "--resident", "8", "--seconds", "10", "--rate", "5", "--exponent", "2"]

    ended = subprocess.run(
        [sys.executable, str(_SCRIPT), *sizes, "--json"], capture_output=True, text=True, timeout=540, check=False
    )

    figures = json.loads(ended.stdout)
    assert (ended.returncode, figures["failed"]) == (0, 0), ended.stderr
    assert figures["requests"] == 50
    assert 0 < figures["most_resident"] <= 8
