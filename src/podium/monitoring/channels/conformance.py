"""The laws of channels, checked on receivers of this machine: none that hangs, hangs up or speaks nonsense does any harm.

    for outcome in examine(PagerChannel(), lambda host, port: {"url": f"http://{host}:{port}/{SECRET}"}):
        assert outcome.failure is None, outcome

`SECRET` stands for a secret: whoever examines a channel puts it into each option that is one.
"""

import contextlib
import copy
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podium.domain.monitoring.alerting.alerts import Alert, AlertState, News, Notification
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.monitoring.channels.choice import fault_of
from podium.monitoring.channels.contract import AllFiring, Channel, Told, Undelivered

SECRET = "examined-secret-0451"  # noqa: S105 - stands for one
_TIMEOUT_S = 0.3
_SLACK_S = 5.0
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


def examine(channel: Channel, options_at: OptionsAt) -> Iterator[ChannelOutcome]:
    """Check each law.

    Args:
        channel: What is examined.
        options_at: Its options, secrets with `SECRET` in them.
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
                failure = _tried(channel, options_at("127.0.0.1", port), name)
            if failure is not None:
                break
        yield ChannelOutcome(law, failure)


def _tried(channel: Channel, options: Mapping[str, Any], name: str) -> str | None:
    """What is wrong with how it takes it that a receiver does not; None where nothing is."""
    message, given, began = _message(channel, name), copy.deepcopy(dict(options)), time.monotonic()
    try:
        channel.send(message, options, _TIMEOUT_S)
    except Undelivered as error:
        if SECRET in error.message or SECRET in repr(error.__cause__):
            return "its error holds the secret"
    except Exception as error:  # noqa: BLE001 - any other is what is looked for
        return f"it raised {type(error).__name__}, which is no Undelivered"
    else:
        return "it returned as though the receiver had taken it"
    if time.monotonic() - began > 2 * _TIMEOUT_S + _SLACK_S:
        return f"it took {time.monotonic() - began:.1f} s, with a timeout of {_TIMEOUT_S:g} s"
    return None if dict(options) == given else "it changed its options"


def _message(channel: Channel, name: str) -> Told | AllFiring:
    alert = Alert("0" * 64, "drift-column", (("model", name),), AlertSeverity.PAGE, AlertState.FIRING, 1.0, fired_at=1.0)
    if channel.is_following:
        return AllFiring((alert,), 2.0, "examined", "", "docs/runbooks")
    return Told(Notification("1" * 32, name, 1.0, ((News.FIRING, alert),)), "examined", "", "docs/runbooks")


@contextlib.contextmanager
def _closed() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    yield port


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
