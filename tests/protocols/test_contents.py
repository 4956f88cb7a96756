"""`InferTensorContents` on the wire: read and written as protobuf itself reads and writes it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import MalformedBody
from podium.protocols.contents import DTYPES, FIELDS, pack_contents, unpack_contents
from podium.protocols.tensors import BYTES, Tensor, join_bytes
from podium.serving.grpc.messages import Messages

CONTENTS = Messages().InferTensorContents
NUMPY = {"BOOL": "?", "FP32": "<f4", "FP64": "<f8", **DTYPES}


@st.composite
def tensors(draw: st.DrawFn) -> tuple[Tensor, list[Any]]:
    datatype = draw(st.sampled_from(sorted(FIELDS)))
    if datatype == BYTES:
        values: list[Any] = draw(st.lists(st.binary(max_size=200), max_size=5))
        return Tensor("x", datatype, (len(values),), join_bytes(values)), values
    dtype = np.dtype(NUMPY[datatype])
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        elements: Any = st.integers(int(bounds.min), int(bounds.max)) | st.integers(0, 1)
    else:
        elements = st.booleans() if dtype.kind == "b" else st.floats(width=8 * dtype.itemsize, allow_nan=False)
    values = draw(st.lists(elements, max_size=5))
    return Tensor("x", datatype, (len(values),), np.array(values, dtype).tobytes()), values


@given(tensors())
def test_what_protobuf_writes_is_read(given_tensor: tuple[Tensor, list[Any]]):
    tensor, values = given_tensor
    field, _ = FIELDS[tensor.datatype]
    written = CONTENTS(**{field: values}).SerializeToString()

    found = unpack_contents(Tensor("x", tensor.datatype, tensor.shape, memoryview(written), "contents"))

    assert found == tensor


@given(tensors())
def test_protobuf_reads_what_is_written(given_tensor: tuple[Tensor, list[Any]]):
    tensor, values = given_tensor
    written = pack_contents(tensor)

    if written is None:
        assert tensor.datatype in ("BOOL", "FP32", "FP64")
    else:
        assert list(getattr(CONTENTS.FromString(written), FIELDS[tensor.datatype][0])) == values


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("INT64", (2,), CONTENTS(int64_contents=[1]).SerializeToString()),
        ("INT8", (1,), CONTENTS(int_contents=[200]).SerializeToString()),
        ("INT8", (1,), CONTENTS(int64_contents=[1]).SerializeToString()),
        ("FP16", (1,), b""),
        ("FP64", (1,), b"\x3a\x07" + bytes(7)),
        ("INT64", (1,), b"\x1a\x01\x80"),
        ("INT64", (1,), b"\x1a\x0b" + b"\x80" * 10 + b"\x01"),
        ("INT64", (1,), b"\x1a\x7f\x01"),
        ("INT64", (1,), b"\x1b"),
        ("INT64", (1,), b"\x80"),
        (BYTES, (2,), CONTENTS(bytes_contents=[b"a"]).SerializeToString()),
    ],
)
def test_what_is_no_such_tensor_is_refused(datatype: str, shape: tuple[int, ...], data: bytes):
    with pytest.raises(MalformedBody):
        unpack_contents(Tensor("x", datatype, shape, data, "contents"))


def test_numbers_that_are_not_packed_are_read_too():
    """As protobuf allows, one field for each."""
    data = b"\x18\x01\x18\xac\x02" + CONTENTS(int64_contents=[7]).SerializeToString()

    found = unpack_contents(Tensor("x", "INT64", (3,), data, "contents"))

    assert np.frombuffer(found.data, "<i8").tolist() == [1, 300, 7]
