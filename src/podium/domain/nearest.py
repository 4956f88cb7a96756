"""Which known word somebody may have meant by one that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question to put behind an error, with a blank before it; empty where no known word is near."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1) or [other for other in words if other.lower() == word.lower()]
    return f" Did you mean {close[0]!r}?" if close else ""
