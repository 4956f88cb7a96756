"""What helps somebody who named what is not there: a word that is near, or what there is."""

import difflib
from collections.abc import Iterable, Sequence

_SHOWN = 8


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question to put behind an error, with a blank before it; empty where no known word is near."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1) or [other for other in words if other.lower() == word.lower()]
    return f" Did you mean {close[0]!r}?" if close else ""


def listed(what: str, items: Sequence[str]) -> str:
    """What there is, at most the last few: of many versions, the newest are the ones that were meant."""
    if not items:
        return f"no {what}"
    left_out = len(items) - _SHOWN
    return f"{what} " + (f"({left_out} more) … " if left_out > 0 else "") + ", ".join(items[-_SHOWN:])
