"""What a cell of a column counts as: a number, a text's name or length, or missing. One law for profiles and for windows.

Numbers: whole numbers, truth values (0 and 1) and numbers of any width count as doubles; a column of 32-bit floats is
rounded to them first, so that 0.1 is the same number in training and in JSON. Decimals count as the double next to them,
moments as seconds since 1970 in UTC (those without a zone are taken for UTC), spans of time as seconds. Text that reads as
a number counts as it, and in a column of moments that which reads as one. None, NaN, NaT and whatever is none of these is
missing.

Categories: text as it is, whole numbers in digits, truth values among objects like the numbers 0 and 1. Anything else goes
by its `str`.
"""

import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from hmac import digest
from math import inf, nan
from types import NoneType
from typing import Any

import numpy as np

from podium.domain.monitoring.samples import Floats
from podium.errors import InvalidInput

# A name that is longer is no category but text, which is never stored.
LONGEST_NAME = 128

_HASH_BYTES = 8
# No category is hashed by this name: a name is cut to fewer characters.
_MARKED = "podium's mark of a key\0" + "-" * 1024

# Of a whole number that is written in digits, which takes the square of their number.
_MOST_BITS = 1024


class Kind(StrEnum):
    """What a column's values are, before anybody knows how many different ones there are."""

    NUMBER = "number"
    WHOLE = "whole"
    BOOLEAN = "boolean"
    TEXT = "text"
    MOMENT = "moment"
    OBJECT = "object"


_KINDS = {
    "b": Kind.BOOLEAN,
    "i": Kind.WHOLE,
    "u": Kind.WHOLE,
    "f": Kind.NUMBER,
    "m": Kind.NUMBER,
    "M": Kind.MOMENT,
    "U": Kind.TEXT,
    "S": Kind.TEXT,
    "T": Kind.TEXT,
}
# MLflow's names of column types, beside numpy's own.
_NAMED = {
    "boolean": Kind.BOOLEAN,
    "integer": Kind.WHOLE,
    "long": Kind.WHOLE,
    "float": Kind.NUMBER,
    "double": Kind.NUMBER,
    "string": Kind.TEXT,
    "str": Kind.TEXT,
    "binary": Kind.TEXT,
    "bytes": Kind.TEXT,
    "datetime": Kind.MOMENT,
    "object": Kind.OBJECT,
}
_SINGLE = frozenset({"float", "float32"})
_HALF = frozenset({"float16"})


def kind_of(dtype: str) -> Kind:
    """What a column of this type holds.

    Args:
        dtype: A name of MLflow's column types, or of numpy's types; anything else is taken for objects.
    """
    if dtype in _NAMED:
        return _NAMED[dtype]
    try:
        return _KINDS.get(np.dtype(dtype).kind, Kind.OBJECT)
    except TypeError:
        return Kind.OBJECT


def require_column(values: Any) -> None:
    """See that there is one value in each row.

    Raises:
        InvalidInput: There are several.
    """
    shape = getattr(values, "shape", (0,))
    if len(shape) != 1:
        raise InvalidInput(
            f"A column to be monitored has the shape {list(shape)}; expected one value in each row. "
            "Give each of its parts as a column."
        )


def column_array(values: Any) -> np.ndarray[Any, Any]:
    """A column's values as an array with one value in each row.

    Args:
        values: An array, a pandas Series, a list. What a mask hides is missing.

    Raises:
        InvalidInput: There are several values in each row.
    """
    if isinstance(values, list | tuple):
        return np.fromiter(values, dtype=object, count=len(values))
    # Where nobody imported it there is none; naming it would import it: 4 MB, and 20 ms in which a worker answers nobody.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(values, masked.MaskedArray):
        hidden = masked.getmaskarray(values)
        values = np.array(values.data, dtype=object)
        values[hidden] = None
    require_column(values)
    return values if isinstance(values, np.ndarray) else np.asarray(values)


