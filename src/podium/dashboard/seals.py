"""Tokens of forms: that a form was made here, for this browser, this page and this person, and is sent once.

A token holds no secret and is kept nowhere until it comes back: it is an HMAC-SHA256 by a key of this process over its end,
a number of its own and whatever it is bound to. Another site's page can send a form, and cannot know one.
"""

import hashlib
import hmac
import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

FORM_S = 3600
_MOST_SENT = 10_000
_LONGEST = 200


class Seals:
    """Makes tokens and knows its own again. Any thread.

    Args:
        clock: Seconds of the Unix epoch.
        key: What they are made by; another for each process.
    """

    def __init__(self, clock: Callable[[], float], key: bytes | None = None) -> None:
        self._clock = clock
        self._key = key or secrets.token_bytes(32)
        self._sent: OrderedDict[str, str | None] = OrderedDict()
        self._lock = threading.Lock()

    def make(self, *bound: str) -> str:
        """A token for one form, good for an hour."""
        return self._sealed(f"{int(self._clock()) + FORM_S}.{secrets.token_hex(8)}", bound)

    def fits(self, token: str, *bound: str) -> bool:
        """Whether a token was made here for the same things, and is not too old."""
        if len(token) > _LONGEST or not token.isascii() or token.count(".") != 2:
            return False
        said = token.rpartition(".")[0]
        # Before its time is believed: what is signed is ours.
        return hmac.compare_digest(self._sealed(said, bound), token) and self._clock() < int(said.partition(".")[0])

    def take(self, token: str) -> bool:
        """Whether a form that fits is sent for the first time; no second one passes."""
        with self._lock:
            if token in self._sent:
                return False
            self._sent[token] = None
            while len(self._sent) > _MOST_SENT:
                self._sent.popitem(last=False)
            return True

    def note(self, token: str, place: str) -> None:
        """Where its answer led, for whoever sends it twice, as by two clicks."""
        with self._lock:
            if token in self._sent:
                self._sent[token] = place

    def led_to(self, token: str) -> str | None:
        """Where the first one's answer led; None while it is under way, and where it came to nothing."""
        with self._lock:
            return self._sent.get(token)

    def _sealed(self, said: str, bound: tuple[str, ...]) -> str:
        text = json.dumps([said, *bound]).encode()
        return f"{said}.{hmac.new(self._key, text, hashlib.sha256).hexdigest()}"


class Notices:
    """What was done, told on the next page: its address has a name of it, never the text, which anybody could write there.

    Args:
        clock: Seconds of the Unix epoch.
    """

    MOST = 1000
    KEPT_S = 300.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, message: str) -> str:
        """Its name."""
        name = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[name] = (self._clock() + self.KEPT_S, message)
            while len(self._kept) > self.MOST:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str | None) -> str | None:
        """What it says, for some minutes."""
        with self._lock:
            ends, message = self._kept.get(name or "", (0.0, ""))
        return message if self._clock() < ends else None
