"""The laws of channels, checked on receivers of this machine: none that hangs, hangs up or speaks nonsense does any harm.

    for outcome in examine(PagerChannel(), lambda host, port: {"url": f"http://{host}:{port}/{SECRET}"}):
        assert outcome.failure is None, outcome

`SECRET` stands for a secret: whoever examines a channel puts it into each option that is one. A plugin that
`podium plugins check` is to examine says its options itself, in a method `sample_options(host, port)`.
"""

import contextlib
import copy
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podium.domain.monitoring.alerting.alerts import Alert, AlertState, News, Notification
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.monitoring.channels.choice import fault_of
from podium.monitoring.channels.contract import AllFiring, Channel, Secrecy, Told, Undelivered
from podium.settings.entry_points import PluginBroken, said

SECRET = "examined-secret-0451"  # noqa: S105 - stands for one
_TIMEOUT_S = 0.3
_SLACK_S = 15.0
_NAMES = ("fraud", "<!channel>\r\nBcc: x@example.com", "\u202e\x00\x1b[31m" + "long " * 500)

OptionsAt = Callable[[str, int], Mapping[str, Any]]
"""All options of a channel whose receiver is at a host and port."""


@dataclass(frozen=True, slots=True)
class ChannelOutcome:
    """Whether a law holds.

    Args:
        law: Which.
        failure: What was found instead; None where it holds.
    """

    law: str
    failure: str | None


def examine(channel: Channel, options_at: OptionsAt, slack_s: float = _SLACK_S) -> Iterator[ChannelOutcome]:
    """Check each law.

    Args:
        channel: What is examined.
        options_at: Its options, secrets with `SECRET` in them.
        slack_s: How much longer than twice its timeout it may take on a machine that is busy.
    """
    yield ChannelOutcome("it is a channel", fault_of(channel))
    for law, place in (
        ("a receiver that is not there is told again later", _closed),
        ("a receiver that says nothing does not hold it up", _silent),
        ("a receiver that hangs up is told again later", _hanging_up),
        ("a receiver that speaks nonsense is an Undelivered", _nonsense),
    ):
        for name in _NAMES:
            with place() as port:
                failure = _tried(channel, options_at("127.0.0.1", port), name, slack_s)
            if failure is not None:
                break
        yield ChannelOutcome(law, failure)


def samples_of(channel: Channel) -> OptionsAt:
    """What a channel says itself of the options that it is examined with, each that it does not say at its default.

    Raises, the function that is returned:
        PluginBroken: It says none, or other ones than it has, or a secret without `SECRET` in it.
    """
    kind = type(channel).__name__

    def options_at(host: str, port: int) -> dict[str, Any]:
        bring = getattr(channel, "sample_options", None)
        if not callable(bring):
            raise PluginBroken(
                f"The channel plugin {channel.name!r} says no options to be examined with. Give {kind} a method "
                "sample_options(host, port) that returns them for a receiver there, with "
                "podium.monitoring.channels.conformance.SECRET in each that is a secret."
            )
        try:
            given = dict(bring(host, port))
        except Exception as error:
            raise PluginBroken(f"sample_options() of the plugin {channel.name!r} raised {said(error)}.") from error
        wrong = _wrong_in(channel, given)
        if wrong is not None:
            raise PluginBroken(f"sample_options() of the channel plugin {channel.name!r} {wrong}.")
        return {**{option.name: option.default for option in channel.options}, **given}

    return options_at


def _wrong_in(channel: Channel, given: Mapping[str, Any]) -> str | None:
    known = {option.name for option in channel.options}
    for name in given:
        if name not in known:
            return f"says {name!r:.60}, which is none of its options: {', '.join(sorted(known)) or 'it has none'}"
    for option in channel.options:
        if option.is_required and option.name not in given:
            return f"does not say {option.name!r}, which is required"
        is_open = option.secrecy is not Secrecy.SECRET or given.get(option.name) is None
        if not is_open and SECRET not in str(given[option.name]):
            return f"says a secret {option.name!r} without podium.monitoring.channels.conformance.SECRET in it"
    return None


def _tried(channel: Channel, options: Mapping[str, Any], name: str, slack_s: float) -> str | None:
    """What is wrong with how it takes it that a receiver does not; None where nothing is."""
    message, given = _message(channel, name), copy.deepcopy(dict(options))
    most_s, found = 2 * _TIMEOUT_S + slack_s, list[str | None]()
    # By a thread of its own: one that never comes back is what is looked for, too.
    thread = threading.Thread(target=lambda: found.append(_sent(channel, message, options)), daemon=True)
    thread.start()
    thread.join(most_s)
    if not found:
        return f"it had not come back after {most_s:g} s, with a timeout of {_TIMEOUT_S:g} s"
    if found[0] is not None:
        return found[0]
    return None if dict(options) == given else "it changed its options"


def _sent(channel: Channel, message: Told | AllFiring, options: Mapping[str, Any]) -> str | None:
    try:
        channel.send(message, options, _TIMEOUT_S)
    except Undelivered as error:
        is_told = SECRET in error.message or SECRET in repr(error.__cause__)
        return "its error holds the secret" if is_told else None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - any other is what is looked for
        return f"it raised {type(error).__name__}, which is no Undelivered"
    return "it returned as though the receiver had taken it"


def _message(channel: Channel, name: str) -> Told | AllFiring:
    alert = Alert("0" * 64, "drift-column", (("model", name),), AlertSeverity.PAGE, AlertState.FIRING, 1.0, fired_at=1.0)
    if channel.is_following:
        return AllFiring((alert,), 2.0, "examined", "", "docs/runbooks")
    return Told(Notification("1" * 32, name, 1.0, ((News.FIRING, alert),)), "examined", "", "docs/runbooks")


@contextlib.contextmanager
def _closed() -> Iterator[int]:
    # Bound, so that nobody else listens there meanwhile.
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@contextlib.contextmanager
def _silent() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def _hanging_up() -> contextlib.AbstractContextManager[int]:
    return _answering(b"")


def _nonsense() -> contextlib.AbstractContextManager[int]:
    return _answering(b"\x00\xff" * 100 + b"\r\n\r\n")


@contextlib.contextmanager
def _answering(words: bytes) -> Iterator[int]:
    """A receiver that says this to each connection and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_answer, args=(listener, words), daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            # Wakes it: closing alone would not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(_SLACK_S)


def _answer(listener: socket.socket, words: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(words)
