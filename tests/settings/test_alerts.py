"""What `[alerts]` of podium.toml says, and every mistake in it with its line."""

import json

import pytest

from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.monitoring.objectives import ObjectiveKind
from podium.domain.monitoring.staleness import AgeBounds, Clock
from podium.errors import Misconfigured
from podium.monitoring.channels.choice import open_channels
from podium.settings.alerts import ModelAlerts, alert_settings, alerts_from_config
from podium.settings.config_file import from_config
from podium.settings.declared import settings_of
from podium.settings.serve import ServeSettings

FULL = """
[serve]
port = 5000

[alerts]
address = "https://podium.example"
runbooks = "https://podium.example/runbooks"
repeat = "1d"

[alerts.channels.oncall]
kind = "slack"
url_env = "SLACK"
severities = ["page"]
models = ["fraud", "churn-*"]

[alerts.objectives]
latency = 0.99
latency_threshold = "250ms"

[alerts.rules.requests-rejected]
share = 0.05
for = "10m"

[alerts.clocks.labels]
alert = 4

[alerts.models.fraud.objectives]
availability = 0.9999

[alerts.models.fraud.rules.quality]
enabled = false

[alerts.models.fraud.clocks.model]
warn = "never"
alert = "7d"
"""


def said(folder, text):
    path = folder / "podium.toml"
    path.write_text(text)
    return alerts_from_config(path)


def test_models_have_what_is_said_of_all_and_what_is_said_of_them(tmp_path):
    """The nearer wins, one thing at a time."""
    settings = said(tmp_path, FULL)
    fraud, other = settings.of_model("fraud"), settings.of_model("churn")
    rules = {rule.name: rule for rule in fraud.rules()}

    assert {each.kind: each.target for each in other.objectives} == {"availability": 0.999, "latency": 0.99}
    assert {each.kind: each.target for each in fraud.objectives} == {"availability": 0.9999, "latency": 0.99}
    assert fraud.objectives[1].threshold_s == 0.25
    assert (rules["requests-rejected"].parameters["share"], rules["requests-rejected"].for_s) == (0.05, 600.0)
    assert "quality" not in rules
    assert "quality" in {rule.name for rule in other.rules()}
    assert fraud.clocks == {Clock.LABELS: AgeBounds(3, 4, 3600.0), Clock.MODEL: AgeBounds(None, 7 * 86_400.0)}


def test_a_channel_says_where_its_secrets_are(tmp_path):
    """And of whom and what it tells."""
    settings = said(tmp_path, FULL)
    (channel,) = open_channels(settings.channels, {"SLACK": "https://hooks.example/T0"}, ())

    assert (channel.settings.severities, channel.settings.models) == ((AlertSeverity.PAGE,), ("fraud", "churn-*"))
    assert channel.options({"SLACK": "https://hooks.example/T0"})["url"] == "https://hooks.example/T0"
    assert settings.policy.repeat_s == 86_400.0


def test_another_process_reads_the_same(tmp_path):
    """Of the table as JSON, in which there is no secret."""
    settings = said(tmp_path, FULL)
    again = alert_settings({"alerts": json.loads(json.dumps(settings.table))}, {}, "podium.toml")

    assert (again.models, again.usual, again.policy) == (settings.models, settings.usual, settings.policy)


def test_without_a_file_or_a_table_models_have_what_is_usual(tmp_path):
    """An objective of 99.9 %, and nobody is told."""
    for settings in (alerts_from_config(None), said(tmp_path, "[serve]\nport = 5000\n")):
        assert settings.of_model("any") == ModelAlerts()
        assert settings.of_model("any").objectives[0].kind is ObjectiveKind.AVAILABILITY
        assert settings.channels == ()


def test_the_server_s_other_settings_know_nothing_of_it(tmp_path):
    """It holds no setting that a flag could say."""
    (tmp_path / "podium.toml").write_text(FULL)

    assert [each.path for each in from_config(settings_of(ServeSettings), tmp_path / "podium.toml")] == ["serve.port"]


