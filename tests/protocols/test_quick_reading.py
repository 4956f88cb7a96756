"""What the quick reader takes, it reads as the long way does; what it makes of MLflow's text says the same, too."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.dialect import COMPAT
from podium.domain.inputs.plan import InputPlan, plan_for
from podium.domain.signature import Signature
from podium.errors import MalformedBody, UnencodableOutput
from podium.models.assemble import Assembler
from podium.protocols.open_inference.elements import unpack
from podium.protocols.open_inference.quick_answers import OutputForm
from podium.protocols.open_inference.quick_reading import QuickReader
from podium.protocols.open_inference.records import RecordMaker
from podium.protocols.open_inference.requests import Asked, read_json
from podium.protocols.open_inference.responses import write
from podium.protocols.tensor_inputs import TensorReader
from podium.protocols.tensor_outputs import TensorWriter
from podium.protocols.tensors import Tensor, decode_tensors
from podium.transport.frame_reader import FrameReader
from podium.transport.frames import ANSWERS, Rows, decode_answers
from podium.worker.planned import Group
from podium.worker.reply import NO_PREDICTION, answer_groups


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
        packed, identity = found
        data = Assembler(plan).assemble(*packed)
        assert identity == (b"" if request.id is None else json.dumps(request.id, ensure_ascii=False).encode())
        if isinstance(data, pd.DataFrame):
            pd.testing.assert_frame_equal(data, expected[list(data.columns)], check_dtype=plan.texts_per_row == 0)
        else:
            for mine, other in zip(_arrays(data), _arrays(expected), strict=True):
                assert (mine.dtype, mine.shape, mine.tobytes()) == (other.dtype, other.shape, other.tobytes())


def _arrays(data: Any) -> list[Any]:
    return [data[name] for name in sorted(data)] if isinstance(data, dict) else [data]


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("kind", sorted(set(SIGNATURES) - {"tensors"}))
def test_a_request_that_fits_is_taken_and_the_like_of_it_by_its_head(kind: str, is_nested: bool):
    values = {"FP64": 1.5, "FP32": 1.5, "INT64": 7, "INT32": 7, "UINT8": 7, "BOOL": True, "BYTES": "é"}
    inputs = [
        {
            "name": name,
            "shape": [1, *tail],
            "datatype": datatype,
            "data": np.full((1, *tail) if is_nested else int(np.prod(tail)), values[datatype], object).tolist(),
        }
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
        HEAD.replace("{", "[", 1) + "[1, 2]}]}",
        HEAD.replace("{", " ", 1) + "[1, 2]}]}",
        HEAD[1:] + "[1, 2]}]}",
        "\0" + HEAD + "[1, 2]}]}",
        HEAD + "}]}",
        HEAD + "[}]}",
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


@st.composite
def predictions(draw: st.DrawFn) -> Any:
    """What a model may return: arrays of every type, often of numbers that look alike as text, and other things."""
    rows, width = draw(st.integers(1, 4)), draw(st.sampled_from([None, None, 1, 2]))
    shape = (rows,) if width is None else (rows, width)
    dtype = draw(
        st.sampled_from(["f8", "f4", "f2", ">f8", "g", "i8", "i4", "u1", "u8", "?", "U", "S", "O", "M8[D]", "m8[s]", "c16"])
    )
    count = int(np.prod(shape))
    if dtype in ("U", "S", "O"):
        kinds = {"S": st.just(b"abc"), "U": st.text(max_size=3) | st.just("\U0001f600")}
        either = st.text(max_size=3) | st.none() | st.integers(0, 3) | st.just(b"abc") | st.just("\ud800")
        values = draw(st.lists(kinds.get(dtype, either), min_size=count, max_size=count))
        array = np.empty(count, object)
        array[:] = values
        array = (array if dtype == "O" else array.astype(dtype)).reshape(shape)
    elif dtype[0] in "fg>" or dtype == "c16":
        with np.errstate(all="ignore"):
            array = np.array(draw(st.lists(NUMBERS, min_size=count, max_size=count))).astype(dtype).reshape(shape)
    else:
        values = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
        array = np.array(values, "i8").astype(dtype).reshape(shape)
    match draw(st.sampled_from(["array", "array", "array", "list", "frame", "series", "dict", "transposed"])):
        case "list":
            return array.tolist()
        case "frame":
            return pd.DataFrame(array.tolist(), dtype=object)
        case "series":
            return pd.Series(array.tolist(), dtype=object)
        case "dict":
            return {"output": array}
        case "transposed":
            return array.T
    return array


class Taken:
    """Stands for a gateway's link: keeps what a worker sends it."""

    is_open = True
    serial = 1

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)


def answered(output: Any, sizes: list[int], signature: Signature | None = None) -> tuple[list[bytes], int] | None:
    """What a worker answers to planned requests of so many rows, in one frame; None where it does otherwise."""
    link = Taken()
    rows = Rows(1, 0, len(sizes), sum(sizes), tuple(sizes), b"", b"", memoryview(b""))
    try:
        form = TensorWriter(signature).form_of(output)
        answer_groups([Group(link, rows, 0)], output, NO_PREDICTION, COMPAT, form)  # type: ignore[arg-type]
    except Exception:
        return None
    frames = [frame for data in link.sent for frame in FrameReader().feed(data)]
    if [frame.kind for frame in frames] != [ANSWERS]:
        return None
    found = decode_answers(frames[0].flags, frames[0].id, frames[0].payload, frames[0].status)
    return found.bodies, found.form


DECLARED = [None, [tensor("y", "float64", -1)], columns(y="double"), [{"type": "double"}], columns(y="string", z="double")]


