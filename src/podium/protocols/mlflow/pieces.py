"""The response bodies of a batch's requests, cut out of one text of the whole prediction.

Byte for byte what `encode` makes of each request's own part. Writing JSON has a price for each call and one for each
value; this pays the first once for a batch.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np

from podium.errors import UnencodableOutput
from podium.protocols.mlflow.encoding import encode

_BEFORE, _AFTER = '{"predictions": ', "}"
_PLAIN = frozenset({int, float, bool, type(None)})


def encode_pieces(output: Any, sizes: Sequence[int]) -> list[bytes] | None:
    """The body of each request, for a prediction that holds their rows one after another.

    Args:
        output: What the model returned for all of them.
        sizes: Rows of each request.

    Returns: As many bodies as sizes; None where the prediction has no rows, other rows, or a form that is left to
    `rows.split` and `encode`.
    """
    try:
        if type(output) is np.ndarray:
            return None if _is_odd(output, sizes) else _encoded(_cut(output, sizes, _BEFORE, _AFTER))
        if type(output) is dict:
            return _encoded(_cut_named(output, sizes))
        pandas = sys.modules.get("pandas")
        if pandas is not None and isinstance(output, pandas.DataFrame | pandas.Series):
            return _cut_frame(pandas, output, sizes)
    except Exception:  # noqa: BLE001 - numbers beyond JSON's writer, frames of the model's own: `encode` says what is wrong
        return None
    return None


def _is_odd(array: Any, sizes: Sequence[int]) -> bool:
    return (
        type(array) is not np.ndarray or array.ndim not in (1, 2) or len(array) != sum(sizes) or min(sizes, default=0) < 1
    )


def _encoded(texts: list[str] | None) -> list[bytes] | None:
    if texts is None:
        return None
    # All are ASCII without line breaks, for JSON writes those as escapes: one pass for all of them.
    return "\n".join(texts).encode("ascii").split(b"\n")


def _cut(array: "np.ndarray[Any, Any]", sizes: Sequence[int], before: str, after: str) -> list[str] | None:
    """The JSON of each part, with something before and after it."""
    kind = array.dtype.kind
    values = array.tolist()
    if kind in "biu" or (kind == "f" and array.dtype.itemsize <= 8):
        is_plain = True
    elif kind in "UO":
        kinds = _kinds(values, array.ndim) if kind == "O" else {str}
        is_plain = kinds <= _PLAIN
        if not is_plain and not kinds <= _PLAIN | {str}:
            return None
    else:
        return None
    if not is_plain:
        # Text may hold anything, the separators as well; so each row is written by itself.
        rows = [_text(row) for row in values] if array.ndim == 1 else [_list(row) for row in values]
        return [f"{before}[{part}]{after}" for part in _joined(rows, sizes, ", ")]
    text = json.dumps(values)
    between, opening, closing = (", ", "[", "]") if array.ndim == 1 else ("], [", "[[", "]]")
    before, after = before + opening, closing + after
    inner = text[len(opening) : -len(closing)]
    if len(sizes) == 1:
        return [before + inner + after]
    if len(sizes) == len(array):
        return (before + inner.replace(between, f"{after}\n{before}") + after).split("\n")
    return [before + part + after for part in _joined(inner.split(between), sizes, between)]


def _joined(rows: list[str], sizes: Sequence[int], between: str) -> list[str]:
    if len(sizes) == len(rows):
        return rows
    parts, start = [], 0
    for size in sizes:
        parts.append(between.join(rows[start : start + size]))
        start += size
    return parts


def _kinds(values: list[Any], axes: int) -> set[type]:
    """Types of the elements. Those of an array with one axis may be lists themselves, which are no rows to look into."""
    if axes == 1:
        return set(map(type, values))
    return {kind for row in values for kind in map(type, row)}


def _text(value: Any) -> str:
    return encode_basestring_ascii(value) if type(value) is str else json.dumps(value)


def _list(row: list[Any]) -> str:
    return json.dumps(row)


def _cut_named(output: Mapping[Any, Any], sizes: Sequence[int]) -> list[str] | None:
    columns = []
    for name, array in output.items():
        if type(name) is not str or _is_odd(array, sizes):
            return None
        parts = _cut(array, sizes, f"{encode_basestring_ascii(name)}: ", "")
        if parts is None:
            return None
        columns.append(parts)
    if not columns:
        return None
    return [f"{_BEFORE}{{{', '.join(parts)}}}{_AFTER}" for parts in zip(*columns, strict=True)]


def _cut_frame(pandas: Any, output: Any, sizes: Sequence[int]) -> list[bytes] | None:
    """Pandas is slow to make records of a frame and as slow for one row as for a hundred."""
    frame = pandas.DataFrame(output) if isinstance(output, pandas.Series) else output
    index = frame.index
    has_rows = isinstance(index, pandas.RangeIndex) and not index.start and index.step == 1
    if not has_rows or len(frame) != sum(sizes) or not frame.columns.is_unique:
        return None
    records = frame.to_dict(orient="records")
    bodies, start = [], 0
    try:
        for size in sizes:
            bodies.append(encode(records[start : start + size]))
            start += size
    except UnencodableOutput:
        return None
    return bodies