CHANNEL = '[alerts.channels.a]\nkind = "slack"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alerts = 3", "alerts is no table"),
        ("[alerts]\nchanels = 3", "toml:2: there is no setting alerts.chanels. Did you mean 'channels'?"),
        ("[alerts]\nrepeat = 'often'", "toml:2: alerts.repeat is 'often'; expected seconds above 0"),
        ("[alerts.objectives]\navailability = 1.0", "The target of an objective is a share above 0 and at most"),
        ("[alerts.objectives]\nlatency = 0.9", "toml:1: latency and latency_threshold need each other"),
        ("[alerts.objectives]\nperiod = '1d'", "toml:1: The period of an objective is 7 to 90 days, got 1 days"),
        ("[alerts.rules.quallity]\nfor = 3", "toml:1: There is no alert rule 'quallity'"),
        ("[alerts.rules.quality]\nshare = 3", "The alert rule quality has no parameter 'share'"),
        ("[alerts.rules.quality]\nfor = 'x'", "toml:2: alerts.rules.quality.for is 'x'"),
        ("[alerts.rules.quality]\nshare = true", "toml:2: alerts.rules.quality.share is True; expected a number"),
        ("[alerts.models.m.rules.requests-rejected]\nshare = -1", "share of the alert rule requests-rejected is a number"),
        ("[alerts.models.m.rules.quality]\nseverity = 'loud'", "toml:2: alerts.models.m.rules.quality.severity is 'loud'"),
        ("[alerts.models.m]\nrepeat = 3", "toml:2: there is no setting alerts.models.m.repeat."),
        ("[alerts.clocks.sand]\nwarn = 3", "toml:1: there is no clock 'sand'. There are model, "),
        ("[alerts.clocks.model]\nwarn = '9d'\nalert = '2d'", "toml:1: The bounds of a clock are positive"),
        ("[alerts.channels.'a b']\nkind = 'slack'", "toml:1: a channel cannot be called 'a b'"),
        ("[alerts.channels.a]\nurl_env = 'X'", "toml:1: alerts.channels.a does not say its kind"),
        ("[alerts.channels.a]\nkind = 'slak'", "toml:1: there is no kind of channel 'slak'. Did you mean 'slack'?"),
        (CHANNEL + "severities = ['loud']", "toml:3: 'loud' is no severity; there are page and ticket"),
        (CHANNEL, "toml:1: alerts.channels.a does not say url_file or url_env. The incoming webhook's address."),
        (CHANNEL + "url = 'https://x/hunter2'", "toml:1: alerts.channels.a.url is a secret, and podium.toml is no place"),
        (CHANNEL + "url_env = 'A'\nurl_file = 'b'", "alerts.channels.a.url is said twice, as url_file and url_env"),
        (CHANNEL + "url_env = 'MISSING'", "alerts.channels.a.url: the variable MISSING is not set"),
        (CHANNEL + "url_file = '/nowhere/hunter'", "alerts.channels.a.url: /nowhere/hunter cannot be read: No such file"),
        (CHANNEL + "url_env = 'X'\ncolour = 3", "a channel of the kind slack has no 'colour'. It has url, ca_file"),
        ("[alerts.channels.a]\nkind = 'webhook'\nurl = 3", "alerts.channels.a.url is expected to be text"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path, text, expected):
    """And what would be right; a secret that somebody wrote into it is not repeated."""
    with pytest.raises(Misconfigured) as caught:
        open_channels(said(tmp_path, text).channels, {"X": "x"}, ())

    assert expected in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"\x00", b"x" * 70_000])
def test_a_file_that_holds_no_secret_is_refused_without_its_content(tmp_path, content):
    """One line of text is one."""
    (tmp_path / "secret").write_bytes(content)
    text = f"{CHANNEL}url_file = '{tmp_path}/secret'"
    with pytest.raises(Misconfigured, match=r"alerts\.channels\.a\.url: .*secret") as caught:
        open_channels(said(tmp_path, text).channels, {}, ())

    assert "xx" not in caught.value.message
    assert "lines" not in caught.value.message.replace("one line", "")
