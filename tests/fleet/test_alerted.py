"""A server tells whom its podium.toml names and gives no secret away."""

import json

import numpy as np
import pytest
from profile_world import profile_of
from receivers import receiving
from tinyhouse import House

from podium.domain.monitoring.profile import PROFILE_PATH

TOML = """
[alerts]
group_wait = 0

[alerts.channels.hook]
kind = "webhook"
url_env = "HOOK"
token_file = "token"

[alerts.clocks.profile]
warn = "1s"
alert = "1s"
"""


def watched(house: House) -> str:
    """A model of one number, whose profile is as old as profiles of tests are."""
    folder = house.model(1)
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(profile_of({"0": np.arange(1000) % 7}).to_json())
    return str(folder)


@pytest.mark.slow
def test_what_is_wrong_is_told_once_and_no_secret_is_given_away(house: House) -> None:
    (house.folder / "podium.toml").write_text(TOML)
    (house.folder / "token").write_text("hunter3\n")
    with receiving() as box:
        house.environment["HOOK"] = f"{box.url}/services/hunter1?token=hunter2"
        with house.serving(uri=watched(house)) as server:
            path, headers, body = box.next()
            commands = " ".join(house.processes().values())
            seen = [commands, server.get("/status")[1], server.get("/metrics")[1]]
            assert server.stop() == 0
        alerts = house.command("monitor", "alerts", "--deliveries", "--json")
        content = (house.home / "monitor.db").read_bytes()
        logs = [log.read_text(errors="replace") for log in house.home.glob("logs/**/*.log")]

    assert (path, headers["Authorization"]) == ("/services/hunter1?token=hunter2", "Bearer hunter3")
    assert [each["rule"] for each in json.loads(body)["alerts"]] == ["profile-old"]
    assert [(each["channel"], each["result"]) for each in json.loads(alerts.stdout)] == [("hook", "sent")]
    assert box.sent.empty()
    assert b"hunter" not in content
    assert not [text for text in [*seen, *logs, server.said()] if "hunter" in text]
