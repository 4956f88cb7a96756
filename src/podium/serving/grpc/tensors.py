"""A `ModelInferRequest` as tensors, and tensors as a `ModelInferResponse`: raw bytes as they are, typed ones as wire bytes.

Of BOOL, FP32 and FP64 a packed field's payload on the wire is the tensor's own data, so that neither way makes a Python
object of each element; whole numbers travel as varints, which protobuf itself reads and writes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from podium.errors import MalformedBody
from podium.protocols.contents import DTYPES, FIELDS, delimited
from podium.protocols.open_inference.known_messages import Known
from podium.protocols.open_inference.requests import params_of
from podium.protocols.tensors import (
    BYTES,
    MOST_TENSORS,
    SIZES,
    Tensor,
    check_axes,
    check_size,
    join_bytes,
    split_bytes,
)
from podium.serving.grpc.large import LargeMessage

_PACKED = frozenset({"BOOL", "FP32", "FP64"})
FINAL = "triton_final_response"
"""The parameter of a stream's message that says whether another comes; for who asked for it."""
_ASKS_FOR_FINAL = "triton_enable_empty_final_response"
_TRITONS = "triton_"  # a parameter of its server's, not of the model's
_FEW_BYTES = 1 << 16


class AskedTensors(NamedTuple):
    """What a request asks for.

    Args:
        tensors: Its inputs.
        params: Its parameters by name.
        outputs: The names of those that it wants; empty wants all.
        is_raw: Its inputs came raw, so its outputs go raw.
        wants_final: Of a stream: it is to be told which message is the last.
    """

    tensors: list[Tensor]
    params: dict[str, Any]
    outputs: list[str]
    is_raw: bool
    wants_final: bool = False


def asked_of(known: Known) -> AskedTensors:
    """The same of a message that is like one before."""
    return AskedTensors(known.tensors, {}, known.outputs, known.is_raw)


def read_request(message: Any) -> AskedTensors:
    """What a `ModelInferRequest` asks for.

    Raises:
        MalformedBody: Raw contents are missing, too many or of another size than shape and datatype say, or stand beside
            typed ones; or typed ones stand in another field than the datatype's; or a parameter asks for what is not done.
    """
    read: Callable[[int, Any], Tensor] = _read_small
    inputs, raw = message.inputs, message.raw_input_contents
    if type(message) is LargeMessage:
        read = partial(_read_large, message.contents)
        if raw and any(message.contents):
            raise MalformedBody("The request has contents beside raw_input_contents; expected one of them for all inputs.")
    if raw and len(raw) != len(inputs):
        raise MalformedBody(
            f"The request has {len(inputs)} inputs and {len(raw)} raw_input_contents; expected one for each input."
        )
    if len(inputs) > MOST_TENSORS:
        raise MalformedBody(f"The request has {len(inputs)} inputs; expected at most {MOST_TENSORS}.")
    if len(inputs) > 1 and len({each.name for each in inputs}) != len(inputs):
        raise MalformedBody("Two inputs of the request have the same name.")
    tensors = [_read_raw(each, raw[number]) if raw else read(number, each) for number, each in enumerate(inputs)]
    outputs = [each.name for each in message.outputs]
    if not message.parameters:
        return AskedTensors(tensors, {}, outputs, bool(raw))
    values = values_of(message.parameters)
    params = {name: value for name, value in params_of(values).items() if not name.startswith(_TRITONS)}
    return AskedTensors(tensors, params, outputs, bool(raw), values.get(_ASKS_FOR_FINAL) is True)


def values_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A map of `InferParameter` as values; one without a value is left out."""
    return {
        name: getattr(value, choice)
        for name, value in parameters.items()
        if (choice := value.WhichOneof("parameter_choice")) is not None
    }


def write_response(message: Any, tensors: Sequence[Tensor], is_raw: bool) -> None:
    """Add tensors into a `ModelInferResponse`: raw, or each in its datatype's field; FP16 has none and makes all raw."""
    is_raw = is_raw or any(each.datatype not in FIELDS for each in tensors)
    for each in tensors:
        output = message.outputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        if is_raw:
            message.raw_output_contents.append(bytes(each.data))
        else:
            _write_typed(output.contents, each)


