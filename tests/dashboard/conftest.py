"""A home that is looked at, and the site that shows it."""

import pytest
from dashboard_home import HOSTILE, SCRIPT, endpoint, registered, running, trial

from podium.dashboard.app import site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.sources import DashboardSources
from podium.settings.home import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def shown(home, tmp_path_factory):
    """The site of a home with a healthy model, a failed one and one whose every text is hostile."""
    registered(home, tmp_path_factory.mktemp("model") / "folder", "fraud", HOSTILE)
    failure = {"version": "3", "cause": "load", "message": f"{SCRIPT}\nmore", "at": 1.0}
    finding = {
        "severity": "high", "kind": "missing", "package": HOSTILE, "fact": SCRIPT, "where": SCRIPT, "expected": HOSTILE,
        "got": SCRIPT, "remedy": SCRIPT,
    }  # fmt: skip
    hostile = endpoint(
        HOSTILE, f"models:/{HOSTILE}/production", pin={"version": "3", "until": 2e9, "reason": SCRIPT, "by": SCRIPT}
    )
    hostile["model"] |= {"warnings": [SCRIPT], "flavor": HOSTILE, "runtime": SCRIPT}
    hostile["model"]["audit"] = {"counts": {"high": 1}, "findings": [finding]}
    hostile["traffic"] = {
        "versions": [{"version": HOSTILE, "weight": 90, "replicas": 1}, {"version": "4", "weight": 10, "replicas": 1}],
        "sticky": SCRIPT, "naming": True, "shadow": None, "bandit": None, "problems": [SCRIPT],
    }  # fmt: skip
    hostile["traffic"]["experiment"] = trial(HOSTILE, "4", SCRIPT)
    folder = running(
        home,
        endpoint("fraud", "models:/fraud/production"),
        endpoint(
            "lost", "models:/lost/production", state="failed", serving=None, model=None, replicas=[], wanted_failure=failure
        ),
        hostile,
    )
    yield site(DashboardSources(home), Doorkeeper(None, lambda: 0.0))
    folder.remove()
