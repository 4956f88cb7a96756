"""E-mail by SMTP: plain text, one message for each notification."""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from podium.domain.monitoring.alerting.alerts import News, Notification
from podium.domain.monitoring.alerting.payloads import time_text
from podium.monitoring.channels.contract import AllFiring, Option, Secrecy, Told, Undelivered
from podium.monitoring.channels.posting import CA_FILE
from podium.settings.declared import ValueKind

_MOST = 100
_LONGEST_SUBJECT = 150
_MOST_LINES = 200
_WORDS = {News.FIRING: "FIRING", News.REPEAT: "STILL FIRING", News.RESOLVED: "resolved"}


class EmailChannel:
    """Sends each notification. The same one has the same Message-ID, also when it is sent again."""

    name = "email"
    is_following = False
    options = (
        Option("host", ValueKind.TEXT, "The mail server.", is_required=True),
        Option("port", ValueKind.COUNT, "Its port.", default=587, most=65535),
        Option(
            "tls",
            ValueKind.WORD,
            "starttls, tls from the first byte, or none: then no password is sent.",
            default="starttls",
            choices=("starttls", "tls", "none"),
        ),
        Option("username", ValueKind.TEXT, "Who podium is there."),
        Option("password", ValueKind.TEXT, "See username.", secrecy=Secrecy.SECRET),
        Option("sender", ValueKind.TEXT, "From whom it is.", is_required=True),
        Option("to", ValueKind.TEXTS, "Whom to write.", is_required=True),
        CA_FILE,
    )

    def send(self, message: Told | AllFiring, options: Mapping[str, Any], timeout_s: float) -> None:
        """As in `Channel`."""
        if isinstance(message, AllFiring):
            return
        place = f"the mail server {options['host']}:{options['port']}"
        if options.get("username") and options["tls"] == "none":
            raise Undelivered(f"{place} is asked without TLS, and a password is not sent that way.", is_final=True)
        try:
            written = email_of(message, options["sender"], options["to"])
        except (ValueError, IndexError) as error:
            raise Undelivered(f"sender or to are no addresses: {error}.", is_final=True) from None
        with _as_undelivered(place), _connected(options, timeout_s) as server:
            if options.get("username"):
                server.login(options["username"], options.get("password") or "")
            refused = server.send_message(written)
        if refused:
            raise Undelivered(f"{place} refused {len(refused)} of {len(options['to'])} receivers.", is_final=True)


