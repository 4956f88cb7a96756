"""Large JSON requests of the Open Inference Protocol, read by the worker: a gateway that decodes answers nobody else.

It says what `open_inference/requests.py` says, with the standard library alone. What the answer has to know of the
request (id, outputs that are wanted and how) travels back with the tensors, as their params.
"""

import base64
import json
import math
import struct
from collections.abc import Mapping
from itertools import chain
from typing import Any

from podium.errors import MalformedBody
from podium.protocols.tensor_outputs import TensorWriter
from podium.protocols.tensors import (
    BYTES,
    CODES,
    CONTENT_TYPE,
    SIZES,
    Tensor,
    check_axes,
    check_size,
    join_bytes,
    whole_numbers,
)

_OWN = frozenset({"binary_data_output", "content_type", "headers", "priority", "timeout"})
_MOST = 1 << 40


class LargeWriter:
    """Writes an answer's tensors, and what is to be known of the request.

    Args:
        writer: The model's.
        about: Of the request, as `read_large` gives it.
    """

    content_type = CONTENT_TYPE

    def __init__(self, writer: TensorWriter, about: Mapping[str, Any]) -> None:
        self._writer = writer
        self._about = about

    def write(self, output: Any) -> bytes:
        """The body.

        Raises:
            UnencodableOutput: As `TensorWriter.write`.
        """
        wanted, is_binary = self._about["outputs"], self._about["is_binary"]
        names = (
            None if wanted is None else [name for name, each in wanted.items() if not (is_binary if each is None else each)]
        )
        reply = None if (is_binary if names is None else not names) else {"form": "json", "names": names}
        return self._writer.write(output, self._about, reply)


def read_large(body: bytes | memoryview) -> tuple[list[Tensor], dict[str, Any], dict[str, Any]]:
    """The inputs, the params, and what the answer has to know: `id`, `outputs` and `is_binary`.

    Raises:
        MalformedBody: What is missing or does not fit, and where; never quotes an element.
    """
    try:
        told = json.loads(bytes(body), parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedBody("The request is not valid JSON.") from error
    if not isinstance(told, dict):
        raise MalformedBody("The request does not fit the Open Inference Protocol: it is not a JSON object.")
    inputs, parameters, identity = told.get("inputs"), told.get("parameters"), told.get("id")
    if not isinstance(inputs, list) or not inputs:
        raise MalformedBody("The request has no inputs.")
    parameters = _parameters("The request", parameters)
    if not (identity is None or isinstance(identity, str)):
        raise MalformedBody("The request's id is not text.")
    tensors = [_tensor(entry) for entry in inputs]
    params = {name: value for name, value in parameters.items() if name not in _OWN}
    is_binary = parameters.get("binary_data_output") is True
    return tensors, params, {"id": identity, "outputs": _outputs(told.get("outputs")), "is_binary": is_binary}


def _constant(word: str) -> float:
    if word == "NaN":
        return math.nan
    raise ValueError(word)


def _parameters(what: str, parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise MalformedBody(f"{what} has parameters that are not a JSON object.")
    for name in ("classification", "shared_memory_region", "sequence_id"):
        if parameters.get(name):
            raise MalformedBody(f"{what} has the parameter {name}, which this server does not know how to honour.")
    return parameters


def _outputs(outputs: Any) -> dict[str, bool | None] | None:
    if not outputs and (outputs is None or isinstance(outputs, list)):
        return None
    wanted: dict[str, bool | None] = {}
    for each in outputs if isinstance(outputs, list) else [None]:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise MalformedBody("The request's outputs are not a list of objects with a name.")
        is_binary = _parameters(f"Output {each['name']!r}", each.get("parameters")).get("binary_data")
        wanted[each["name"]] = is_binary if isinstance(is_binary, bool) else None
    return wanted


def _tensor(entry: Any) -> Tensor:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise MalformedBody("The request's inputs are not a list of objects with a name.")
    name, datatype, shape = entry["name"], entry.get("datatype"), entry.get("shape")
    parameters = _parameters(f"Input {name!r}", entry.get("parameters"))
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size <= _MOST for size in shape):
        raise MalformedBody(f"Input {name!r}: shape is not a list of whole numbers from 0.")
    check_axes(name, shape)
    if not isinstance(datatype, str) or (datatype != BYTES and datatype not in SIZES):
        raise MalformedBody(f"Input {name!r}: {check_size(str(datatype), (), 0)}.")
    if not isinstance(entry.get("data"), list):
        raise MalformedBody(f"Input {name!r} has no data that are a list.")
    if "binary_data_size" in parameters:
        raise MalformedBody(f"Input {name!r} has both data and binary_data_size.")
    is_base64 = parameters.get("content_type") == "base64"
    return Tensor(name, datatype, tuple(shape), _pack(name, datatype, shape, entry["data"], is_base64))


def _pack(name: str, datatype: str, shape: list[int], data: list[Any], is_base64: bool) -> bytes:
    values, count = _flat(name, shape, data), math.prod(shape)
    if len(values) != count:
        raise MalformedBody(f"Input {name!r}: shape {shape} takes {count} values; data has {len(values)}.")
    kinds = set(map(type, values))
    if datatype == BYTES:
        if not kinds <= {str}:
            raise _unfit(name, datatype)
        return _texts(name, values, is_base64)
    if datatype not in CODES:
        raise MalformedBody(f"Input {name!r}: {datatype} has no form in JSON; send it as bytes, with binary_data_size.")
    code = CODES[datatype]
    if code in "efd":
        if not kinds <= {int, float, type(None)}:
            raise _unfit(name, datatype)
        if type(None) in kinds:
            values = [math.nan if each is None else each for each in values]
        if code == "d" and float in kinds and any(each in (math.inf, -math.inf) for each in values):
            raise MalformedBody(f"Input {name!r}: a value is out of the range of {datatype}.")
    elif code == "?":
        if not kinds <= {bool}:
            raise _unfit(name, datatype)
    else:
        values = _whole(name, datatype, values, kinds)
    try:
        return struct.pack(f"<{count}{code}", *values)
    except (struct.error, OverflowError):
        raise MalformedBody(f"Input {name!r}: a value is out of the range of {datatype}.") from None


def _texts(name: str, values: list[str], is_base64: bool) -> bytes:
    try:
        return join_bytes([base64.b64decode(text, validate=True) if is_base64 else text.encode() for text in values])
    except ValueError:
        raise MalformedBody(f"Input {name!r}: a text is no {'base64' if is_base64 else 'UTF-8'}.") from None


def _whole(name: str, datatype: str, values: list[Any], kinds: set[type]) -> list[int]:
    if kinds <= {int}:
        return values
    try:
        if kinds <= {int, float}:
            return whole_numbers(values)
    except ValueError:
        pass
    raise _unfit(name, datatype)


def _flat(name: str, shape: list[int], data: list[Any]) -> list[Any]:
    """The elements of flat data, or of lists that are nested as the shape is."""
    if not data or not isinstance(data[0], list):
        return data
    rows = data
    for axis in range(1, len(shape)):
        whole = math.prod(shape[:axis])
        if len(rows) != whole or not all(isinstance(row, list) and len(row) == shape[axis] for row in rows):
            raise MalformedBody(f"Input {name!r}: the lists of data are not of shape {shape}.")
        rows = list(chain.from_iterable(rows))
    return rows


def _unfit(name: str, datatype: str) -> MalformedBody:
    return MalformedBody(f"Input {name!r}: data does not fit {datatype}.")
