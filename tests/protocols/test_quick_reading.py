"""What the quick reader takes, it reads as the long way does; what it makes of MLflow's text says the same, too."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.inputs.plan import InputPlan, plan_for
from podium.domain.signature import Signature
from podium.models.assemble import Assembler
from podium.protocols.mlflow.encoding import encode
from podium.protocols.open_inference.quick_reading import Form, QuickReader
from podium.protocols.open_inference.requests import Asked, read_json
from podium.protocols.open_inference.responses import write
from podium.protocols.tensor_inputs import TensorReader
from podium.protocols.tensor_outputs import TensorWriter
from podium.protocols.tensors import decode_tensors


def columns(**kinds: str) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind, "required": True} for name, kind in kinds.items()]


def tensor(name: str | None, dtype: str, *shape: int) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {**named, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


SIGNATURES = {
    "columns of one type": columns(a="double", b="double"),
    "columns": columns(t="string", a="double", n="long", i="integer", b="boolean", f="float"),
    "one column": columns(a="double"),
    "tensor": [tensor(None, "float32", -1, 3)],
    "deep tensor": [tensor(None, "uint8", -1, 2, 2)],
    "flat tensor": [tensor(None, "float64", -1)],
    "named tensor": [tensor("x", "int64", -1, 2)],
    "tensors": [tensor("x", "float64", -1, 2), tensor("y", "bool", -1)],
}
ELEMENTS: dict[str, Any] = {
    "FP64": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5),
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "INT64": st.integers(-(2**63) - 1, 2**63),
    "INT32": st.integers(-(2**31), 2**31),
    "UINT8": st.integers(-1, 256),
    "BOOL": st.booleans(),
    "BYTES": st.text(max_size=4),
}
INPUTS: dict[str, list[tuple[str, str, tuple[int, ...]]]] = {
    "columns of one type": [("a", "FP64", ()), ("b", "FP64", ())],
    "columns": [
        ("t", "BYTES", ()), ("a", "FP64", ()), ("n", "INT64", ()), ("i", "INT32", ()), ("b", "BOOL", ()), ("f", "FP32", ()),
    ],
    "one column": [("a", "FP64", ())],
    "tensor": [("any", "FP32", (3,))],
    "deep tensor": [("any", "UINT8", (2, 2))],
    "flat tensor": [("any", "FP64", ())],
    "named tensor": [("x", "INT64", (2,))],
    "tensors": [("x", "FP64", (2,)), ("y", "BOOL", ())],
}  # fmt: skip


def signature_of(kind: str) -> Signature:
    return Signature.from_dict({"inputs": json.dumps(SIGNATURES[kind]), "outputs": None, "params": None})


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, bytes]:
    """A signature's name and a request that fits it, mostly."""
    kind = draw(st.sampled_from(sorted(SIGNATURES)))
    rows = draw(st.integers(1, 3))
    inputs = []
    entries = INPUTS[kind]
    if kind == "columns of one type" and draw(st.booleans()):
        entries = [("table", "FP64", (2,))]
    for name, datatype, tail in draw(st.permutations(entries)):
        shape = [rows, *tail]
        if kind.startswith("col") and name != "table" and draw(st.booleans()):
            shape.append(1)
        count = int(np.prod(shape))
        data: Any = draw(st.lists(ELEMENTS[datatype], min_size=count, max_size=count))
        if draw(st.booleans()):
            cells = np.empty(count, object)
            cells[:] = data
            data = cells.reshape(shape).tolist()
        inputs.append({"name": name, "shape": shape, "datatype": datatype, "data": data})
    body: dict[str, Any] = {"inputs": inputs}
    if draw(st.booleans()):
        body = {"id": draw(st.text(max_size=3)), **body}
    separators = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    return kind, json.dumps(body, separators=separators).encode()


READERS = {kind: QuickReader(plan) for kind in SIGNATURES if (plan := plan_for(signature_of(kind))) is not None}


@given(asked())
def test_what_is_read_quickly_is_read_as_the_long_way_reads_it(given_request: tuple[str, bytes]):
    kind, body = given_request

    for _ in range(2):  # the second time its head is known
        found = READERS[kind].read(body)
        if found is None:
            return
        request = read_json(body)
        expected, _ = TensorReader(signature_of(kind)).read(request.body())
        plan = plan_for(signature_of(kind))
        assert isinstance(plan, InputPlan)
        data = Assembler(plan).assemble(*found.packed)
        assert found.id == (b"" if request.id is None else json.dumps(request.id, ensure_ascii=False).encode())
        if isinstance(data, pd.DataFrame):
            pd.testing.assert_frame_equal(data, expected[list(data.columns)], check_dtype=plan.texts_per_row == 0)
        else:
            for mine, other in zip(_arrays(data), _arrays(expected), strict=True):
                assert (mine.dtype, mine.shape, mine.tobytes()) == (other.dtype, other.shape, other.tobytes())


