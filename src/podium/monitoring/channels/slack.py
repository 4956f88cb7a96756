"""Slack's incoming webhooks, and whatever takes the same (Mattermost, Rocket.Chat)."""

from collections.abc import Mapping
from typing import Any

from podium.domain.monitoring.alerting.payloads import slack_message
from podium.monitoring.channels.contract import AllFiring, Option, Secrecy, Told
from podium.monitoring.channels.posting import CA_FILE, encoded, post
from podium.settings.declared import ValueKind


class SlackChannel:
    """Posts each notification as a message. Its address is its password."""

    name = "slack"
    is_following = False
    options = (
        Option("url", ValueKind.TEXT, "The incoming webhook's address.", is_required=True, secrecy=Secrecy.SECRET),
        CA_FILE,
    )

    def send(self, message: Told | AllFiring, options: Mapping[str, Any], timeout_s: float) -> None:
        """As in `Channel`."""
        if isinstance(message, Told):
            body = encoded(slack_message(message.notification, message.address, message.runbooks))
            post(options["url"], body, options, timeout_s, {})
