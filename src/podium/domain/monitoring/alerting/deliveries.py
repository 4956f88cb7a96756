"""What is to be told whom, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum

from podium.domain.monitoring.alerting.alerts import Notification


class DeliveryResult(StrEnum):
    """What became of telling one channel of one notification.

    Attributes:
        WAITING: It was not told yet, or did not take it and is told again.
        SENT: It took it.
        FAILED: It refused it, or did not take it for too long.
        DROPPED: Too many others waited.
    """

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification for one channel.

    Args:
        channel: Its name.
        notification: What of the notification is for it.
        result: What became of it.
        tries: How often it was told.
        at: When that was so.
        error: Why it was not taken last; holds no secret.
    """

    channel: str
    notification: Notification
    result: DeliveryResult = DeliveryResult.WAITING
    tries: int = 0
    at: float = 0.0
    error: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """By which it is known."""
        return self.notification.id, self.channel

    def after(self, result: DeliveryResult, at: float, error: str = "") -> "Delivery":
        """As it is after that."""
        tried = 0 if result is DeliveryResult.DROPPED else 1
        return Delivery(self.channel, self.notification, result, self.tries + tried, at, error)
