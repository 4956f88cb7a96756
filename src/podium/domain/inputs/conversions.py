"""What each column type takes, in one table: the numpy type it becomes, what fits it without a loss, what null becomes.

    type      JSON that loses nothing     compat also converts (MLflow's way)            null where required
    boolean   true, false                 numbers and text by their truth: "false" is True    False
    integer   whole, 32 bits              fractions cut, text of digits, booleans        400
    long      whole, 64 bits              likewise                                       400
    float     numbers, whole to 2**24     text of numbers, booleans                      NaN
    double    numbers, whole to 2**53     text of numbers, booleans                      NaN
    string    text                        frames: anything as it is; arrays: str() of it frames: None; arrays: "None"
    binary    text of base64              frames: base64; arrays: the text's own bytes   frames: 400; arrays: b"None"
    datetime  text (ISO 8601)             numbers as nanoseconds                         NaT

"frames" are `dataframe_split` and `dataframe_records`, "arrays" `inputs` and `instances`. What would wrap around into
another value is refused in either mode. A strict server takes the second column only (`loss`), and null where the type
has a value of its own for it or the column is optional. Typed values (Parquet, this process) are not converted but
enforced: `columns.py` and `nested.py`, which widen and never narrow.
"""

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.signature import Column, DataType, TensorSpec


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Args:
        numpy: What a column of it is in memory.
        kinds: The Python types of JSON values that fit it as they are.
        wants: These in words.
        whole: The smallest and the largest whole number that it holds exactly; None where it holds none.
        has_null: NaN or NaT stands for null.
    """

    numpy: "np.dtype[Any]"
    kinds: frozenset[type]
    wants: str
    whole: tuple[int, int] | None = None
    has_null: bool = False


def _rule(dtype: str, kinds: set[type], wants: str, whole: tuple[int, int] | None = None, has_null: bool = False) -> Rule:
    return Rule(np.dtype(dtype), frozenset(kinds), wants, whole, has_null)


# The largest whole number up to which each has a float of 64 bits of its own.
MOST_EXACT = 2**53

RULES: Mapping[DataType, Rule] = {
    DataType.BOOLEAN: _rule("bool", {bool}, "true or false"),
    DataType.INTEGER: _rule("int32", {int}, "whole numbers of 32 bits", (-(2**31), 2**31 - 1)),
    DataType.LONG: _rule("int64", {int}, "whole numbers of 64 bits", (-(2**63), 2**63 - 1)),
    DataType.FLOAT: _rule("float32", {int, float}, "numbers, whole ones up to 2**24", (-(2**24), 2**24), has_null=True),
    DataType.DOUBLE: _rule(
        "float64", {int, float}, "numbers, whole ones up to 2**53", (-MOST_EXACT, MOST_EXACT), has_null=True
    ),
    DataType.STRING: _rule("str", {str}, "text"),
    DataType.BINARY: _rule("bytes", {str}, "text of base64"),
    DataType.DATETIME: _rule("datetime64[ns]", {str}, "text of a date and time (ISO 8601)", has_null=True),
}

NUMPY_TYPES: Mapping[DataType, "np.dtype[Any]"] = {kind: rule.numpy for kind, rule in RULES.items()}
WHOLE = (DataType.INTEGER, DataType.LONG)
REAL = (DataType.FLOAT, DataType.DOUBLE)

_TENSOR_KINDS: Mapping[str, tuple[set[type], str]] = {
    "b": ({bool}, "true or false"),
    "i": ({int}, "whole numbers in its range"),
    "u": ({int}, "whole numbers in its range"),
    "f": ({int, float}, "numbers, whole ones as far as they are exact"),
    "c": ({int, float}, "numbers"),
    "U": ({str}, "text"),
    "S": ({str}, "text"),
    "M": ({str}, "text of a date and time (ISO 8601)"),
}
_NAMES: Mapping[type, str] = {
    bool: "true or false", int: "a whole number", float: "a number with a fraction", str: "text",
    list: "a list", dict: "an object", type(None): "null",
}  # fmt: skip
_SPACES = re.compile(r"\s")
_ZONE = re.compile(r"(?<=\d)\s*(?:[Zz]|([+-])(\d{2}):?(\d{2}))$")


def is_exact(value: int, kind: DataType) -> bool:
    """Whether a whole number has a value of its own in this type."""
    whole = RULES[kind].whole
    return whole is not None and whole[0] <= value <= whole[1]


def loss(value: Any, entry: Column | TensorSpec) -> str | None:
    """What would be lost of the first value that does not fit as it is; None where all fit.

    Args:
        value: A cell, or lists of them, from JSON.
        entry: What the signature declares; nested types lose nothing, for they are enforced and not converted.

    Returns: A sentence without the value: what is taken, and what kind was sent.
    """
    if isinstance(entry, TensorSpec):
        return _first(value, _tensor_rule(entry.dtype), f"dtype {entry.dtype}", is_null_taken=False)
    if not isinstance(entry.type, DataType):
        return None
    return _first(value, RULES[entry.type], f"type {entry.type.value}", is_null_taken=not entry.required)


def decoded(text: str) -> bytes:
    """Base64 with nothing but base64 in it, apart from line breaks.

    Raises:
        ValueError: Another character, or the padding is wrong.
    """
    return base64.b64decode(_SPACES.sub("", text), validate=True)


def has_zone(text: str) -> bool:
    """Whether a datetime's text ends with a time zone."""
    return len(text) > len("2024-01-02") and _ZONE.search(text) is not None


def without_zone(text: str) -> str:
    """A datetime's text with its time zone, if it ends with one, taken into account: the moment in UTC."""
    zone = _ZONE.search(text) if len(text) > len("2024-01-02") else None
    if zone is None:
        return text
    moment = np.datetime64(text[: zone.start()])
    if zone[1]:
        minutes = np.timedelta64(int(zone[2]) * 60 + int(zone[3]), "m")
        moment = moment - minutes if zone[1] == "+" else moment + minutes
    return str(moment)


def _tensor_rule(name: str) -> Rule:
    dtype = np.dtype(name)
    kinds, wants = _TENSOR_KINDS.get(dtype.kind, (set(), ""))
    whole = None
    if dtype.kind in "iu":
        whole = (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    elif dtype.kind == "f":
        exact = 2 ** (np.finfo(dtype).nmant + 1)
        whole = (-exact, exact)
    return Rule(dtype, frozenset(kinds), wants, whole, dtype.kind in "fM")


def _first(value: Any, rule: Rule, what: str, is_null_taken: bool) -> str | None:
    if not rule.kinds:
        return None
    for each in leaves(value):
        kind = type(each)
        if each is None:
            if rule.has_null or is_null_taken:
                continue
        elif kind in rule.kinds:
            if kind is int and rule.whole is not None and not rule.whole[0] <= each <= rule.whole[1]:
                return f"{what} takes {rule.wants}, got a whole number that it cannot hold"
            if kind is float and math.isfinite(each) and rule.numpy == np.float32 and abs(each) > _FLOAT32_MAX:
                return f"{what} takes {rule.wants}, got a number that it cannot hold"
            if rule is RULES[DataType.BINARY] and not _is_base64(each):
                return f"{what} takes {rule.wants}, got other text"
            continue
        return f"{what} takes {rule.wants}, got {_NAMES.get(kind, kind.__name__)}"
    return None


_FLOAT32_MAX = float(np.finfo(np.float32).max)


def leaves(value: Any) -> Iterator[Any]:
    """Everything in nested lists that is no list."""
    if isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def _is_base64(text: str) -> bool:
    try:
        decoded(text)
    except (ValueError, binascii.Error):
        return False
    return True
