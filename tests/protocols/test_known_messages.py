"""Messages of gRPC like one before, and answers put together from pieces: what protobuf reads and writes, to the byte."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.errors import PodiumError
from podium.protocols.open_inference.known_answers import KnownAnswers
from podium.protocols.open_inference.known_messages import Known, KnownMessages
from podium.protocols.tensors import CODES, SIZES, Tensor, join_bytes
from podium.serving.grpc.large import bytes_of, parse
from podium.serving.grpc.messages import Messages
from podium.serving.grpc.tensors import read_request, write_response

MESSAGES = Messages()
FIELDS = {
    "FP64": "fp64_contents", "FP32": "fp32_contents", "INT64": "int64_contents", "INT8": "int_contents",
    "UINT16": "uint_contents", "UINT64": "uint64_contents", "BOOL": "bool_contents",
}  # fmt: skip
names = st.sampled_from(["x", "input", "é", "", "a b"])
ids = st.sampled_from(["", "1", "42", "7a-b", "é", "0123456789abcdef"])


@st.composite
def inputs(draw: st.DrawFn) -> tuple[str, str, tuple[int, ...]]:
    shape = draw(st.sampled_from([(1, 2), (2, 1), (2,), (1, 4), (0, 2)]))
    return draw(names), draw(st.sampled_from([*FIELDS])), shape


@st.composite
def messages(draw: st.DrawFn, told: list[tuple[str, str, tuple[int, ...]]], is_raw: bool) -> Any:
    message = MESSAGES.ModelInferRequest(model_name="m", id=draw(ids))
    for name, datatype, shape in told:
        tensor = message.inputs.add(name=name, datatype=datatype, shape=shape)
        count = int(np.prod(shape))
        if is_raw:
            size = count * SIZES[datatype]
            message.raw_input_contents.append(draw(st.binary(min_size=size, max_size=size)))
            continue
        values = st.integers(0, 1) if datatype == "BOOL" else st.integers(0, 127)
        kind = st.floats(width=32) if datatype in ("FP32", "FP64") else values
        getattr(tensor.contents, FIELDS[datatype]).extend(draw(st.lists(kind, min_size=count, max_size=count)))
    if draw(st.integers(0, 4)) == 0:
        message.outputs.add(name="y")
    if draw(st.integers(0, 9)) == 0:
        message.parameters["k"].int64_param = 1
    if draw(st.integers(0, 9)) == 0:
        message.model_version = "3"
    return message


def slowly(data: bytes) -> tuple[Any, Any] | None:
    """The message and what it asks for, read by protobuf; None where it is refused."""
    message = parse(MESSAGES.ModelInferRequest, data)
    try:
        return None if message is None else (message, read_request(message))
    except PodiumError:
        return None


def learn(known: KnownMessages, data: bytes) -> None:
    found = slowly(data)
    if found is not None:
        message, asked = found
        known.learn(data, Known(message.model_name, message.id, asked.tensors, asked.outputs, asked.is_raw))


def assert_same(known: KnownMessages, data: bytes) -> bool:
    """Whether it is read without protobuf; then as protobuf reads it."""
    found = known.read(data)
    if found is None:
        return False
    expected = slowly(data)
    assert expected is not None
    message, asked = expected
    assert not message.model_version
    assert not message.parameters
    assert not asked.params
    assert not asked.wants_final
    assert (message.model_name, message.id) == (found.model_name, found.id)
    assert (asked.tensors, asked.outputs, asked.is_raw) == (found.tensors, found.outputs, found.is_raw)
    return True


@settings(max_examples=150, deadline=None)
@given(st.data(), st.lists(inputs(), min_size=1, max_size=3), st.booleans())
def test_a_message_like_one_before_is_read_as_protobuf_reads_it(data: st.DataObject, told: Any, is_raw: bool):
    """Whatever numbers, ids, wishes and parameters they have; or it is left to protobuf."""
    known = KnownMessages()
    for _ in range(4):
        message = data.draw(messages(told, is_raw)).SerializeToString()
        assert_same(known, message)
        learn(known, message)
        assert_same(known, message)


@settings(max_examples=200, deadline=None)
@given(st.data(), st.booleans())
def test_no_changed_byte_is_read_otherwise_than_protobuf_reads_it(data: st.DataObject, is_raw: bool):
    """Bytes of the numbers, of lengths, of keys, of names: what is not the same message is not taken for it."""
    message = data.draw(messages([("x", "FP64", (1, 2)), ("y", "FP32", (2,))], is_raw)).SerializeToString()
    known = KnownMessages()
    learn(known, message)

    changed = bytearray(message)
    for place in data.draw(st.lists(st.integers(0, len(message) - 1), min_size=1, max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))

    assert_same(known, bytes(changed))


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("identity", ["", "17"])
def test_the_usual_message_is_read_without_protobuf(is_raw: bool, identity: str):
    """One row of other numbers, under another id as long."""
    made = []
    for row, name in (([1.0, 2.0], identity), ([float("nan"), -0.0], identity[::-1])):
        message = MESSAGES.ModelInferRequest(model_name="m", id=name)
        tensor = message.inputs.add(name="x", datatype="FP64", shape=(1, 2))
        if is_raw:
            message.raw_input_contents.append(struct.pack("<2d", *row))
        else:
            tensor.contents.fp64_contents.extend(row)
        made.append(message.SerializeToString())
    known = KnownMessages()
    learn(known, made[0])

    assert assert_same(known, made[1])


def test_an_id_that_is_no_text_is_left_to_protobuf():
    """Which refuses the message."""
    message = MESSAGES.ModelInferRequest(model_name="m", id="ab")
    message.inputs.add(name="x", datatype="FP64", shape=(1,)).contents.fp64_contents.append(1.0)
    data = message.SerializeToString()
    known = KnownMessages()
    learn(known, data)

    assert known.read(data.replace(b"ab", b"a\xff")) is None
    assert known.read(data.replace(b"ab", b"ba")) is not None


def test_contents_in_two_parts_are_left_to_protobuf():
    """It joins them; the second may say anything."""
    inner = b"\x3a\x08" + struct.pack("<d", 1.0)
    entry = b"\x0a\x01x\x12\x04FP64\x1a\x01\x02" + 2 * (b"\x2a" + bytes((len(inner),)) + inner)
    data = b"\x0a\x01m\x2a" + bytes((len(entry),)) + entry
    known = KnownMessages()
    assert slowly(data) is not None

    learn(known, data)

    assert known.read(data) is None


def test_it_forgets_rather_than_grows():
    """A client that never sends the same twice costs no memory."""
    known = KnownMessages()
    for size in range(1, 300):
        for model in "abcdefgh":
            message = MESSAGES.ModelInferRequest(model_name=model, id="i" * size)
            message.inputs.add(name="x", datatype="FP64", shape=(1,)).contents.fp64_contents.append(1.0)
            learn(known, message.SerializeToString())

    assert sum(map(len, known._patterns.values())) <= 4 * 128


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    datatype = draw(st.sampled_from([*CODES, "BYTES"]))
    shape = draw(st.sampled_from([(1,), (3,), (2, 2), (70,), (1, 0)]))
    count = int(np.prod(shape))
    if datatype == "BYTES":
        return Tensor(
            "ý", datatype, shape, join_bytes(draw(st.lists(st.binary(max_size=200), min_size=count, max_size=count)))
        )
    size = count * SIZES[datatype]
    data = draw(st.binary(min_size=size, max_size=size))
    return Tensor("y", datatype, shape, bytes(each & 1 for each in data) if datatype == "BOOL" else data)


@settings(max_examples=300, deadline=None)
@given(tensors(), st.booleans(), st.sampled_from(["", "1", "é", "i" * 200]), st.sampled_from(["m", "n" * 130]))
def test_an_answer_is_what_protobuf_writes(tensor: Tensor, is_raw: bool, identity: str, model: str):
    """Byte for byte, or it is left to protobuf."""
    found = KnownAnswers().write(model, "1", identity, tensor, is_raw)

    message = MESSAGES.ModelInferResponse(model_name=model, model_version="1", id=identity)
    write_response(message, [tensor], is_raw)
    assert found in (None, bytes_of(message))
    assert found is not None or not tensor.data or tensor.shape == (70,) or len(tensor.data) > 4096
