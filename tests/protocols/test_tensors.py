"""Bodies of named tensors: a round trip for whatever there is, and sizes that nobody should believe."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import MalformedBody
from podium.protocols.tensors import SIZES, Tensor, check_size, decode_tensors, encode_tensors, join_bytes, split_bytes


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    count = 1
    for size in shape:
        count *= size
    datatype = draw(st.sampled_from([*SIZES, "BYTES"]))
    if datatype == "BYTES":
        elements = draw(st.lists(st.binary(max_size=9), min_size=count, max_size=count))
        return Tensor(draw(st.text(max_size=5)), datatype, shape, join_bytes(elements))
    size = count * SIZES[datatype]
    return Tensor(draw(st.text(max_size=5)), datatype, shape, draw(st.binary(min_size=size, max_size=size)))


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2))


@given(st.lists(tensors(), max_size=4), st.none() | st.dictionaries(st.text(), JSON, max_size=3))
def test_what_is_written_is_read(given_tensors: list[Tensor], params: Any) -> None:
    found, found_params = decode_tensors(encode_tensors(given_tensors, params))

    assert params == found_params
    assert [(t.name, t.datatype, t.shape, bytes(t.data)) for t in given_tensors] == [
        (t.name, t.datatype, t.shape, bytes(t.data)) for t in found
    ]


@given(st.lists(st.binary(max_size=20)))
def test_elements_of_bytes_are_what_they_were(elements: list[bytes]) -> None:
    assert elements == split_bytes(join_bytes(elements), len(elements))


def body(data: bytes = b"", **changes: Any) -> bytes:
    entry = {"name": "x", "datatype": "FP32", "shape": [2], "size": 8} | changes
    head = json.dumps({"tensors": [entry], "params": None}).encode()
    return struct.pack("<I", len(head)) + head + data


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\xff\xff\xff\xff",
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 4) + b"null",
        struct.pack("<I", 2**31) + b"{}",
        struct.pack("<I", 20000) + b"[" * 20000,
        body(),
        body(bytes(9)),
        body(bytes(7)),
        body(bytes(8), size=-8),
        body(bytes(8), size=8.0),
        body(bytes(8), size="8"),
        body(bytes(8), shape=[-2]),
        body(bytes(8), shape=[2.0]),
        body(bytes(8), shape=[True, 2]),
        body(bytes(8), shape="2"),
        body(bytes(8), shape={"2": 2}),
        body(bytes(8), shape=[2**62, 2**62]),
        body(bytes(8), shape=[10**300]),
        body(bytes(8), name=7),
        body(bytes(8), name=None),
        body(bytes(8), datatype="FLOAT"),
        body(bytes(8), datatype=["FP32"]),
        body(bytes(8), datatype="BYTES", shape=[3]),
        body(b"", datatype="BYTES", shape=[0], size=-1),
    ],
)
def test_a_body_that_lies_about_itself_is_refused(hostile: bytes) -> None:
    with pytest.raises(MalformedBody):
        decode_tensors(hostile)


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"\x05\0\0\0hell", 1), (b"\x05\0\0\0hello!", 1), (b"\x05\0\0\0hello", 2), (b"\xff\xff\xff\xff", 1), (b"\0", 1)],
)
def test_lengths_of_elements_add_up_or_are_refused(data: bytes, count: int) -> None:
    with pytest.raises(MalformedBody):
        split_bytes(data, count)


def test_what_is_wrong_with_a_size_is_said() -> None:
    assert check_size("FP32", (2, 3), 24) is None
    assert check_size("FP32", (2, 3), 20) == "FP32 of shape [2, 3] takes 24 bytes, got 20"
    assert "FLOAT" in str(check_size("FLOAT", (1,), 4))
    assert check_size("BYTES", (2,), 7) == "7 bytes are too few for 2 elements of BYTES"
