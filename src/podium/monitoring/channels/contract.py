"""What a channel is: one way to tell people of alerts.

A plugin is a package with an entry point whose name is the kind that podium.toml says:

    [project.entry-points."podium.channels"]
    pager = "podium_pager:PagerChannel"

The laws stand in `conformance.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol

from podium.domain.monitoring.alerting.alerts import Alert, Notification
from podium.errors import PodiumError
from podium.settings.declared import ValueKind

GROUP = "podium.channels"


class Undelivered(PodiumError):
    """A receiver did not take what it was told. The message holds no secret: no path or query of an address either.

    Args:
        message: Who did what.
        is_final: Telling the same again would give the same: the receiver refused it, or what it needs is not there.
        retry_after_s: When the receiver wants to be asked again.
    """

    code: ClassVar[str] = "UNDELIVERED"

    def __init__(self, message: str, *, is_final: bool = False, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class Secrecy(Enum):
    """Where an option's value may stand.

    Attributes:
        OPEN: In podium.toml.
        EITHER: There, or in a file or a variable that is named there: `url`, `url_file`, `url_env`.
        SECRET: In a file or a variable only.
    """

    OPEN = "open"
    EITHER = "either"
    SECRET = "secret"  # noqa: S105 - a word


@dataclass(frozen=True, slots=True)
class Option:
    """What podium.toml may say of a channel of some kind.

    Args:
        name: Its key under `[alerts.channels.NAME]`.
        kind: How it is written; a secret is text.
        help: One sentence.
        default: Where nothing is said.
        is_required: Whether something must be said.
        secrecy: Where the value may stand.
        choices: For a WORD, all of them.
        most: For a COUNT, the largest.
    """

    name: str
    kind: ValueKind
    help: str
    default: Any = None
    is_required: bool = False
    secrecy: Secrecy = Secrecy.OPEN
    choices: tuple[str, ...] = ()
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """News to be told once.

    Args:
        notification: What is told; its `id` is the same when it is told again.
        receiver: The channel's name.
        address: Where people find podium; empty where they do not.
        runbooks: Address or folder of the pages that explain each rule.
    """

    notification: Notification
    receiver: str
    address: str
    runbooks: str


@dataclass(frozen=True, slots=True)
class AllFiring:
    """All that fires, to be said again and again.

    Args:
        alerts: What fires and people know of, and what ended lately.
        until: What fires counts as over then, unless it is said again.
        receiver: The channel's name.
        address: Where people find podium; empty where they do not.
        runbooks: Address or folder of the pages that explain each rule.
    """

    alerts: tuple[Alert, ...]
    until: float
    receiver: str
    address: str
    runbooks: str


class Channel(Protocol):
    """A kind of channel. It keeps nothing between two calls, and is called by one thread for each channel."""

    @property
    def name(self) -> str:
        """The kind, as podium.toml says it."""

    @property
    def options(self) -> tuple[Option, ...]:
        """What may be said of such a channel, beside `kind`, `severities` and `models`."""

    @property
    def is_following(self) -> bool:
        """Whether it is given a `AllFiring` again and again; else a `Told` for each notification, until it took it."""

    def send(self, message: Told | AllFiring, options: Mapping[str, Any], timeout_s: float) -> None:
        """Tell it; return once the receiver took it.

        Args:
            message: What to tell.
            options: A value for each option, secrets read.
            timeout_s: It ends within about twice as long, whatever the receiver does.

        Raises:
            Undelivered: The receiver did not take it. Nothing else is raised for what a receiver does.
        """
