"""`podium plugins check` of a channel: a package as pip lays it out, whose options are its own, held to the laws."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from podium.cli.plugins import plugins as commands
from podium.errors import NotFound
from podium.monitoring.channels.conformance import examine
from podium.settings.entry_points import PluginBroken

PAGER = '''
"""A channel that posts nothing but who posts."""
import http.client
from urllib.parse import urlsplit

from podium.monitoring.channels.contract import Option, Secrecy, Undelivered
from podium.settings.declared import ValueKind


class PagerChannel:
    name = "pager"
    is_following = False
    options = (
        Option("url", ValueKind.TEXT, "Where to post.", is_required=True),
        Option("token", ValueKind.TEXT, "Who posts.", secrecy=Secrecy.SECRET),
        Option("tries", ValueKind.COUNT, "How often.", default=1),
    )

    def send(self, message, options, timeout_s):
        place = urlsplit(options["url"])
        for _ in range(options["tries"]):
            connection = http.client.HTTPConnection(place.hostname, place.port, timeout=timeout_s)
            try:
                connection.request("POST", "/", b"", {"X-Token": options["token"]})
                connection.getresponse()
            except (OSError, http.client.HTTPException):
                raise Undelivered(f"not taken{LEAK}") from None
            finally:
                connection.close()

    def sample_options(self, host, port):
        from podium.monitoring.channels.conformance import SECRET

        return {OPTIONS}
'''
OPTIONS = '{"url": f"http://{host}:{port}/", "token": SECRET}'

Install = Callable[..., None]


@pytest.fixture
def install(package) -> Install:
    """Installs a package that brings the pager."""

    def put(options: str = OPTIONS, leak: str = "") -> None:
        text = PAGER.replace("{OPTIONS}", options).replace("{LEAK}", leak)
        package("podium-pager", "1.2", "pager_channel", text, "podium.channels", "pager = pager_channel:PagerChannel")

    return put


def run(*args: str) -> Result:
    return CliRunner().invoke(commands, args)


def test_a_channel_that_keeps_the_laws_passes(install: Install):
    """What it does not say of its options is at its default."""
    install()

    result = run("check", "pager", "--json")

    found = json.loads(result.stdout)
    assert (result.exit_code, found["is_conforming"]) == (0, True), found
    assert len(found["outcomes"]) == 5
    assert {each["name"]: each["state"] for each in json.loads(run("list", "--json").stdout)}["pager"] == "ready"


def test_a_channel_whose_errors_give_the_secret_away_fails(install: Install):
    install(leak=": {options['token']}")

    result = run("check", "pager")

    assert result.exit_code == 1
    assert result.stdout.count("its error holds the secret") == 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ('{"token": SECRET}', "does not say 'url', which is required"),
        ('{"url": "http://x", "number": 112}', "says 'number', which is none of its options: token, tries, url"),
        ('{"url": "http://x", "token": "word"}', "says a secret 'token' without"),
        ('{}["url"]', "raised KeyError"),
    ],
)
def test_options_to_be_checked_with_are_those_that_podium_toml_may_say(install: Install, options: str, expected: str):
    install(options)

    result = run("check", "pager")

    assert isinstance(result.exception, PluginBroken)
    assert expected in result.exception.message


def test_a_channel_without_options_to_be_checked_with_is_told_how_to_say_them(
    install: Install, monkeypatch: pytest.MonkeyPatch
):
    install()
    import pager_channel

    monkeypatch.delattr(pager_channel.PagerChannel, "sample_options")

    result = run("check", "pager")

    assert isinstance(result.exception, PluginBroken)
    assert "Give PagerChannel a method sample_options(host, port)" in result.exception.message


def test_a_name_that_nobody_brings_is_said_with_those_that_there_are(install: Install):
    install()

    result = run("check", "pages")

    assert isinstance(result.exception, NotFound)
    assert "pager" in result.exception.message


class Hanging:
    """A channel that comes back when it is let."""

    name, is_following, options = "hanging", False, ()

    def __init__(self) -> None:
        self.is_let = threading.Event()

    def send(self, message: Any, options: Any, timeout_s: float) -> None:
        self.is_let.wait(60)


def test_a_channel_that_never_comes_back_is_found_and_not_waited_for():
    channel = Hanging()
    try:
        found = [each.failure for each in examine(channel, lambda host, port: {}, slack_s=0.05)]
    finally:
        channel.is_let.set()

    assert found[0] is None
    assert all(failure.startswith("it had not come back after") for failure in found[1:])
