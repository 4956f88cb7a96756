"""The protocol's messages, and tensors out of them and into them."""

import numpy as np
import pytest

from podium.errors import MalformedBody
from podium.protocols.contents import unpack_contents
from podium.protocols.tensors import Tensor, join_bytes
from podium.serving.grpc.large import joined, read_large
from podium.serving.grpc.messages import METHODS, Messages
from podium.serving.grpc.tensors import read_request, values_of, write_response

MESSAGES = Messages()
VALUES = {
    "BOOL": ("bool_contents", [True, False, True]), "INT8": ("int_contents", [-128, 0, 127]),
    "INT16": ("int_contents", [-(2**15), 0, 7]), "INT32": ("int_contents", [-(2**31), 0, 2**31 - 1]),
    "INT64": ("int64_contents", [-(2**63), 9007199254740993, 2**63 - 1]), "UINT8": ("uint_contents", [0, 1, 255]),
    "UINT16": ("uint_contents", [0, 1, 65535]), "UINT32": ("uint_contents", [0, 1, 2**32 - 1]),
    "UINT64": ("uint64_contents", [0, 1, 2**64 - 1]), "FP32": ("fp32_contents", [1.5, -2.25, float("inf")]),
    "FP64": ("fp64_contents", [1.5, -0.0, 1e300]), "BYTES": ("bytes_contents", [b"a", b"", "é".encode()]),
}  # fmt: skip


