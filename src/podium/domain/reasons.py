"""What may be said to a client about an error that numpy, pandas or the standard library raised on its data.

Their texts quote values of the data, which must not reach logs and proxies by way of an error body. Only sentences
known to be harmless are passed on, up to where the quoting starts; of everything else only the kind of the error is told.
"""

import re
from collections.abc import Sequence
from typing import Any

# Texts that name types, shapes and counts at most.
_HARMLESS = (
    "Python integer out of bounds for ",
    "Python int too large to convert to C ",
    "int too large to convert to float",
    "Incorrect padding",
    "encoding without a string argument",
    "Invalid object type at position ",
    "cannot safely convert passed user dtype of ",
    "Could not open Parquet input source '<Buffer>': ",
    "Invalid base64-encoded string: number of data characters ",
    "dtype bool cannot be converted to datetime64[ns]",
    "len() of unsized object",
    "setting an array element with a sequence",
    "int() argument must be ",
    "float() argument must be ",
    "cannot convert float NaN to integer",
    "Cannot convert non-finite values (NA or inf) to integer",
    "cannot convert NA to integer",
    "No columns to parse from file",
    "Error tokenizing data. C error: ",
    "Integer column has NA values in column",
    "Must pass 2-d input. shape=",
    "All arrays must be of the same length",
    "Per-column arrays must each be 1-dimensional",
    "If using all scalar values, you must pass an index",
    "Mixing dicts with non-Series may lead to ambiguous ordering.",
    "Shape of passed values is ",
    "Shape of input ",
    "Length of values (",
    "Input DataFrame is empty.",
    "Could not convert object to NumPy datetime",
    "maximum recursion depth exceeded",
    "the dtype datetime64[ns] is not supported for parsing",
    "Buffer over/underflow",
    "all the input array dimensions except for the concatenation axis must match exactly",
    "cannot reshape array of size ",
    "Unable to allocate ",
)
# Texts that go on to quote a value: told up to there.
_CUT = (
    "could not convert string to float",
    "invalid literal for int() with base 10",
    "Error parsing datetime string",
    "Unknown datetime string format, unable to parse",
    "Unable to parse string",
    "Index(...) must be called with a collection of some kind",
    "Out of bounds nanosecond timestamp",
    "'ascii' codec can't encode character",
    "DataFrame constructor not properly called!",
)
_OUT_OF_BOUNDS = re.compile(r"Python integer -?\d+ (out of bounds for \w+)")
_COLUMN_COUNT = re.compile(r"\d+ columns passed, passed data had \d+ columns")
_LENGTH = re.compile(r"Length mismatch: Expected axis has \d+ elements, new values have \d+ elements")
_NO_ATTRIBUTE = re.compile(r"'\w+' object has no attribute '\w+'")
_LONGEST = 300
_LONGEST_SCALAR = 100
_MOST_NAMES, _LONGEST_LIST = 100, 4000


def listed(names: Sequence[Any]) -> str:
    """Names that a client sent, in their order; cut where there are more, or longer ones, than anybody would read."""
    shown = ", ".join(map(repr, names[:_MOST_NAMES]))
    return shown if len(names) <= _MOST_NAMES and len(shown) <= _LONGEST_LIST else f"{shown[:_LONGEST_LIST]} …"


def quoted(value: Any) -> str:
    """One scalar that a request is refused for, as Python writes it: at most about 100 characters, controls escaped."""
    shown = ascii(value) if not isinstance(value, str) else repr(value)
    return shown if len(shown) <= _LONGEST_SCALAR else f"{shown[:_LONGEST_SCALAR]}…"


def reason(error: BaseException) -> str:
    """The error's own words where they quote nothing of the data; else the name of its kind."""
    text = str(error)
    if text.startswith(_HARMLESS):
        return text[:_LONGEST]
    for start in _CUT:
        if text.startswith(start):
            return start
    if found := _OUT_OF_BOUNDS.match(text):
        return f"Python integer {found[1]}"
    for pattern in (_COLUMN_COUNT, _LENGTH, _NO_ATTRIBUTE):
        if found := pattern.fullmatch(text):
            return text
    return type(error).__name__


def described(error: BaseException) -> str:
    """As `repr(error)`, with nothing of the data in it: `ValueError('could not convert string to float')`."""
    name, text = type(error).__name__, reason(error)
    return f"{name}({text!r})" if text != name else f"{name}()"
