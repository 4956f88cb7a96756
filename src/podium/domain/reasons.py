"""What may be said to a client of the data that it sent: the one place that decides it.

The rule: names and types; and of values the single scalar that a request is refused for, bounded, where MLflow quotes it
too (`could not convert string to float: 'x'`). Never a whole row, frame or body, never a second value, and no text of an
exception that is not known here: error bodies end in the logs of proxies and clients.
"""

import re
from collections.abc import Sequence
from typing import Any

# Texts that name types, shapes and counts at most.
_HARMLESS = (
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
    "Data must be 1-dimensional, got ndarray of shape ",
    "The truth value of a",
    "only handle 1-dimensional arrays",
    "iteration over a 0-d array",
    "must be real number, not ",
    "cannot supply both a tz and a timezone-naive dtype",
    "int too big to convert",
    "Overflow",
    "setting an array element with a sequence",
    "int() argument must be ",
    "float() argument must be ",
    "complex() first argument must be ",
    "complex() arg is a malformed string",
    "cannot convert float NaN to integer",
    "cannot convert float infinity to integer",
    "Cannot convert non-finite values (NA or inf) to integer",
    "cannot convert NA to integer",
    "Cannot losslessly cast from ",
    "cannot convert dictionary update sequence element #",
    "dictionary update sequence element #",
    "tuple index out of range",
    "list index out of range",
    "single positional indexer is out-of-bounds",
    "No columns to parse from file",
    "Error tokenizing data. C error: ",
    "Integer column has NA values in column",
    "Bool column has NA values in column",
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
    "Cannot convert input [",
    "maximum recursion depth exceeded",
    "the dtype datetime64[ns] is not supported for parsing",
    "Buffer over/underflow",
    "all the input array dimensions except for the concatenation axis must match exactly",
    "all the input arrays must have same number of dimensions",
    "cannot reshape array of size ",
    "Unable to allocate ",
    "'ascii' codec can't encode character",
    "DataFrame constructor not properly called!",
    "Mixed timezones detected.",
    "Tz-aware datetime.datetime cannot be converted to datetime64",
)
# Whole texts of types and counts.
_KNOWN = tuple(
    re.compile(pattern)
    for pattern in (
        r"\d+ columns passed, passed data had \d+ columns",
        r"Length mismatch: Expected axis has \d+ elements, new values have \d+ elements",
        r"'\w+' object has no attribute '\w+'",
        r"object of type '\w+' has no len\(\)",
        r"unhashable type: '\w+'",
        r"'\w+' object is not iterable",
        r"<class '[\w.]+'> is not convertible to datetime(, at position \d+)?",
        r"'<' not supported between instances of '\w+' and '\w+'",
        # What pandas says of a row label that is not there; it asks for the first.
        r"0",
    )
)
# Texts that quote one scalar of the data, between what stands before and after it.
_QUOTING = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"(could not convert string to float: )(.*)()",
        r"(invalid literal for int\(\) with base 10: )(.*)()",
        r"(Python integer )(-?\d+)( out of bounds for \w+)",
        r'(Error parsing datetime string ")(.*)(" at position \d+)',
        r"(Unknown datetime string format, unable to parse: )(.*)()",
        r"(cannot convert input )(.*)( with the unit '\w+')",
        r"(Invalid isoformat string: )(.*)()",
        r"(Given date string )(.*)( not likely a datetime(?:, at position \d+)?)",
        r'(time data ")(.*)(" doesn\'t match format ".{0,60}"(?:, at position \d+)?\. You might want to try:.{0,400})',
        r'(unconverted data remains when parsing with format ".{0,60}": ")(.*)(".{0,500})',
        r'(Unable to parse string ")(.*)(" at position \d+)',
        r"(Out of bounds nanosecond timestamp: )(.*)()",
        r"(Index\(\.\.\.\) must be called with a collection of some kind, )(.*)( was passed)",
    )
)
_LONGEST = 300
_LONGEST_SCALAR = 100
_MOST_NAMES, _LONGEST_LIST = 100, 4000


def listed(names: Sequence[Any]) -> str:
    """Names that a client sent, in their order; cut where there are more, or longer ones, than anybody would read."""
    shown = ", ".join(map(repr, names[:_MOST_NAMES]))
    return shown if len(names) <= _MOST_NAMES and len(shown) <= _LONGEST_LIST else f"{shown[:_LONGEST_LIST]} …"


def scalar(value: Any) -> str:
    """The one scalar that a request is refused for, as MLflow's messages have it: `str(value)`, bounded, on one line.

    Lists, objects and whatever else is not a scalar are only called what they are.
    """
    if not isinstance(value, str | int | float | bool | bytes | None):
        return f"<{type(value).__name__}>"
    if isinstance(value, str | bytes):
        # Cut before it is escaped: text may be as long as a body.
        return _bounded(str(value[: _LONGEST_SCALAR + 1]))
    return _bounded(str(value)) if not isinstance(value, int) or value.bit_length() < 4 * _LONGEST_SCALAR else "<int>"


class Quotes:
    """Hands out the one value that a message of several complaints may quote: the first scalar."""

    def __init__(self) -> None:
        self._is_spent = False

    def of(self, value: Any) -> str:
        """The value as text; `…` for every further one, and for what is no scalar."""
        if self._is_spent or not isinstance(value, str | int | float | bool | bytes | None):
            return "…"
        self._is_spent = True
        return scalar(value)


def reason(error: BaseException) -> str:
    """The error's own words where they quote nothing of the data but one scalar; else the name of its kind."""
    text = str(error)
    if text.startswith(_HARMLESS):
        return text[:_LONGEST]
    if any(pattern.fullmatch(text) for pattern in _KNOWN):
        return text
    for pattern in _QUOTING:
        if found := pattern.fullmatch(text):
            return f"{found[1]}{_bounded(found[2])}{found[3]}"
    return type(error).__name__


def described(error: BaseException) -> str:
    """As `repr(error)`, with no more of the data in it than `reason` tells: `ValueError('Incorrect padding')`."""
    name, text = type(error).__name__, reason(error)
    return f"{name}({text!r})" if text != name else f"{name}()"


def _bounded(text: str) -> str:
    start = text[: _LONGEST_SCALAR + 1]
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in start)
    return line if len(line) <= _LONGEST_SCALAR else f"{line[:_LONGEST_SCALAR]}…"