@given(predictions(), predictions(), st.none() | st.text(max_size=3), st.sampled_from(DECLARED))
def test_an_answer_that_is_made_quickly_says_what_the_long_way_says(
    first: Any, later: Any, identity: Any, declared: list[dict[str, Any]] | None
):
    """Whatever a model returned before: another type, another shape, what looks alike as text."""
    signature = Signature.from_dict({"inputs": None, "outputs": declared and json.dumps(declared), "params": None})
    writer = TensorWriter(signature)
    try:
        shown, about = decode_tensors(writer.write(first))
    except UnencodableOutput:
        return
    rows = len(later)
    number = (about or {}).get("form", 0)
    form, found = OutputForm.of("m", "1", shown[0].shape[0], shown, number), answered(later, [rows], signature)
    if form is None or found is None:
        return
    (body,), number = found
    asked = Asked([], id=identity)

    made = form.spliced(body, rows, b"" if identity is None else json.dumps(identity).encode(), number)
    output = form.output(body, rows, number)

    if made is not None or output is not None:
        expected, _ = decode_tensors(writer.write(later))
        if made is not None:
            assert json.loads(write(asked, "m", "1", expected).body) == json.loads(made, parse_constant=pytest.fail)
        if output is not None:
            (other,) = expected
            assert (other.name, other.datatype, other.shape) == (output.name, output.datatype, output.shape)
            assert json.dumps(unpack(other)) == json.dumps(unpack(output))


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "u1", "?", "U"])
@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2)])
def test_an_answer_like_the_first_is_made_quickly(dtype: str, shape: tuple[int, ...]):
    array = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    shown, about = decode_tensors(TensorWriter(None).write(array))
    form = OutputForm.of("m", "1", 3, shown, about["form"])
    found = answered(array, [1, 2])
    assert form is not None
    assert found is not None
    bodies, number = found

    outputs = [form.output(body, rows, number) for body, rows in zip(bodies, [1, 2], strict=True)]

    assert [unpack(each) for each in outputs if each] == [array[:1].ravel().tolist(), array[1:].ravel().tolist()]
    assert form.spliced(bodies[0], 1, b"", number) is not None


@given(asked())
def test_tensors_that_become_records_are_read_as_the_long_way_reads_them(given_request: tuple[str, bytes]):
    kind, body = given_request
    plan = plan_for(signature_of(kind))
    assert isinstance(plan, InputPlan)
    try:
        tensors = read_json(body).tensors
    except MalformedBody:
        return

    packed = RecordMaker(plan).of(tensors)

    if packed is not None:
        data = Assembler(plan).assemble(packed.rows, bytes(packed.block), packed.texts)
        expected = TensorReader(signature_of(kind)).of(list(tensors))
        if isinstance(data, pd.DataFrame):
            pd.testing.assert_frame_equal(data, expected[list(data.columns)], check_dtype=plan.texts_per_row == 0)
        else:
            for mine, other in zip(_arrays(data), _arrays(expected), strict=True):
                assert (mine.dtype, mine.shape, mine.tobytes()) == (other.dtype, other.shape, other.tobytes())


@pytest.mark.parametrize("kind", sorted(SIGNATURES))
def test_tensors_that_fit_become_records(kind: str):
    values = {"FP64": 1.5, "FP32": 1.5, "INT64": 7, "INT32": 7, "UINT8": 7, "BOOL": True, "BYTES": "é"}
    inputs = [
        {"name": name, "shape": [2, *tail], "datatype": datatype, "data": [values[datatype]] * 2 * int(np.prod(tail))}
        for name, datatype, tail in INPUTS[kind]
    ]
    plan = plan_for(signature_of(kind))
    assert isinstance(plan, InputPlan)

    packed = RecordMaker(plan).of(read_json(json.dumps({"inputs": inputs}).encode()).tensors)

    assert packed is not None
    assert (packed.rows, len(packed.block)) == (2, 2 * plan.record_bytes)


@pytest.mark.parametrize(
    "unfit",
    [
        Tensor("t", "FP64", (1, 3), bytes(24)),
        Tensor("t", "FP32", (1, 2), bytes(8)),
        Tensor("t", "FP64", (0, 2), b""),
        Tensor("a", "FP64", (1, 2), bytes(16)),
        Tensor("t", "FP64", (), bytes(8)),
    ],
)
def test_tensors_that_do_not_fit_go_the_long_way(unfit: Tensor):
    plan = plan_for(signature_of("columns of one type"))
    assert isinstance(plan, InputPlan)

    assert RecordMaker(plan).of([unfit]) is None


def test_a_byte_that_is_no_truth_value_goes_the_long_way():
    plan = plan_for(Signature.from_dict({"inputs": json.dumps([tensor("x", "bool", -1)]), "outputs": None, "params": None}))
    assert isinstance(plan, InputPlan)

    found = [RecordMaker(plan).of([Tensor("x", "BOOL", (1,), byte)]) is None for byte in (b"\0", b"\1", b"\2")]

    assert found == [False, False, True]


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_a_record_holds_no_number_that_is_not_finite(datatype, odd):
    """A shortcut that was proven on finite numbers would answer where the model refuses; the model is asked itself."""
    kind = "float64" if datatype == "FP64" else "float32"
    plan = plan_for(
        Signature.from_dict({"inputs": json.dumps([tensor("x", kind, -1, 2)]), "outputs": None, "params": None})
    )
    assert isinstance(plan, InputPlan)

    taken, left = (
        RecordMaker(plan).of([Tensor("x", datatype, (1, 2), np.array([[1.5, value]], kind).tobytes())])
        for value in (-1e30, odd)
    )

    assert taken is not None
    assert left is None