def _read_small(_number: int, entry: Any) -> Tensor:
    return Tensor(entry.name, entry.datatype, tuple(entry.shape), _read_typed(entry))


def _read_large(contents: Sequence[memoryview], number: int, entry: Any) -> Tensor:
    """Contents as they lie on the wire: the worker reads them."""
    datatype, shape = entry.datatype, tuple(entry.shape)
    if datatype not in FIELDS and datatype in SIZES:
        raise MalformedBody(f"Input {entry.name!r}: {datatype} has no field in contents; send it in raw_input_contents.")
    _check(entry.name, datatype, shape, None)
    return Tensor(entry.name, datatype, shape, contents[number], "contents")


def _read_raw(entry: Any, data: bytes | memoryview) -> Tensor:
    if entry.HasField("contents") and entry.contents.ByteSize():
        raise MalformedBody(
            f"Input {entry.name!r} has contents beside raw_input_contents; expected one of them for all inputs."
        )
    shape = tuple(entry.shape)
    _check(entry.name, entry.datatype, shape, len(data))
    if entry.datatype == BYTES and len(data) <= _FEW_BYTES:
        split_bytes(data, math.prod(shape))  # of more the worker says what is wrong: here everybody else would wait
    return Tensor(entry.name, entry.datatype, shape, data)


def _read_typed(entry: Any) -> bytes:
    datatype, name = entry.datatype, entry.name
    if datatype not in FIELDS and datatype in SIZES:
        raise MalformedBody(f"Input {name!r}: {datatype} has no field in contents; send it in raw_input_contents.")
    _check(name, datatype, tuple(entry.shape), None)
    field, _ = FIELDS[datatype]
    filled = [each.name for each, _ in entry.contents.ListFields()]
    if filled not in ([], [field]):
        raise MalformedBody(f"Input {name!r}: {datatype} belongs into {field}, got {', '.join(filled)}.")
    count, wanted = len(getattr(entry.contents, field)), math.prod(entry.shape)
    if count != wanted:
        raise MalformedBody(f"Input {name!r}: shape {list(entry.shape)} takes {wanted} elements, {field} has {count}.")
    if not count:
        return b""
    values = getattr(entry.contents, field)
    if datatype == BYTES:
        return join_bytes(values)
    if datatype in _PACKED:
        return _payload(entry.contents.SerializeToString())
    dtype = DTYPES[datatype]
    wide = np.array(values, np.uint64 if dtype.kind == "u" else np.int64)
    bounds = np.iinfo(dtype)
    if int(wide.min()) < bounds.min or int(wide.max()) > bounds.max:
        raise MalformedBody(f"Input {name!r}: expected {datatype}, {bounds.min} to {bounds.max}; a value is outside.")
    return wide.astype(dtype).tobytes()


def _check(name: str, datatype: str, shape: tuple[int, ...], size: int | None) -> None:
    check_axes(name, shape)
    if size is None:
        count = math.prod(shape) if all(each >= 0 for each in shape) else 0
        size = count * SIZES.get(datatype, 4)
    wrong = check_size(datatype, shape, size)
    if wrong is not None:
        raise MalformedBody(f"Input {name!r}: {wrong}.")


def _payload(message: bytes) -> bytes:
    """The payload of a message's only field: after its tag, a byte, and its length, a varint."""
    start = 1
    while message[start] & 0x80:
        start += 1
    return message[start + 1 :]


def _write_typed(contents: Any, tensor: Tensor) -> None:
    field, number = FIELDS[tensor.datatype]
    if tensor.datatype == BYTES:
        getattr(contents, field).extend(split_bytes(tensor.data, math.prod(tensor.shape)))
    elif tensor.datatype in _PACKED:
        contents.MergeFromString(b"".join(delimited(number, tensor.data)))
    else:
        getattr(contents, field).extend(np.frombuffer(tensor.data, DTYPES[tensor.datatype]).tolist())
