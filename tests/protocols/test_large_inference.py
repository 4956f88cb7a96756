"""The worker reads large JSON requests as the gateway reads small ones."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import MalformedBody
from podium.protocols.large_inference import read_large
from podium.protocols.open_inference.requests import read_json

ELEMENTS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_infinity=False) | st.text(max_size=2)
PARAMETERS = st.none() | st.fixed_dictionaries({}, optional={
    "binary_data_output": st.booleans(), "factor": st.integers(0, 3), "content_type": st.sampled_from(["base64", "np"]),
    "classification": st.integers(0, 1), "binary_data": st.booleans(),
})  # fmt: skip


@st.composite
def entries(draw: st.DrawFn) -> Any:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = 1
    for size in shape:
        count *= size
    datatype = draw(st.sampled_from(["FP64", "FP32", "FP16", "INT64", "INT8", "UINT64", "BOOL", "BYTES", "FLOAT"]))
    fitting = {"F": st.floats(width=16, allow_infinity=False), "I": st.integers(-128, 127), "U": st.integers(0, 9)}
    kind: Any = {"BOOL": st.booleans(), "BYTES": st.text(max_size=3)}.get(datatype, fitting.get(datatype[0]))
    kind = kind if draw(st.integers(0, 3)) else ELEMENTS
    values = draw(st.lists(kind, min_size=count, max_size=count + (draw(st.integers(0, 5)) == 0)))
    if len(values) == count and count and len(shape) > 1 and draw(st.booleans()):
        for size in reversed(shape[1:]):
            values = [values[i : i + size] for i in range(0, len(values), size)]
    entry = {"name": draw(st.sampled_from(["x", "y"])), "shape": shape, "datatype": datatype, "data": values}
    if draw(st.booleans()):
        entry["parameters"] = draw(PARAMETERS)
    return entry


@given(
    st.lists(entries(), max_size=2),
    st.fixed_dictionaries({}, optional={
        "id": st.text(max_size=3) | st.none() | st.integers(),
        "parameters": PARAMETERS,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.sampled_from("ab")}, optional={"parameters": PARAMETERS})),
    }),
)  # fmt: skip
def test_both_read_the_same_or_both_refuse(inputs: Any, more: Any):
    body = json.dumps({"inputs": inputs, **more}).encode()
    try:
        asked = read_json(body)
    except MalformedBody:
        with pytest.raises(MalformedBody):
            read_large(body)
        return

    tensors, params, about = read_large(body)

    assert [(t.name, t.datatype, t.shape, bytes(t.data)) for t in asked.tensors] == [
        (t.name, t.datatype, t.shape, bytes(t.data)) for t in tensors
    ]
    assert params == asked.params
    assert about == {"id": asked.id, "outputs": asked.wanted, "is_binary": asked.is_binary}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b"[" * 100_000, b'{"inputs": 1}', b'{"inputs": [1]}', b'{"inputs": [{}]}', b"\xff",
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [Infinity]}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1e999]}]}',
        b'{"inputs": [{"name": "x", "shape": [true], "datatype": "FP64", "data": [1]}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": 1}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [{}]}]}',
        b'{"inputs": [{"name": "x", "shape": [1], "datatype": ["FP64"], "data": [1]}]}',
    ],
)  # fmt: skip
def test_what_is_hostile_is_refused(body: bytes):
    with pytest.raises(MalformedBody):
        read_large(body)


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        ("[1.0, 2e0]", [1, 2]),
        ("[-3, 4.0]", [-3, 4]),
        ("[1.5, 2]", None),
        ("[9007199254740993.0, 1.0]", None),
        ("[true, 1.0]", None),
    ],
)
def test_a_whole_number_may_be_written_with_a_point(data, taken):
    """As JSON has it, here and in the gateway; what is not whole, or cannot be told from its neighbours, is refused."""
    body = f'{{"inputs": [{{"name": "x", "shape": [2], "datatype": "INT64", "data": {data}}}]}}'.encode()

    for read in (lambda: read_json(body).tensors, lambda: read_large(body)[0]):
        if taken is None:
            with pytest.raises(MalformedBody):
                read()
        else:
            assert list(struct.unpack("<2q", read()[0].data)) == taken
