"""Any address that takes JSON: podium's own, or what Alertmanager posts, signed where a secret is shared."""

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from podium.domain.monitoring.alerting.payloads import alertmanager_webhook, plain
from podium.monitoring.channels.contract import AllFiring, Option, Secrecy, Told
from podium.monitoring.channels.posting import CA_FILE, TOKEN, encoded, post
from podium.settings.declared import ValueKind


class WebhookChannel:
    """Posts each notification. The same one has the same `X-Podium-Notification`, also when it is told again."""

    name = "webhook"
    is_following = False
    options = (
        Option("url", ValueKind.TEXT, "Where to post.", is_required=True, secrecy=Secrecy.EITHER),
        Option(
            "format",
            ValueKind.WORD,
            "Podium's own JSON, or version 4 of what Alertmanager posts.",
            default="podium",
            choices=("podium", "alertmanager"),
        ),
        Option("secret", ValueKind.TEXT, "Signs each body: X-Podium-Signature, HMAC with SHA-256.", secrecy=Secrecy.SECRET),
        TOKEN,
        CA_FILE,
    )

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def send(self, message: Told | AllFiring, options: Mapping[str, Any], timeout_s: float) -> None:
        """As in `Channel`."""
        if isinstance(message, AllFiring):
            return
        told = message.notification
        if options["format"] == "alertmanager":
            body = encoded(alertmanager_webhook(told, message.receiver, message.address, message.runbooks))
        else:
            body = encoded(plain(told, message.address, message.runbooks))
        headers = {"X-Podium-Notification": told.id}
        if options.get("secret"):
            headers["X-Podium-Signature"] = signature(options["secret"], body, int(self._clock()))
        post(options["url"], body, options, timeout_s, headers)


def signature(secret: str, body: bytes, at: int) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA-256 of `SECONDS.BODY`, so that an old body cannot be sent as a new one."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"
