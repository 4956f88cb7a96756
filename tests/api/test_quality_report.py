"""What labels say of a model is told to people and to programs, and is forgotten when somebody says so."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from profile_world import profile_of

from podium.api.reporting import monitor_report
from podium.api.requests import Erased, erase, show
from podium.cli.main import podium
from podium.errors import NotFound
from podium.monitoring.quality.joining import Joining
from podium.monitoring.store import writing
from podium.monitoring.store.database import MonitorStore
from podium.monitoring.store.quality_writing import forget_predictions
from podium.monitoring.store.writing import VersionKey
from podium.settings.home import Home
from podium.telemetry.remembered import Labelled, Remembered

NOW = 1_800_000_000
KEY = VersionKey("fraud", "7")
VALUES = np.arange(200) % 2
PROFILE = dataclasses.replace(
    profile_of({"amount": np.arange(200.0)}, value=VALUES, is_classifier=True), quality={"accuracy": 0.95, "rows": 200.0}
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A version that answered 600 rows and was right in 480 of them; and one answer that nobody can read."""
    home = Home(tmp_path)
    told = [row % 2 for row in range(600)]
    truth = [each ^ (place % 5 == 0) for place, each in enumerate(told)]
    body = json.dumps({"predictions": told}).encode()
    records = [
        Remembered(NOW - 60, "asked-1", "fraud", "7", "", "/invocations", "application/json", body),
        Remembered(NOW - 60, "asked-2", "fraud", "7", "", "/invocations", "text/csv", b"a"),
        Labelled(NOW - 30, "asked-1", "fraud", None, json.dumps(truth)),
    ]
    with MonitorStore(home.monitor).writing() as connection:
        writing.see_version(connection, KEY, "Production", PROFILE, NOW)
        Joining(connection, NOW).join(records)
    return home


def test_a_report_says_how_good_a_model_is_and_on_what_that_rests(home: Home) -> None:
    (version,) = monitor_report("fraud", home=home, clock=lambda: NOW)["versions"]

    quality = json.loads(json.dumps(version["quality"]))
    assert (quality["task"], quality["classes"], quality["positive"]) == ("binary", ["0", "1"], "1")
    assert quality["labels"] | {"delay_p50_s": 0, "delay_p95_s": 0} == {
        "predicted": 600, "labelled": 600, "coverage": 1, "delay_p50_s": 0, "delay_p95_s": 0,
        "kept_since": "2027-01-15T07:59:00Z", "last": "2027-01-15T07:59:30Z",
    }  # fmt: skip
    (variant,) = quality["variants"]
    figure = next(each for each in variant["figures"] if each["metric"] == "accuracy")
    assert (figure["value"], figure["rows"], figure["baseline"], figure["verdict"]) == (0.8, 600, 0.95, "alert")
    assert figure["interval"][0] < 0.8 < figure["interval"][1] < 0.95
    assert quality["unreadable"]["answers"] == 1


def test_a_report_says_how_far_back_labels_find_their_answers(home: Home) -> None:
    with MonitorStore(home.monitor).writing() as connection:
        later = Remembered(
            NOW + 5.0, "asked-3", "churn", "1", "", "/invocations", "application/json", b'{"predictions": [1]}'
        )
        Joining(connection, NOW + 6.0).join([later])
        forget_predictions(connection, NOW + 6.0, kept_s=1e9, most=600)

    (version,) = monitor_report("fraud", home=home, clock=lambda: NOW)["versions"]

    assert version["quality"]["labels"]["kept_since"] == "2027-01-15T08:00:05Z"


def test_people_read_it_as_a_table(home: Home) -> None:
    said = CliRunner().invoke(podium, ["monitor", "report", "fraud"], env={"PODIUM_HOME": str(home.root)})

    assert said.exit_code == 0, said.output
    assert "binary. There are two classes" in said.output
    assert "answers are kept since 2027-01-15T07:59:00Z" in said.output
    assert "1 answers: Answers of type 'text/csv' are not read." in said.output


def test_a_request_shows_its_prediction_and_what_was_true_until_it_is_erased(home: Home) -> None:
    first = show("asked-1", home)["predictions"][0]
    told = CliRunner().invoke(podium, ["requests", "show", "asked-1"], env={"PODIUM_HOME": str(home.root)})

    assert (first["model"], first["version"], first["prediction"], first["label"]) == ("fraud", "7", 0, 1)
    assert "0, 1, 0, 1, 0, 1, 0, 1, 0, 1, and 590 more" in told.output
    assert erase(home, "asked-1", None) == Erased(payloads=0, predictions=600)
    with pytest.raises(NotFound, match="Nothing is known"):
        show("asked-1", home)
    (version,) = monitor_report("fraud", home=home, clock=lambda: NOW)["versions"]
    assert version["quality"]["variants"][0]["rows"] == 600


def test_a_home_without_a_history_has_nothing_to_erase(tmp_path: Path) -> None:
    assert erase(Home(tmp_path), "asked-1", None) == Erased(0, 0)
    assert list(tmp_path.iterdir()) == []