def _arrays(data: Any) -> list[Any]:
    return [data[name] for name in sorted(data)] if isinstance(data, dict) else [data]


@pytest.mark.parametrize("kind", sorted(set(SIGNATURES) - {"tensors"}))
def test_a_request_that_fits_is_taken_and_the_like_of_it_by_its_head(kind: str):
    values = {"FP64": 1.5, "FP32": 1.5, "INT64": 7, "INT32": 7, "UINT8": 7, "BOOL": True, "BYTES": "é"}
    inputs = [
        {"name": name, "shape": [1, *tail], "datatype": datatype, "data": [values[datatype]] * int(np.prod(tail))}
        for name, datatype, tail in INPUTS[kind]
    ]
    body = json.dumps({"inputs": inputs}).encode()
    reader = QuickReader(plan_for(signature_of(kind)))  # type: ignore[arg-type]

    assert [reader.read(body), reader.read(body)] == [reader.read(bytearray(body))] * 2
    assert reader.read(body) is not None


HEAD = '{"inputs": [{"name": "t", "shape": [1, 2], "datatype": "FP64", "data": '


@pytest.mark.parametrize(
    "body",
    [
        HEAD + "[1, null]}]}",
        HEAD + "[1, NaN]}]}",
        HEAD + "[1]}]}",
        HEAD + "[1, 2, 3]}]}",
        HEAD + "[[1], [2]]}]}",
        HEAD + '["1", 2]}]}',
        HEAD + '[1, 2]}], "outputs": [{"name": "y"}]}',
        HEAD + '[1, 2]}], "parameters": {"binary_data_output": true}}',
        HEAD + '[1, 2], "data": [3, 4]}], "id": 5}',
        HEAD + "[1, 2]}]",
        HEAD + "[1, 2]}, {}]}",
        HEAD.replace("FP64", "FP32") + "[1, 2]}]}",
        HEAD.replace("[1, 2]", "[2, 2]") + "[1, 2]}]}",
        HEAD.replace("[1, 2]", "[0, 2]") + "[]}]}",
        HEAD.replace('"t"', '"a"') + "[1, 2]}]}",
        "[]", "", "{", '"data":',
    ],
)  # fmt: skip
def test_what_does_not_fit_goes_the_long_way(body: str):
    plan = plan_for(signature_of("columns of one type"))
    assert plan is not None
    reader = QuickReader(plan)
    assert reader.read((HEAD + "[1, 2]}]}").encode()) is not None

    assert reader.read(body.encode()) is None


NUMBERS = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1e300, 1e-300])


@given(
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "U"]),
    st.integers(0, 2),
    st.none() | st.text(max_size=3),
)
def test_an_answer_made_of_mlflows_text_says_what_the_long_way_says(values: Any, dtype: str, width: int, identity: Any):
    with np.errstate(all="ignore"):
        array = np.nan_to_num(np.array(values)).astype(dtype) if dtype in ("i8", "u1") else np.array(values).astype(dtype)
    if width:
        array = np.stack([array] * width, axis=1)
    outputs, _ = decode_tensors(TensorWriter(None).write(array))
    form = Form.of("m", "1", len(array), outputs)
    assert form is not None

    made = form.spliced(encode(array), len(array), b"" if identity is None else json.dumps(identity).encode())

    if made is None:
        assert (dtype, width > 0) == ("U", True)
        return
    assert json.loads(made, parse_constant=pytest.fail) == json.loads(write(Asked([], id=identity), "m", "1", outputs).body)


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (np.array([1]), np.array([1.5])),
        (np.array([1.5]), np.array([1])),
        (np.array([1]), np.array(["1"])),
        (np.array(["a"]), np.array([1])),
        (np.array([1.5]), {"a": np.array([1.5])}),
        (np.array([1.5]), pd.DataFrame({"a": [1.5]})),
        (np.array([[1.5, 2.5]]), np.array([[1.5, 2.5, 3.5]])),
        (np.array([1]), np.array([True])),
        (np.array([1.5]), [1.5, [2.5]]),
        (np.array([1.5]), None),
    ],
)
def test_an_answer_unlike_the_first_is_left_to_the_long_way(first: Any, later: Any):
    outputs, _ = decode_tensors(TensorWriter(None).write(first))
    form = Form.of("m", "1", 1, outputs)
    assert form is not None

    assert form.spliced(encode(later), 1, b"") is None
