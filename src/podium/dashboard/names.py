"""Names as parts of an address. Pure.

Browsers take `.` and `..` in a path for steps, however they are written, and never ask for them. So these two are told
with a `~` before them, and so is whatever begins with one.
"""

from urllib.parse import quote

_STEPS = (".", "..")
_MARK = "~"


def as_part(name: object) -> str:
    """A name as one part of a path."""
    text = str(name)
    marked = f"{_MARK}{text}" if text in _STEPS or text.startswith(_MARK) else text
    return quote(marked, safe="")


def of_part(part: str) -> str:
    """The name that a part of a path stands for."""
    return part.removeprefix(_MARK)
