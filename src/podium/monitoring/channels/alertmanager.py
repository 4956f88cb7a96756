"""Prometheus' Alertmanager: told all that fires every minute, as Prometheus does; it groups, repeats and routes."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from podium.domain.monitoring.alerting.payloads import alertmanager_alerts
from podium.monitoring.channels.contract import AllFiring, Option, Secrecy, Told, Undelivered
from podium.monitoring.channels.posting import CA_FILE, TOKEN, encoded, post
from podium.settings.declared import ValueKind

_PATH = "/api/v2/alerts"


class AlertmanagerChannel:
    """Posts to `/api/v2/alerts`. What is not said again ends there by itself, also when podium dies."""

    name = "alertmanager"
    is_following = True
    options = (
        Option("url", ValueKind.TEXT, "Its address: http://alertmanager:9093.", is_required=True),
        Option("username", ValueKind.TEXT, "Sent as Authorization: Basic, with password."),
        Option("password", ValueKind.TEXT, "See username.", secrecy=Secrecy.SECRET),
        TOKEN,
        CA_FILE,
    )

    def send(self, message: Told | AllFiring, options: Mapping[str, Any], timeout_s: float) -> None:
        """As in `Channel`."""
        if isinstance(message, Told):
            return
        url = str(options["url"]).rstrip("/")
        if "@" in urlsplit(url).netloc:
            raise Undelivered("its url holds a user: say username, and password_file or password_env.", is_final=True)
        said = alertmanager_alerts(message.alerts, message.until, message.address, message.runbooks)
        headers = {}
        if options.get("username"):
            secret = f"{options['username']}:{options.get('password') or ''}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
        post(url + _PATH, encoded(said), options, timeout_s, headers)
