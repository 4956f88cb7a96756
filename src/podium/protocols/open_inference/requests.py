"""Bodies of `POST /v2/models/{m}/infer`: what is asked, as tensors.

    JSON                                        all data in the body
    JSON, then bytes (the binary extension)     `Inference-Header-Content-Length` says where the JSON ends; inputs with
                                                the parameter binary_data_size have their bytes after it, in order
    bytes alone (that header is 0)              the model's only input

Unknown keys are ignored. What is refused is refused before the model sees it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from podium.errors import MalformedBody
from podium.protocols.open_inference.elements import pack
from podium.protocols.tensors import BYTES, MOST_TENSORS, SIZES, Tensor, check_axes, check_size, encode_tensors

HEADER = "inference-header-content-length"
"""Where the binary extension says how long the JSON is."""

_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
_OWN = frozenset({"binary_data_output", "content_type", "headers", "priority", "timeout"})
"""Parameters of a request that are the protocol's or other servers', and no params of a model."""
_UNSUPPORTED = ("classification", "shared_memory_region", "sequence_id")


class JsonInput(msgspec.Struct):
    """An input as JSON has it."""

    name: str
    shape: list[_Size]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Output(msgspec.Struct):
    """An output that is wanted."""

    name: str
    parameters: dict[str, Any] | None = None


class Body(msgspec.Struct):
    """A request's JSON."""

    inputs: list[JsonInput]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[Output] | None = None


decode_body = msgspec.json.Decoder(Body).decode


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Args:
        tensors: The inputs, in the client's order.
        params: For the model.
        id: To be echoed; None where the client gave none.
        wanted: Outputs by name, and whether each comes as bytes, None for as `is_binary` says; None: all outputs.
        is_binary: Whether outputs come as bytes behind the JSON.
    """

    tensors: Sequence[Tensor]
    params: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    wanted: Mapping[str, bool | None] | None = None
    is_binary: bool = False

    def body(self) -> bytes:
        """What the worker gets."""
        wanted, is_binary = self.wanted, self.is_binary
        if wanted is None:
            names, is_json = None, not is_binary
        else:
            names = [name for name, each in wanted.items() if not (is_binary if each is None else each)]
            is_json = bool(names)
        return encode_tensors(self.tensors, self.params or None, {"form": "json", "names": names} if is_json else None)


def read_json(body: bytes | bytearray | memoryview) -> Asked:
    """A request that is JSON alone.

    Raises:
        MalformedBody: What is missing or does not fit, and where.
    """
    return _read(_parsed(body), memoryview(b""))


def read_mixed(body: bytes | bytearray, header: str) -> Asked:
    """A request of the binary extension.

    Args:
        body: JSON, and bytes after it.
        header: What `Inference-Header-Content-Length` says.

    Raises:
        MalformedBody: Likewise; or sizes do not add up to the body.
    """
    length = read_length(header)
    if length > len(body):
        raise MalformedBody(f"Inference-Header-Content-Length is {length}; the body has {len(body)} bytes.")
    view = memoryview(body)
    return _read(_parsed(view[:length]), view[length:])


def read_length(header: str) -> int:
    """What `Inference-Header-Content-Length` says.

    Raises:
        MalformedBody: No whole number from 0.
    """
    if not (header.isascii() and header.isdecimal() and len(header) < 16):
        raise MalformedBody("Inference-Header-Content-Length is not a whole number from 0.")
    return int(header)


def read_raw(body: bytes | bytearray, inputs: Sequence[Mapping[str, Any]]) -> Asked:
    """A request that is the bytes of the model's only input; a size that varies follows from how many there are.

    Args:
        body: The input's elements; for BYTES the one element without its length.
        inputs: The model's, as its metadata has them.

    Raises:
        MalformedBody: The model has several inputs or none that is known, or the bytes do not fit.
    """
    if len(inputs) != 1:
        raise MalformedBody(f"A body of bytes alone is for models with one input; this one declares {len(inputs)}.")
    name, datatype, shape = inputs[0]["name"], inputs[0]["datatype"], list(inputs[0]["shape"])
    if datatype == BYTES:
        data = len(body).to_bytes(4, "little") + bytes(body)
        return Asked([Tensor(name, BYTES, (1,) * len(shape), data)], is_binary=True)
    varying = [axis for axis, size in enumerate(shape) if size < 0]
    fixed = math.prod(size for size in shape if size >= 0) * SIZES[datatype]
    for axis in varying:
        shape[axis] = 1
    if varying and fixed and len(body) % fixed == 0:
        shape[varying[0]] = len(body) // fixed
    wrong = check_size(datatype, shape, len(body))
    if wrong is not None:
        raise MalformedBody(f"The body is not the model's input {name!r}: {wrong}.")
    return Asked([Tensor(name, datatype, tuple(shape), body)], is_binary=True)


def params_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A request's parameters that are the model's.

    Raises:
        MalformedBody: One asks for what this server does not do.
    """
    _check_supported("The request", parameters)
    return {name: value for name, value in parameters.items() if name not in _OWN}