def numbers(values: Any, dtype: str = "float64") -> Floats:
    """The values as doubles; NaN where one is missing.

    Args:
        values: An array, or anything that numpy makes one of (a pandas Series, a list).
        dtype: The column's type: 32-bit and 16-bit floats are rounded to what the model sees, text is read as a moment
            where it is one's.
    """
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    kind = array.dtype.kind
    if kind == "f" or kind in "iub":
        doubles = array.astype(np.float64, copy=False)
    elif kind in "mM":
        doubles = array.astype(f"{kind}8[us]").astype(np.int64) / 1e6
        doubles[np.isnat(array)] = nan
    elif kind == "c":
        return np.full(len(array), nan)
    else:
        objects = array.tolist()
        doubles = _of_objects(_read_moments(objects) if kind_of(dtype) is Kind.MOMENT else objects)
    if dtype in _SINGLE or dtype in _HALF:
        narrow = np.float32 if dtype in _SINGLE else np.float16
        if array.dtype != narrow:
            with np.errstate(over="ignore"):
                return doubles.astype(narrow).astype(np.float64)
    return doubles


def _read_moments(objects: list[Any]) -> list[Any]:
    """Moments that are written by ISO 8601, as in JSON, as what they stand for."""
    return [_moment(value) if isinstance(value, str) else value for value in objects]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _of_objects(objects: list[Any]) -> Floats:
    if set(map(type, objects)) <= {float, int, bool, NoneType}:
        try:
            return np.array(objects, dtype=np.float64)
        except OverflowError:
            pass
    return np.array([number(value) for value in objects], dtype=np.float64)


def number(value: object) -> float:
    """One object as a double; NaN where it is none."""
    if isinstance(value, datetime):
        return _seconds(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, date):
        return _seconds(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if isinstance(value, np.datetime64 | np.timedelta64):
        return float(numbers(np.array([value]))[0])
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError:
            return inf if value > 0 else -inf
    if not isinstance(value, float | str | bytes | Decimal | np.generic):
        return nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return nan


def _seconds(value: datetime) -> float:
    """NaN for pandas' NaT, which is a datetime that has no time."""
    if value != value:
        return nan
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()


def is_missing(value: object) -> bool:
    """None, NaN, NaT or pandas' NA: what is not equal to itself, or cannot say."""
    if value is None:
        return True
    if isinstance(value, str | bytes | int | list | tuple | dict | np.ndarray):
        return False
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        # NA is neither equal nor not.
        return type(value).__name__ == "NAType"


def name(value: object) -> str:
    """The name of the category that an object that is not missing stands for."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer | np.bool_):
        whole = int(value)
        return str(whole) if whole.bit_length() <= _MOST_BITS else hex(whole)
    if isinstance(value, float | np.floating):
        real = float(value)
        return str(int(real)) if real - real == 0 and real == int(real) else repr(real)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except (ValueError, TypeError, RecursionError):
        # Lists in lists in lists, or of a number with thousands of digits.
        return type(value).__name__


def tallied(values: Any) -> Counter[Any]:
    """How often each object occurs; those that cannot be hashed go by their text."""
    objects = values.tolist() if isinstance(values, np.ndarray) else list(values)
    try:
        return Counter(objects)
    except TypeError:
        return Counter(value if _is_hashable(value) else name(value) for value in objects)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def lengths(values: Any) -> Floats:
    """How long each text is, in characters (bytes, where it is bytes); NaN where one is missing."""
    objects: list[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if set(map(type, objects)) == {str}:
        return np.array(list(map(len, objects)), dtype=np.float64)
    return np.array([_length(value) for value in objects], dtype=np.float64)


def _length(value: object) -> float:
    if isinstance(value, str | bytes):
        return len(value)
    return nan if is_missing(value) else len(name(value))


def key_mark(key: bytes) -> str:
    """What a profile keeps of the key that its categories are hashed with, so that another one is not taken for it."""
    return category_hash(key, _MARKED)


def category_hash(key: bytes, category: str) -> str:
    """What stands for a category's name where names are not to be told: HMAC-SHA256, 64 bits, in hexadecimal digits.

    Args:
        key: Secret; whoever has it can try names. The same key must count what was profiled with it.
        category: The name.
    """
    return digest(key, category.encode("utf-8", "surrogatepass"), sha256)[:_HASH_BYTES].hex()