def request(datatype: str = "FP64", shape: tuple[int, ...] = (1, 2), raw: tuple[bytes, ...] = (), **contents: list[object]):
    message = MESSAGES.ModelInferRequest(model_name="m", raw_input_contents=raw)
    tensor = message.inputs.add(name="x", datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(tensor.contents, field).extend(values)
    return message


@pytest.mark.parametrize("name", sorted({name for pair in METHODS.values() for name in pair}))
def test_messages_are_tritons_on_the_wire(name: str):
    """Names, numbers and types are those of tritonclient, beside metadata's properties, which Triton does not have."""
    from tritonclient.grpc import service_pb2 as theirs

    def fields(message: type) -> dict[int, tuple[str, int]]:
        return {each.number: (each.name, each.type) for each in message.DESCRIPTOR.fields if each.name != "properties"}

    assert fields(getattr(theirs, name)) == fields(getattr(MESSAGES, name))


@pytest.mark.parametrize("datatype", VALUES)
def test_each_datatype_is_in_its_own_field_both_ways(datatype: str):
    """What is read from typed contents and written back is the same message's contents."""
    field, values = VALUES[datatype]
    message = request(datatype, (3,), **{field: values})

    [tensor] = read_request(message).tensors
    answer = MESSAGES.ModelInferResponse()
    write_response(answer, [tensor], is_raw=False)

    assert message.inputs[0].contents.SerializeToString() == answer.outputs[0].contents.SerializeToString()
    assert list(answer.raw_output_contents) == []


def test_raw_goes_out_as_it_came():
    """Bytes are not touched, and contents stay unset."""
    data = np.arange(2.0).tobytes()
    asked = read_request(request(raw=(data,)))
    answer = MESSAGES.ModelInferResponse()

    write_response(answer, asked.tensors, asked.is_raw)

    assert [data] == list(answer.raw_output_contents)
    assert not answer.outputs[0].HasField("contents")


@pytest.mark.parametrize("datatype", VALUES)
@pytest.mark.parametrize("is_raw", [False, True])
def test_a_large_message_is_read_as_a_small_one(datatype: str, is_raw: bool):
    """Its data as they lie on the wire, until the worker reads them; and what is written of it is the same, too."""
    field, values = VALUES[datatype]
    message = request(datatype, (3,), **{field: values})
    [expected] = read_request(message).tensors
    message.id, message.parameters["k"].int64_param = "7", 3
    message.outputs.add(name="y")
    if is_raw:
        message.inputs[0].ClearField("contents")
        message.raw_input_contents.append(bytes(expected.data))

    asked = read_request(read_large(type(message), message.SerializeToString()))
    [found] = [unpack_contents(each) if each.form else each for each in asked.tensors]

    assert (found.name, found.datatype, found.shape, bytes(found.data)) == (
        expected.name, expected.datatype, expected.shape, bytes(expected.data),
    )  # fmt: skip
    assert (asked.params, asked.outputs, asked.is_raw) == ({"k": 3}, ["y"], is_raw)
    answer = MESSAGES.ModelInferResponse(model_name="m", id="7")
    told = MESSAGES.ModelInferResponse.FromString(joined(answer, [found], is_raw))
    write_response(answer, [found], is_raw)
    assert told == answer


def test_a_large_message_that_is_none_is_refused():
    """Before anything of it is looked at one by one."""
    many = request()
    for number in range(20_000):
        many.inputs.add(name=f"x{number}")
    both = request(raw=(bytes(16),), fp64_contents=[1.0, 2.0])
    kind = MESSAGES.ModelInferRequest

    for data in (many.SerializeToString(), b"\xff" * 300_000, kind(id="x" * 300_000).SerializeToString()):
        with pytest.raises(MalformedBody):
            read_large(kind, data)
    with pytest.raises(MalformedBody, match="beside"):
        read_request(read_large(kind, both.SerializeToString()))


def test_half_floats_which_have_no_field_are_answered_raw():
    """Also to a request whose own tensors came typed."""
    answer = MESSAGES.ModelInferResponse()

    write_response(answer, [Tensor("y", "FP16", (1,), b"\0\0"), Tensor("z", "BOOL", (1,), b"\1")], is_raw=False)

    assert list(answer.raw_output_contents) == [b"\0\0", b"\1"]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (request(raw=(b"\0" * 16, b"")), "1 inputs and 2 raw_input_contents"),
        (request(raw=(b"\0" * 15,)), "takes 16 bytes, got 15"),
        (request(raw=(b"\0" * 16,), fp64_contents=[1, 2]), "contents beside raw_input_contents"),
        (request("FP16", fp32_contents=[1, 2]), "no field in contents"),
        (request("FLOAT", fp32_contents=[1, 2]), "datatype is 'FLOAT'"),
        (request(fp32_contents=[1, 2]), "belongs into fp64_contents"),
        (request(fp64_contents=[1, 2, 3]), "takes 2 elements, fp64_contents has 3"),
        (request(shape=(-1, 2), fp64_contents=[1, 2]), "whole numbers from 0"),
        (request(shape=(2**62, 2**62)), "elements"),
        (request(shape=(1,) * 65, fp64_contents=[1]), "65 dimensions"),
        (request("INT8", int_contents=[1, 300]), "-128 to 127"),
        (request("UINT8", uint_contents=[1, 256]), "0 to 255"),
        (request("BYTES", (1,), raw=(b"\xff\xff\xff\xff",)), "says 4294967295 bytes"),
        (request("BYTES", (1,), raw=(join_bytes([b"a"]) + b"x",)), "bytes after"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused_by_name(message: object, told: str):
    """Before anything is sent to a model."""
    with pytest.raises(MalformedBody, match=told):
        read_request(message)


def test_two_inputs_of_one_name_are_refused():
    """Which of them counts would be a guess."""
    message = request(fp64_contents=[1, 2])
    message.inputs.append(message.inputs[0])

    with pytest.raises(MalformedBody, match="same name"):
        read_request(message)


def test_parameters_keep_their_types():
    """Of every kind, doubles and unsigned ones too."""
    message = MESSAGES.ModelInferRequest()
    for name, field, value in (("a", "double_param", 2.5), ("b", "uint64_param", 2**64 - 1), ("c", "bool_param", False)):
        setattr(message.parameters[name], field, value)
    _ = message.parameters["unset"]

    assert values_of(message.parameters) == {"a": 2.5, "b": 2**64 - 1, "c": False}
