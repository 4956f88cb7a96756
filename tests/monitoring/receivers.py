"""Receivers of notifications on this machine, which keep what they were told; and notifications to tell them."""

import contextlib
import queue
import socket
import ssl
from dataclasses import dataclass, field
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from alert_world import fact, rule
from hosts import hosting
from ports import free_port

from podium.domain.monitoring.alerting.alerts import Alert, AlertBook, AlertPolicy, News, step
from podium.monitoring.channels.choice import open_channels
from podium.monitoring.channels.contract import AllFiring, Told
from podium.monitoring.notifying import TellingTerms
from podium.settings.alerts import alert_settings

HOSTILE = "<!channel>\r\nBcc: eve@example.com\r\n\r\n<img src=x> \u202e\x00"
_WAIT_S = 60
_NOW = AlertPolicy(group_wait_s=0.0)
# A receiver of this machine answers at once, unless all of the machine stands still: what it took is not told again.
PATIENT = TellingTerms(timeout_s=60.0)


def told(letters="b", model="fraud", start=1000.0, receiver="oncall", its=None):
    """The news after a rule found what the letters say, minute by minute: a `Told`."""
    book, heard = AlertBook(), ()
    for turn, letter in enumerate(letters):
        book, heard = step(book, [fact(its or rule(), letter, model=model)], start + 60 * turn, (), _NOW)
    return Told(heard[-1], receiver, "https://podium.example", "https://runbooks.example")


def standing(*messages, until=2e9):
    alerts = tuple(alert for each in messages for _, alert in each.notification.items)
    return AllFiring(alerts, until, "am", "https://podium.example", "https://runbooks.example")


def channel(kind, environ=None, **options):
    """One channel as podium.toml would have it."""
    table = {"alerts": {"channels": {"oncall": {"kind": kind, **options}}}}
    return open_channels(alert_settings(table, {}, "podium.toml").channels, environ or {}, ())[0]


def send(opened, message, environ=None, timeout_s=60.0):
    opened.kind.send(message, opened.options(environ or {}), timeout_s)


@dataclass
class Mailbox:
    """What an HTTP receiver was sent, in order: (path, headers, body)."""

    url: str
    sent: "queue.Queue" = field(default_factory=queue.Queue)

    def next(self):
        return self.sent.get(timeout=_WAIT_S)


@contextlib.contextmanager
def receiving(*statuses, headers=None, tls=None):
    """A receiver that answers with each status once, and then with the last; without any, 200."""
    left = list(statuses) or [200]

    def answer(handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        box.sent.put((handler.path, handler.headers, body))
        return (left.pop(0) if len(left) > 1 else left[0]), headers or {}, b"secret words"

    with hosting({}, tls) as host:
        host.fallback = answer
        box = Mailbox(host.url)
        yield box


@contextlib.contextmanager
def hanging():
    """A place that takes connections, and says nothing."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


class Post:
    """A mail server's part that keeps letters: (sender, receivers, message)."""

    def __init__(self, refuses=()):
        self.letters = queue.Queue()
        self.refuses = refuses

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuses:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = message_from_bytes(envelope.content, policy=policy.default)
        self.letters.put((envelope.mail_from, envelope.rcpt_tos, letter))
        return "250 OK"

    def next(self):
        return self.letters.get(timeout=_WAIT_S)


@contextlib.contextmanager
def mailing(post, certificate=None, password=None):
    """A mail server with STARTTLS where there is a certificate, and asking for a password where there is one."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    def known(server, session, envelope, mechanism, data):
        return AuthResult(success=data.password == password.encode(), handled=False)

    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=free_port(),
        ready_timeout=_WAIT_S,
        tls_context=context,
        authenticator=known if password else None,
        auth_required=password is not None,
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def firing(fingerprint="1" * 64, **changes):
    """An alert that people know of."""
    first = told().notification.items[0][1]
    terms = {name: getattr(first, name) for name in first.__slots__} | {"fingerprint": fingerprint, "told": News.FIRING}
    return Alert(**(terms | changes))
