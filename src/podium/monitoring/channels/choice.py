"""Which kinds of channels there are, and what podium.toml says of each channel, checked before anything is sent."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.domain.monitoring.alerting.alerts import Alert
from podium.domain.monitoring.alerting.silences import is_like
from podium.domain.nearest import did_you_mean
from podium.errors import Misconfigured
from podium.monitoring.channels.alertmanager import AlertmanagerChannel
from podium.monitoring.channels.contract import GROUP, Channel, Option, Secrecy
from podium.monitoring.channels.mail import EmailChannel
from podium.monitoring.channels.slack import SlackChannel
from podium.monitoring.channels.webhook import WebhookChannel
from podium.settings.alerts import ChannelSettings
from podium.settings.declared import Setting, ValueKind
from podium.settings.entry_points import Plugin, PluginBroken, installed, only_one, used
from podium.settings.provenance import read
from podium.settings.secrets import SecretPlace

CHANNELS: tuple[Channel, ...] = (WebhookChannel(), SlackChannel(), AlertmanagerChannel(), EmailChannel())
"""Podium's own."""
_ENDINGS = ("_file", "_env")


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel that podium.toml names, with what is said of it.

    Args:
        settings: What is said of any channel.
        kind: What sends.
        values: Of each option that is no secret.
        secrets: Where the others are.
    """

    settings: ChannelSettings
    kind: Channel
    values: Mapping[str, Any]
    secrets: Mapping[str, SecretPlace]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.settings.name

    def options(self, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
        """All values, secrets read now.

        Raises:
            Misconfigured: A secret is not where it was said to be.
        """
        return {**self.values, **{name: place.read(environ) for name, place in self.secrets.items()}}

    def tells_of(self, alert: Alert) -> bool:
        """Whether it is told of an alert at all."""
        is_meant = any(is_like(alert.group, pattern) for pattern in self.settings.models)
        return is_meant and alert.severity in self.settings.severities


def open_channels(
    settings: Sequence[ChannelSettings], environ: Mapping[str, str] = os.environ, plugins: Sequence[Plugin] | None = None
) -> tuple[OpenChannel, ...]:
    """Each channel with its kind; a plugin's is imported.

    Args:
        settings: What podium.toml says.
        environ: Where secrets may be: each is read once, so that one that is missing is told before it is needed.
        plugins: Those that are installed, where they are known.

    Raises:
        Misconfigured: There is no such kind or option, a value does not fit, or a secret is not there.
    """
    found = []
    for each in settings:
        kind = _kind_of(each, installed(GROUP) if plugins is None else plugins)
        opened = _opened(each, kind)
        opened.options(environ)
        found.append(opened)
    return tuple(found)


def fault_of(channel: Any) -> str | None:
    """What keeps an object from being a channel; None where nothing does."""
    if not callable(getattr(channel, "send", None)):
        return f"{type(channel).__name__} has no send"
    if not isinstance(getattr(channel, "is_following", None), bool):
        return "is_following is neither True nor False"
    options = getattr(channel, "options", None)
    if not isinstance(options, tuple) or not all(isinstance(each, Option) for each in options):
        return f"options is {options!r:.100}; expected a tuple of podium.monitoring.channels.contract.Option"
    for option in options:
        if option.secrecy is not Secrecy.OPEN and option.kind is not ValueKind.TEXT:
            return f"the option {option.name!r} may be secret, and is no text"
    return None


def use(plugin: Plugin, plugins: Sequence[Plugin]) -> Channel:
    """Import a plugin.

    Args:
        plugin: One of `plugins`.
        plugins: All that are installed: a name that two have is nobody's.

    Raises:
        PluginBroken: It cannot be imported, is no channel, or its name is another's too.
    """
    channel: Channel = used(plugin, plugins, "channel", {kind.name for kind in CHANNELS}, fault_of)
    return channel


def _kind_of(settings: ChannelSettings, plugins: Sequence[Plugin]) -> Channel:
    own = {kind.name: kind for kind in CHANNELS}
    if settings.kind in own:
        return own[settings.kind]
    try:
        plugin = only_one(settings.kind, plugins, "channel")
        if plugin is not None:
            return use(plugin, plugins)
    except PluginBroken as error:
        raise Misconfigured(f"{settings.source}: {error.message}") from error
    known = [*own, *sorted({each.name for each in plugins})]
    raise Misconfigured(
        f"{settings.source}: there is no kind of channel {settings.kind!r:.60}.{did_you_mean(settings.kind, known)} "
        f"There are {', '.join(known)}."
    )


def _opened(settings: ChannelSettings, kind: Channel) -> OpenChannel:
    said, path = dict(settings.options), f"alerts.channels.{settings.name}"
    values: dict[str, Any] = {}
    secrets: dict[str, SecretPlace] = {}
    for option in kind.options:
        places = [option.name + ending for ending in _ENDINGS if option.name + ending in said]
        if option.secrecy is Secrecy.SECRET and option.name in said:
            raise Misconfigured(
                f"{settings.source}: {path}.{option.name} is a secret, and podium.toml is no place for one. Say "
                f"{option.name}_file or {option.name}_env: where it is."
            )
        if option.secrecy is not Secrecy.OPEN and places:
            if len(places) > 1 or option.name in said:
                raise Misconfigured(f"{settings.source}: {path}.{option.name} is said twice, as {' and '.join(places)}.")
            place = str(_read(Option(places[0], ValueKind.TEXT, ""), said.pop(places[0]), settings, path))
            is_file = places[0].endswith("_file")
            secrets[option.name] = SecretPlace(
                f"{path}.{option.name}", place if is_file else None, None if is_file else place
            )
        elif option.name in said:
            values[option.name] = _read(option, said.pop(option.name), settings, path)
        elif option.is_required:
            also = "" if option.secrecy is Secrecy.OPEN else "_file or " + option.name + "_env"
            raise Misconfigured(f"{settings.source}: {path} does not say {option.name}{also}. {option.help}")
        else:
            values[option.name] = option.default
    if said:
        unknown, known = next(iter(said)), [option.name for option in kind.options]
        raise Misconfigured(
            f"{settings.source}: a channel of the kind {kind.name} has no {unknown!r:.60}."
            f"{did_you_mean(unknown, known)} It has {', '.join(known)}."
        )
    return OpenChannel(settings, kind, values, secrets)


def _read(option: Option, raw: Any, settings: ChannelSettings, path: str) -> Any:
    """A value as it is written for its kind; one that may be secret is not quoted."""
    setting = Setting(path, option.name, option.kind, "", "", "", option.choices, None, option.most)
    if option.secrecy is Secrecy.OPEN:
        return read(setting, raw, settings.source, f"{path}.{option.name}")
    if not isinstance(raw, str) or not raw:
        raise Misconfigured(f"{settings.source}: {path}.{option.name} is expected to be text.")
    return raw
