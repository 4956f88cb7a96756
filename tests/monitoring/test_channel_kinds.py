"""Every kind of channel keeps the laws; other packages' are found by entry point, and the broken ones are named."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from podium.errors import Misconfigured
from podium.monitoring.channels.alertmanager import AlertmanagerChannel
from podium.monitoring.channels.choice import CHANNELS, open_channels, use
from podium.monitoring.channels.conformance import SECRET, examine
from podium.monitoring.channels.contract import GROUP, Option
from podium.monitoring.channels.mail import EmailChannel
from podium.monitoring.channels.slack import SlackChannel
from podium.monitoring.channels.webhook import WebhookChannel
from podium.settings.alerts import ChannelSettings
from podium.settings.declared import ValueKind
from podium.settings.entry_points import Plugin, PluginBroken

MAIL = {"tls": "none", "sender": "a@example.com", "to": ("b@example.com",)}
KINDS = {
    WebhookChannel(): lambda host, port: {
        "url": f"http://u:{SECRET}@{host}:{port}/{SECRET}?k={SECRET}", "format": "podium", "token": SECRET, "secret": SECRET
    },
    SlackChannel(): lambda host, port: {"url": f"http://{host}:{port}/services/{SECRET}"},
    AlertmanagerChannel(): lambda host, port: {"url": f"http://{host}:{port}", "username": "u", "password": SECRET},
    EmailChannel(): lambda host, port: {"host": host, "port": port, **MAIL},
}  # fmt: skip


def test_the_laws_are_asked_of_every_kind():
    assert {kind.name for kind in KINDS} == {kind.name for kind in CHANNELS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_keeps_the_laws(kind):
    """None that hangs, hangs up or speaks nonsense does any harm, and no error gives a secret away."""
    outcomes = list(examine(kind, KINDS[kind], slack_s=60))

    assert len(outcomes) == 5
    assert [each for each in outcomes if each.failure is not None] == []


class Pager:
    """A plugin's channel; each fault is one that the laws find."""

    name, is_following = "pager", False
    options = (Option("number", ValueKind.COUNT, "Whom to call.", is_required=True),)
    fault = "none"

    def send(self, message, options, timeout_s):
        if self.fault == "raises":
            raise OSError(SECRET)
        if self.fault == "gives away":
            from podium.monitoring.channels.contract import Undelivered

            raise Undelivered(f"{SECRET} was not taken")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [("none", "as though the receiver had taken it"), ("raises", "raised OSError"), ("gives away", "holds the secret")],
)
def test_the_laws_find_a_kind_that_breaks_them(fault, expected):
    pager = Pager()
    pager.fault = fault
    found = [each.failure for each in examine(pager, lambda host, port: {"number": 112}, slack_s=60)]

    assert found[0] is None
    assert all(expected in failure for failure in found[1:])


def plugin(monkeypatch, name="pager", **contents):
    module = types.ModuleType("podium_pager")
    for attribute, value in contents.items():
        setattr(module, attribute, value)
    monkeypatch.setitem(sys.modules, "podium_pager", module)
    target = "podium_pager:PagerChannel"
    return Plugin(name, target, "podium-pager", "1.0", EntryPoint(name, target, GROUP))


def test_another_packages_channel_is_found_by_its_name(monkeypatch):
    """With what podium.toml says of it, checked by its own options."""
    found = plugin(monkeypatch, PagerChannel=Pager)
    (opened,) = open_channels([ChannelSettings("a", "pager", "podium.toml:1", options={"number": 112})], {}, (found,))

    assert opened.options({}) == {"number": 112}
    with pytest.raises(Misconfigured, match=r"podium\.toml:1: alerts\.channels\.a\.number is 'x'; expected a whole number"):
        open_channels([ChannelSettings("a", "pager", "podium.toml:1", options={"number": "x"})], {}, (found,))


def test_a_name_that_two_packages_bring_is_nobodys(monkeypatch):
    found = plugin(monkeypatch, PagerChannel=Pager)
    with pytest.raises(PluginBroken, match="several channel plugins called 'pager'"):
        use(found, (found, found))


@pytest.mark.parametrize(
    ("name", "contents", "expected"),
    [
        ("pager", {}, "cannot be imported: AttributeError"),
        ("slack", {"PagerChannel": Pager}, "which is the name of one of podium's own"),
        ("pages", {"PagerChannel": Pager}, "its name is 'pager', its entry point's 'pages'"),
        ("pager", {"PagerChannel": object}, "object has no send"),
    ],
    ids=["nothing there", "podium's own name", "another name", "no channel"],
)
def test_a_plugin_that_is_no_channel_is_named_with_its_package(monkeypatch, name, contents, expected):
    with pytest.raises(PluginBroken, match="podium-pager") as caught:
        use(plugin(monkeypatch, name, **contents), ())

    assert expected in caught.value.message