def email_of(told: Told, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The notification as a message. Names of models and columns are anybody's: none of them can make a header.

    Raises:
        ValueError: The sender or a receiver is no address.
    """
    notification = told.notification
    written = EmailMessage(policy=SMTP)
    written["Subject"] = _subject(notification)
    written["From"] = sender
    written["To"] = ", ".join(to)
    written["Date"] = format_datetime(datetime.fromtimestamp(notification.at, UTC))
    written["Message-ID"] = f"<{notification.id}@podium>"
    written["Auto-Submitted"] = "auto-generated"
    written.set_content("\n".join(_lines(told)).encode("utf-8", "replace").decode())
    return written


def _subject(notification: Notification) -> str:
    counts = [(news, sum(each is news for each, _ in notification.items)) for news in News]
    said = ", ".join(f"{count} {_WORDS[news]}" for news, count in counts if count)
    subject = f"[podium] {notification.group or 'the server'}: {said}"
    plain = "".join(character if character.isprintable() else " " for character in subject)
    return plain if len(plain) <= _LONGEST_SUBJECT else f"{plain[:_LONGEST_SUBJECT]}…"


def _lines(told: Told) -> Iterator[str]:
    items = told.notification.items
    for news, alert in items[:_MOST]:
        yield f"{_WORDS[news]}: {alert.rule} ({alert.severity.value})"
        yield from (f"  {name}: {_one_line(value)}" for name, value in alert.labels if value)
        yield f"  {_one_line(alert.meaning)}"
        if alert.sentence:
            yield f"  {_one_line(alert.sentence)}"
        yield f"  since {time_text(alert.fired_at if alert.fired_at is not None else alert.since)}"
        if news is News.RESOLVED:
            yield f"  until {time_text(alert.resolved_at)}"
        yield f"  {told.runbooks.rstrip('/')}/{alert.rule}.md"
        yield ""
    if len(items) > _MOST:
        yield f"and {len(items) - _MOST} more"
    if told.address:
        yield told.address


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


class ReplyTooLong(smtplib.SMTPException):
    """A server says more to one command than anybody reads."""


class _Measured:
    """The lines of a server's reply, of which there may be only so many."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.lines = 0

    def readline(self, most: int) -> Any:
        self.lines += 1
        if self.lines > _MOST_LINES:
            raise ReplyTooLong
        return self._file.readline(most)

    def close(self) -> None:
        self._file.close()


class _Bounded(smtplib.SMTP):
    """Python's client keeps every line of a reply, however many come: a server that never stops would fill the memory."""

    file: Any

    def getreply(self) -> tuple[int, bytes]:
        """As the base's.

        Raises:
            ReplyTooLong: It has no end.
        """
        if self.file is None and self.sock is not None:
            self.file = _Measured(self.sock.makefile("rb"))
        measured = self.file
        if measured is not None:
            measured.lines = 0
        try:
            return super().getreply()
        except smtplib.SMTPServerDisconnected:
            if measured is not None and measured.lines > _MOST_LINES:
                raise ReplyTooLong from None  # the base takes it for a socket's error
            raise


class _BoundedSecure(_Bounded, smtplib.SMTP_SSL):
    """By TLS from the first byte."""


@contextlib.contextmanager
def _connected(options: Mapping[str, Any], timeout_s: float) -> Iterator[smtplib.SMTP]:
    """A server that was greeted; its socket is shut when the time is over, whatever it waits for."""
    context = ssl.create_default_context(cafile=options.get("ca_file"))
    # Else it asks DNS for its own name, for as long as that takes.
    own = socket.gethostname() if "." in socket.gethostname() else "[127.0.0.1]"
    if options["tls"] == "tls":
        server: smtplib.SMTP = _BoundedSecure(local_hostname=own, timeout=timeout_s, context=context)
    else:
        server = _Bounded(local_hostname=own, timeout=timeout_s)
    # The name that certificates are held against, which only the constructor sets, and which connects then.
    server._host = options["host"]  # type: ignore[attr-defined]
    watch = threading.Timer(timeout_s, _shut, (server,))
    watch.daemon = True
    watch.start()
    try:
        server.connect(options["host"], options["port"])
        if options["tls"] == "starttls":
            server.starttls(context=context)
        yield server
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        watch.cancel()
        server.close()


def _shut(server: smtplib.SMTP) -> None:
    with contextlib.suppress(OSError):
        if server.sock is not None:
            server.sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _as_undelivered(place: str) -> Iterator[None]:
    """What servers say is not quoted: it may repeat what they were sent."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise Undelivered(f"{place} does not take username and password ({error.smtp_code}).", is_final=True) from None
    except smtplib.SMTPResponseException as error:
        is_final = 500 <= error.smtp_code < 600
        raise Undelivered(f"{place} refused the message ({error.smtp_code}).", is_final=is_final) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = sorted({code for code, _ in error.recipients.values()})
        is_final = all(code >= 500 for code in codes)
        raise Undelivered(f"{place} refused all receivers ({', '.join(map(str, codes))}).", is_final=is_final) from None
    except smtplib.SMTPNotSupportedError:
        raise Undelivered(f"{place} does not know TLS or passwords, which the channel asks for.", is_final=True) from None
    except smtplib.SMTPServerDisconnected:
        raise Undelivered(f"{place} hung up, or did not answer in time.") from None
    except smtplib.SMTPException as error:
        raise Undelivered(f"{place} does not speak SMTP: {type(error).__name__}.") from None
    except ssl.SSLCertVerificationError as error:
        raise Undelivered(
            f"{place} shows a certificate that is not trusted: {error.verify_message}. Trust its issuer with ca_file."
        ) from None
    except TimeoutError:
        raise Undelivered(f"{place} does not answer in time.") from None
    except OSError as error:
        raise Undelivered(f"{place} cannot be reached: {error.strerror or type(error).__name__}.") from None
    except UnicodeError:
        raise Undelivered("a name of its host, sender or receivers cannot be sent by SMTP.", is_final=True) from None
