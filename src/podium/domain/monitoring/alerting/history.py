"""What became of alerts from one step to the next: what a history keeps."""

from collections.abc import Iterator
from dataclasses import dataclass

from podium.domain.monitoring.alerting.alerts import Alert, AlertBook, AlertState


@dataclass(frozen=True, slots=True)
class Turn:
    """An alert went from one state to another.

    Args:
        at: When.
        before: None: it was not there.
        after: None: it is forgotten, or never came to fire.
        alert: As it is after that, or was last.
    """

    at: float
    before: AlertState | None
    after: AlertState | None
    alert: Alert


def turns(before: AlertBook, after: AlertBook) -> Iterator[Turn]:
    """All that changed its state between two books, of which the second came of the first."""
    at = after.at or 0.0
    for print_ in dict.fromkeys((*before.alerts, *after.alerts)):
        old, new = before.alerts.get(print_), after.alerts.get(print_)
        alert = new or old
        was, now_is = old.state if old else None, new.state if new else None
        if alert is not None and was is not now_is:
            yield Turn(at, was, now_is, alert)
