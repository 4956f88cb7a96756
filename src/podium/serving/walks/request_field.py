"""One field of a request's first row, whatever form the request has: what keeps a customer with one version."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from podium.errors import MalformedBody
from podium.protocols.first_element import first_element
from podium.protocols.tensors import CONTENT_TYPE as TENSORS
from podium.protocols.tensors import decode_tensors

MOST_BYTES = 256 << 10
"""A larger body is not looked into: that would hold up everybody else of the gateway."""
_LONGEST_LINE = 64 << 10


def field_of(body: bytes | bytearray, content_type: str, name: str) -> str | None:
    """The field's value as text; None where the request has no such field, or is too large or odd to be looked into.

    Texts are taken as they are, and everything else as JSON writes it, so that 7 and "7" are one key.

    Args:
        body: The request's.
        content_type: Its header.
        name: A column, the name of an input, a key of `params`, or a key at the top of a body without an envelope.
    """
    if len(body) > MOST_BYTES:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == TENSORS:
            return _of_tensors(body, name)
        if kind == "text/csv":
            return _of_csv(bytes(body), name)
        return _text(_of_json(_decoded(body), name))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, MalformedBody, csv.Error):
        # Whether a request can be read is its model's to say; here it has no field.
        return None


def _decoded(body: bytes | bytearray) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(bytes(body))  # with NaN and the like


def _of_json(content: Any, name: str) -> Any:
    if not isinstance(content, Mapping):
        return None
    if isinstance(split := content.get("dataframe_split"), Mapping):
        columns = split.get("columns") or []
        if name in columns:
            return split["data"][0][columns.index(name)]
    inputs = content.get("inputs")
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], Mapping) and "datatype" in inputs[0]:
        # The Open Inference Protocol's: the same key as when it has become tensors.
        named = {each.get("name"): each.get("data") for each in inputs if isinstance(each, Mapping)}
        parameters = content.get("parameters")
        return _first(named.get(name, parameters.get(name) if isinstance(parameters, Mapping) else None))
    for form in ("dataframe_records", "instances", "inputs"):
        rows = content.get(form)
        row = rows[0] if isinstance(rows, list) and rows else rows
        if isinstance(row, Mapping) and name in row:
            return _first(row[name])
    params = content.get("params")
    if isinstance(params, Mapping) and name in params:
        return params[name]
    return content.get(name)


def _first(value: Any) -> Any:
    while isinstance(value, list) and value:
        value = value[0]
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, list | dict):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _of_csv(body: bytes, name: str) -> str | None:
    head, _, rest = body.partition(b"\n")
    row = rest.partition(b"\n")[0]
    if max(len(head), len(row)) > _LONGEST_LINE:
        return None
    columns, values = (next(csv.reader(io.StringIO(line.decode().rstrip("\r"))), []) for line in (head, row))
    return values[columns.index(name)]


def _of_tensors(body: bytes | bytearray, name: str) -> str | None:
    tensors, params = decode_tensors(body)
    for tensor in tensors:
        if tensor.name == name:
            first = first_element(tensor)
            return first.decode("utf-8", "replace") if isinstance(first, bytes) else _text(first)
    return _text(params.get(name)) if isinstance(params, Mapping) else None
