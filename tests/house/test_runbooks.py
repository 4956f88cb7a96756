"""Each alert rule has a page that says what it means, what to type first, and how to have peace; all of it is so."""

import re
import shlex
import tomllib

import click
import pytest
from tree import ROOT

from podium.cli.main import podium
from podium.domain.monitoring.alerting.default_rules import rules_of
from podium.domain.monitoring.alerting.silences import parse_matchers
from podium.domain.monitoring.objectives import ObjectiveKind, Slo
from podium.settings.alerts import ModelAlerts, alert_settings

RULES = {rule.name: rule for rule in rules_of((Slo(), Slo(ObjectiveKind.LATENCY, 0.99, 0.25)))}
FOLDER = ROOT / "docs" / "runbooks"


def part(name, heading):
    """The text under a heading of a rule's page."""
    text = (ROOT / RULES[name].runbook).read_text()
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def commands(text):
    """The lines of its shell blocks, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def parsed(words):
    """The command that these words ask for, with its arguments taken by its own parser; nothing is run."""
    command, context = podium, click.Context(podium)
    assert words.pop(0) == "podium"
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.parse_args(context, words)
    return context.command_path


def test_there_is_a_page_for_each_rule_and_no_other():
    assert {path.stem for path in FOLDER.glob("*.md")} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_page_says_what_it_means_what_to_type_and_how_to_silence_it(name):
    """Three commands that exist, a silence that fits the rule, and a way to have it otherwise that podium.toml takes."""
    rule = RULES[name]
    said = (ROOT / rule.runbook).read_text()
    asked = commands(part(name, "First three commands"))
    (silence,) = commands(part(name, "How to silence it"))
    toml = re.search(r"^```toml\n(.*?)^```$", said, re.MULTILINE | re.DOTALL)[1]
    own = alert_settings(tomllib.loads(toml), {}, name).of_model("NAME")

    assert f"Rule `{name}`; by default a {rule.severity.value}." in said
    assert len(part(name, "What it means")) > 80
    assert len(asked) == len({parsed(list(words)) + " ".join(words) for words in asked}) == 3
    assert parsed(list(silence)).endswith("monitor silence")
    assert all(matcher.fits({"rule": name, "model": "NAME"}) for matcher in parse_matchers(silence[3:5]))
    assert own != ModelAlerts()


@pytest.mark.parametrize("name", RULES)
def test_whatever_else_a_page_says_to_type_exists(name):
    """In its sentences, too."""
    text = (ROOT / RULES[name].runbook).read_text()

    for command in re.findall(r"`(podium [^`\n]+)`", text):
        assert parsed([{"VERSION": "1"}.get(word, word) for word in shlex.split(command)])
