"""A drift method that another package brings is found, checked by the laws, and scores columns; a broken one is told of."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import counting_world
import pytest
from click.testing import CliRunner, Result
from counting_world import FACTS, KEY, PROFILE, World

from podium.cli.monitor_compare import compare
from podium.cli.plugins import plugins as commands
from podium.domain.monitoring.drift import OWN_METHODS
from podium.domain.monitoring.findings import Check, ColumnVerdict
from podium.errors import InvalidInput, Misconfigured
from podium.monitoring.drift_methods import DriftChoices, known_methods
from podium.settings.model import ModelSettings

HELLINGER = """
import math
from podium.domain.monitoring.drift.contract import Thresholds

class Hellinger:
    name = "hellinger"
    source = "E. Hellinger, Neue Begruendung der Theorie quadratischer Formen, 1909"
    needs_order = False
    thresholds = Thresholds(0.1, 0.15)

    def score(self, histograms):
        n, m = sum(histograms.reference), sum(histograms.current)
        pairs = zip(histograms.reference, histograms.current)
        return {SCORE}

    def p_value(self, histograms):
        return None
"""
SCORE = "math.sqrt(sum((math.sqrt(a / n) - math.sqrt(b / m)) ** 2 for a, b in pairs) / 2)"
Install = Callable[..., None]


@pytest.fixture
def install(package) -> Install:
    """Installs a package that brings the method under a name."""

    def put(score: str = SCORE, name: str = "hellinger") -> None:
        text, entry = HELLINGER.replace("{SCORE}", score), f"{name} = hellinger_method:Hellinger"
        package("podium-hellinger", "0.3", "hellinger_method", text, "podium.drift_methods", entry)

    return put


def run(*args: str) -> Result:
    return CliRunner().invoke(commands, args)


def test_a_method_that_keeps_the_laws_passes(install: Install):
    install()

    result = run("check", "hellinger", "--json")

    found = json.loads(result.stdout)
    assert (result.exit_code, found["is_conforming"]) == (0, True), found
    assert len(found["outcomes"]) == 11
    assert {each["name"]: each["kind"] for each in json.loads(run("list", "--json").stdout)}["hellinger"] == "drift method"


def test_one_that_says_how_sure_it_is_and_not_how_far_fails(install: Install):
    install(f"math.sqrt(m) * {SCORE}")

    result = run("check", "hellinger")

    assert result.exit_code == 1
    assert "for ten times as many" in result.stdout


@pytest.mark.parametrize("name", ["psi", "other"])
def test_one_by_the_name_of_another_is_told_of_and_left_out(install: Install, name: str):
    install(name=name)
    told: list[str] = []

    found = known_methods(["hellinger"], told.append)

    assert list(found) == [method.name for method in OWN_METHODS]
    assert len(told) == 1
    assert "podium-hellinger 0.3" in told[0]


def test_files_are_compared_by_it(install: Install, tmp_path: Path):
    install()
    for name, shift in (("before.csv", 0), ("now.csv", 30)):
        rows = "".join(f"{i % 61 + shift},{i % 7}\n" for i in range(1200))
        (tmp_path / name).write_text(f"age,day\n{rows}")

    files = [str(tmp_path / "before.csv"), str(tmp_path / "now.csv")]
    result = CliRunner().invoke(compare, [*files, "--no-classifier", "--json", "--drift", "age=hellinger"])

    drift = {each["name"]: each["checks"]["drift"] for each in json.loads(result.stdout)["columns"]}
    assert (drift["age"]["method"], drift["age"]["verdict"], drift["age"]["alert"]) == ("hellinger", "alert", 0.15)
    assert drift["day"]["method"] == "psi"
    refused = CliRunner().invoke(compare, [*files, "--drift", "aeg=hellinger"])
    assert isinstance(refused.exception, InvalidInput)
    assert "no column 'aeg'" in refused.exception.message


def test_what_is_no_method_is_refused_at_the_start():
    with pytest.raises(Misconfigured, match="write METHOD or COLUMN=METHOD"):
        ModelSettings(drift=("age=Kolmogorov Smirnov",))


def test_the_monitor_scores_by_what_was_said_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another method and other thresholds; what is out of question by them stays one finding among the others."""
    monkeypatch.setattr(counting_world, "FACTS", [{**FACTS[0], "drift": ["ks", "age=psi:5:9"]}])
    with contextlib.closing(World(tmp_path)) as world:
        worker = world.worker()
        worker.answer(1200, shift=1.0)
        world.turn()
        found = {each.name: each for each in world.monitor.judged[KEY].findings if each.check is Check.DRIFT}

    assert (found["amount"].method, found["amount"].verdict) == ("ks", ColumnVerdict.ALERT)
    assert (found["age"].method, found["age"].warn, found["age"].alert) == ("psi", 5, 9)
    assert found["value"].method == "psi"


def test_a_method_that_fails_costs_the_judgement_and_no_count(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    install("os.nothing()")
    monkeypatch.setattr(counting_world, "FACTS", [{**FACTS[0], "drift": ["hellinger"]}])
    with contextlib.closing(World(tmp_path)) as world:
        world.worker().answer(1200)
        world.turn()

        assert world.monitor.judged == {}
        assert sum(point.window.counts.rows for point in world.data(step_s=None) if point.window.counts) == 1200


def test_what_the_monitor_cannot_do_it_tells_once_and_scores_by_psi():
    told: list[str] = []
    choices = DriftChoices(tell=told.append)
    choices.hear([{"model": KEY.model, "version": KEY.version, "drift": ["nowhere=js", "age=ks"]}])

    found = [choices.of(KEY, PROFILE) for _ in range(3)]

    assert [{name: each.method.name for name, each in by.items()} for by in found] == [{"age": "ks"}] * 3
    assert told == [
        "version 7 of fraud: drift: there is no column 'nowhere', for which js was chosen. It is scored by psi."
    ]
    choices.hear([{"model": KEY.model, "version": KEY.version, "drift": []}])
    assert choices.of(KEY, PROFILE) == {}
