"""Tallies as JSON and back, to the bit: what is kept in a database and sent from one node to another.

Whole numbers that JavaScript would round go as hexadecimal text, sums as numerator and halvings, cells as pairs.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from podium.domain.monitoring.quality.sums import ExactSum
from podium.domain.monitoring.quality.tallies import ClassTally, LabelTally, NumberTally

_KINDS: dict[str, type[ClassTally] | type[NumberTally] | type[LabelTally]] = {
    "classes": ClassTally,
    "numbers": NumberTally,
    "labels": LabelTally,
}
_SAFE = 1 << 53

Kept = ClassTally | NumberTally | LabelTally


def as_json(tally: Kept) -> dict[str, Any]:
    """A tally as what JSON has."""
    kind = next(name for name, each in _KINDS.items() if type(tally) is each)
    return {"kind": kind} | {each.name: _written(getattr(tally, each.name)) for each in fields(tally)}


def tally_of(document: Mapping[str, Any]) -> Kept:
    """The tally that `as_json` wrote.

    Raises:
        ValueError: It is none of them, or parts of it are missing or damaged.
    """
    kind = _KINDS.get(str(document.get("kind")))
    if kind is None:
        raise ValueError(f"kind: expected one of {', '.join(_KINDS)}, got {document.get('kind')!r}.")
    try:
        return kind(**{each.name: _read(document[each.name]) for each in fields(kind)})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"This is no tally of {document['kind']} that podium wrote: {error!r}.") from error


def _written(value: Any) -> Any:
    match value:
        case int() if abs(value) >= _SAFE:
            return {"whole": f"{value:x}"}
        case ExactSum():
            return {"sum": f"{value.numerator:x}", "halvings": value.halvings}
        case tuple():
            return [_written(each) for each in value]
        case Mapping():
            return {"cells": [[_written(place), _written(count)] for place, count in value.items()]}
        case _:
            return value


def _read(value: Any) -> Any:
    match value:
        case {"whole": str(digits)}:
            return int(digits, 16)
        case {"sum": str(digits), "halvings": int(halvings)}:
            return ExactSum(int(digits, 16), halvings)
        case {"cells": list(cells)}:
            return {_read(place): _read(count) for place, count in cells}
        case list():
            return tuple(_read(each) for each in value)
        case None | int() | str():
            return value
        case _:
            raise ValueError(f"{value!r} is no count")