def _parsed(body: bytes | bytearray | memoryview) -> Body:
    try:
        return decode_body(body)
    except msgspec.ValidationError as error:
        raise MalformedBody(f"The request does not fit the Open Inference Protocol: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        again = _without_nan(bytes(body))
        if again is not None:
            return _parsed(again)
        raise MalformedBody(f"The request is not valid JSON: {error}") from None


def _without_nan(body: bytes) -> bytes | None:
    """The same with null for a bare NaN, which Python's clients write; None where that is not what is wrong."""
    if b"NaN" not in body:
        return None
    try:
        return msgspec.json.encode(json.loads(body, parse_constant=_no_constant))
    except (ValueError, RecursionError, OverflowError, msgspec.MsgspecError):
        return None


def _no_constant(word: str) -> None:
    if word != "NaN":
        raise ValueError(word)


def _read(body: Body, rest: memoryview) -> Asked:
    if not body.inputs:
        raise MalformedBody("The request has no inputs.")
    if len(body.inputs) > MOST_TENSORS:
        raise MalformedBody(f"The request has {len(body.inputs)} inputs; expected at most {MOST_TENSORS}.")
    tensors, start = [], 0
    for each in body.inputs:
        size = (each.parameters or {}).get("binary_data_size")
        if size is None:
            tensors.append(_from_json(each))
            continue
        if type(size) is not int or size < 0:
            raise MalformedBody(f"Input {each.name!r}: binary_data_size is not a whole number from 0.")
        if each.data is not msgspec.UNSET:
            raise MalformedBody(f"Input {each.name!r} has both data and binary_data_size.")
        if start + size > len(rest):
            raise MalformedBody(f"Input {each.name!r} has {size} bytes; {len(rest) - start} are left of the body.")
        tensors.append(_checked(each, rest[start : start + size]))
        start += size
    if start != len(rest):
        raise MalformedBody(f"The body has {len(rest) - start} bytes after its last input.")
    parameters = body.parameters or {}
    return Asked(
        tensors,
        params_of(parameters),
        body.id,
        None if body.outputs is None else _wanted(body.outputs),
        parameters.get("binary_data_output") is True,
    )


def _wanted(outputs: list[Output]) -> dict[str, bool | None] | None:
    if not outputs:
        return None
    wanted: dict[str, bool | None] = {}
    for each in outputs:
        parameters = each.parameters or {}
        _check_supported(f"Output {each.name!r}", parameters)
        is_binary = parameters.get("binary_data")
        wanted[each.name] = is_binary if isinstance(is_binary, bool) else None
    return wanted


def _check_supported(what: str, parameters: Mapping[str, Any]) -> None:
    for name in _UNSUPPORTED:
        if parameters.get(name):
            raise MalformedBody(f"{what} has the parameter {name}, which this server does not know how to honour.")


def _from_json(entry: JsonInput) -> Tensor:
    if entry.data is msgspec.UNSET:
        raise MalformedBody(f"Input {entry.name!r} has neither data nor binary_data_size.")
    _check_shape(entry)
    is_base64 = (entry.parameters or {}).get("content_type") == "base64"
    data = pack(entry.name, entry.datatype, entry.shape, bytes(entry.data), is_base64)
    return Tensor(entry.name, entry.datatype, tuple(entry.shape), data)


def _checked(entry: JsonInput, data: memoryview) -> Tensor:
    _check_shape(entry)
    wrong = check_size(entry.datatype, entry.shape, len(data))
    if wrong is not None:
        raise MalformedBody(f"Input {entry.name!r}: {wrong}.")
    return Tensor(entry.name, entry.datatype, tuple(entry.shape), data)


def _check_shape(entry: JsonInput) -> None:
    """See that the datatype is known and the shape small enough to count with."""
    _check_supported(f"Input {entry.name!r}", entry.parameters or {})
    check_axes(entry.name, entry.shape)
    if entry.datatype != BYTES and entry.datatype not in SIZES:
        wrong = check_size(entry.datatype, (), 0)
        raise MalformedBody(f"Input {entry.name!r}: {wrong}.")
