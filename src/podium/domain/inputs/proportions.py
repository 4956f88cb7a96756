"""How many cells a data frame would have, before it is made of values that name far fewer. Pure.

Rows that each name a column of their own, one long row among short ones, or a scalar for a whole index unfold to rows times
columns: forty kilobytes to nine million cells, half a megabyte to more than a machine holds. And pandas takes the square of
columns of one name in CSV.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# So many cells are nobody's trouble; beyond them, so many for each that was written: optional columns may be left out.
FREE_CELLS = 8 << 20
CELLS_FOR_EACH = 16
_MOST_COMPARED = 10_000_000
# Blank lines, then what stands in quotes, whatever it holds, or up to the line's end.
_HEADER = re.compile(r'[\r\n]*((?:[^"\r\n]+|"[^"]*")*)')


def why_unfolding(data: Any, index: Any = None, columns: Any = None) -> str | None:
    """Why no data frame is made of values as JSON has them; None where nothing is wrong.

    Args:
        data: What `pandas.DataFrame` is given: rows, columns by name, or one value for all cells.
        index: Names of rows, where they are said apart.
        columns: Likewise of columns.
    """
    width, height, written = 1, 1, 1
    if isinstance(data, Mapping):
        width = len(data)
        height, written = _longest(list(data.values()))
    elif _is_list(data):
        height = len(data)
        width, written = _longest(data)
    named = [len(each) if _is_list(each) else 0 for each in (index, columns)]
    return _why(max(height, named[0]), max(width, named[1]), written + sum(named))


def why_unfolding_csv(text: str) -> str | None:
    """Likewise of CSV, whose rows may be shorter than its head."""
    head = _HEADER.match(text)
    names = [name.strip('"') for name in (head[1] if head else "").split(",")]
    repeated = len(names) - len(set(names))
    if repeated * len(names) > _MOST_COMPARED:
        return f"{repeated} of {len(names)} columns have the name of another one"
    height = text.count("\n") + text.count("\r")
    return _why(height, len(names), text.count(",") + height)


def _why(height: int, width: int, written: int) -> str | None:
    if height * width <= FREE_CELLS + CELLS_FOR_EACH * written:
        return None
    return f"{height} rows of {width} columns have {height * width} cells, of which only {written} were sent"


def _longest(entries: Sequence[Any]) -> tuple[int, int]:
    """How many places the entries have together, each with its own names or number of them; and how many were written."""
    longest, written, names = 1, 0, set[Any]()
    for entry in entries:
        if isinstance(entry, Mapping):
            written += len(entry)
            names.update(entry)
        elif _is_list(entry):
            written += len(entry)
            longest = max(longest, len(entry))
        else:
            written += 1
    return max(longest, len(names)), written


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
