"""Who may ask a server for what: frozen values that each gateway gets; none of them is a secret."""

from dataclasses import dataclass
from functools import partial

from podium.errors import Misconfigured
from podium.settings.declared import Kind, declare

_access = partial(declare, table="access")
OPENABLE = ("version", "status", "metrics", "docs", "openapi")


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """How requests are guarded.

    Args:
        requires_keys: Whether whoever scores, reads or moves needs a key.
        open_pages: Pages that need none.
        key_file: Where the keys are.
    """

    requires_keys: bool = _access(False, "require_keys", Kind.SWITCH, "Answer nobody without an API key, but for probes.")
    open_pages: tuple[str, ...] = _access(
        (), "open_pages", Kind.NAMES, f"Pages that need no key: {', '.join(OPENABLE)}.", default_text="none"
    )
    key_file: str = ""

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.open_pages) - set(OPENABLE)):
            raise Misconfigured(f"open_pages names {', '.join(unknown)}; there are {', '.join(OPENABLE)}.")

    @property
    def asks_who(self) -> bool:
        """Whether anybody is asked who they are."""
        return self.requires_keys
