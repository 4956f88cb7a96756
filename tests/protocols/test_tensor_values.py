"""Tensors to what a model takes, and what it returned to tensors."""

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.signature import Signature
from podium.errors import MalformedBody, PodiumError, SchemaMismatch, UnencodableOutput
from podium.protocols.tensor_inputs import NUMPY_OF, TensorReader, to_array
from podium.protocols.tensor_outputs import TensorWriter
from podium.protocols.tensors import Tensor, decode_tensors, encode_tensors, join_bytes


def signature(inputs: Any = None, outputs: Any = None, is_from_type_hint: bool = False) -> Signature:
    parts = {"inputs": inputs and json.dumps(inputs), "outputs": outputs and json.dumps(outputs), "params": None}
    return Signature.from_dict(parts, is_from_type_hint)


def column(name: str | None, kind: str = "double", **more: Any) -> dict[str, Any]:
    return ({} if name is None else {"name": name}) | {"type": kind, **more}


def tensor(name: str | None, dtype: str = "float64", *shape: int) -> dict[str, Any]:
    return ({} if name is None else {"name": name}) | {
        "type": "tensor",
        "tensor-spec": {"dtype": dtype, "shape": list(shape or (-1, 2))},
    }


def of(name: str, values: Any, datatype: str | None = None) -> Tensor:
    if datatype == "BYTES":
        array = np.array(values, dtype=object)
        return Tensor(
            name, "BYTES", array.shape, join_bytes(v if isinstance(v, bytes) else v.encode() for v in array.ravel())
        )
    array = np.array(values, None if datatype is None else NUMPY_OF[datatype])
    known = datatype or next(kind for kind, dtype in NUMPY_OF.items() if dtype == array.dtype)
    return Tensor(name, known, array.shape, array.tobytes())


def read(declared: Signature | None, *tensors: Tensor) -> Any:
    return TensorReader(declared).read(encode_tensors(tensors))[0]


# ── what a model takes


def test_columns_come_by_name_as_a_frame():
    declared = signature([column("a"), column("n", "long"), column("t", "string"), column("b", "boolean")])

    frame = read(
        declared,
        of("t", ["x", "é"], "BYTES"),
        of("a", [[1.5], [2]]),
        of("n", [3, 2**53 + 1], "INT64"),
        of("b", [True, False]),
    )

    expected = pd.DataFrame({"t": ["x", "é"], "a": [1.5, 2], "n": [3, 2**53 + 1], "b": [True, False]})
    pd.testing.assert_frame_equal(expected, frame, check_dtype=False)
    assert [str(dtype) for dtype in frame.dtypes[1:]] == ["float64", "int64", "bool"]


def test_all_columns_of_a_frame_may_come_as_one_table():
    declared = signature([column("a"), column("b"), column("c")])

    frame = read(declared, of("anything", [[1, 2, 3], [4, 5, 6]], "FP32"))

    pd.testing.assert_frame_equal(pd.DataFrame({"a": [1.0, 4], "b": [2.0, 5], "c": [3.0, 6]}), frame)
    assert frame.to_numpy().flags.f_contiguous


def test_a_table_of_whole_numbers_is_taken_for_columns_of_several_types():
    frame = read(signature([column("a"), column("n", "integer")]), of("x", [[1, 2], [3, 4]], "INT64"))

    assert frame.dtypes.to_dict() == {"a": np.float64, "n": np.int32}


def test_one_tensor_is_one_array_and_several_are_a_dict():
    one = read(signature([tensor(None)]), of("any name", [[1, 2]], "FP64"))
    two = read(signature([tensor("x"), tensor("y", "int32", -1)]), of("y", [7], "INT32"), of("x", [[1.0, 2]]))

    assert (one.tolist(), one.flags.writeable) == ([[1, 2]], True)
    assert {name: value.tolist() for name, value in two.items()} == {"y": [7], "x": [[1, 2]]}


def test_without_a_signature_arrays_come_as_they_are():
    assert read(None, of("x", [[1, 2]], "INT8")).dtype == np.int8
    assert read(None, of("x", ["a", "é"], "BYTES")).tolist() == ["a", "é"]
    assert read(None, of("x", [b"\xff"], "BYTES")).tolist() == [b"\xff"]
    assert sorted(read(None, of("x", [1.0]), of("y", [2.0]))) == ["x", "y"]


def test_a_model_with_a_type_hint_gets_plain_values():
    declared = signature([column(None, "string")], is_from_type_hint=True)

    assert read(declared, of("input", [["a"], ["b"]], "BYTES")) == ["a", "b"]
    assert read(declared, of("a", [1, 2]), of("b", ["x", "y"], "BYTES")) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_lists_objects_and_datetimes_have_forms():
    declared = signature([
        column("v", "array", items={"type": "double"}),
        column("o", "object", properties={"k": {"type": "long", "required": True}}),
        column("d", "datetime"),
    ])  # fmt: skip

    frame = read(
        declared,
        of("v", [[1.0, 2.0], [3.0, 4.0]]),
        of("o", ['{"k": 1}', '{"k": 2}'], "BYTES"),
        of("d", ["2024-01-02T03:04:05Z", "2024-01-02"], "BYTES"),
    )

    assert [list(each) for each in frame["v"]] == [[1, 2], [3, 4]]
    assert frame["o"].tolist() == [{"k": 1}, {"k": 2}]
    assert frame["d"].tolist() == [pd.Timestamp("2024-01-02T03:04:05"), pd.Timestamp("2024-01-02")]


CASTS = [
    ("FP32", [1.5], "float64", [1.5]),
    ("FP64", [0.1], "float32", [np.float32(0.1)]),
    ("INT64", [3], "float64", [3.0]),
    ("INT64", [300], "int16", [300]),
    ("UINT8", [200], "int64", [200]),
]
REFUSED = [
    ("FP64", [1e300], "float32"),
    ("INT64", [2**53 + 1], "float64"),
    ("INT64", [300], "int8"),
    ("INT8", [-1], "uint8"),
    ("UINT64", [2**63], "int64"),
    ("FP64", [1.5], "int64"),
    ("BOOL", [True], "int64"),
    ("INT64", [1], "bool"),
    ("FP64", [1.0], "str"),
]


@pytest.mark.parametrize(("datatype", "values", "dtype", "expected"), CASTS)
def test_a_datatype_is_cast_where_nothing_but_precision_is_lost(datatype: str, values: Any, dtype: str, expected: Any):
    found = read(signature([tensor("x", dtype, -1)]), of("x", values, datatype))

    assert (found["x"].dtype.name, found["x"].tolist()) == (dtype, expected)


@pytest.mark.parametrize(("datatype", "values", "dtype"), REFUSED)
def test_a_datatype_that_would_change_a_value_is_refused_by_name(datatype: str, values: Any, dtype: str):
    with pytest.raises(SchemaMismatch, match="'x'"):
        read(signature([tensor("x", dtype, -1)]), of("x", values, datatype))


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ([of("a", [1.0]), of("nope", [1.0])], "nope"),
        ([of("a", [1.0]), of("a", [1.0])], "more than once"),
        ([of("a", [[1.0, 2.0]])], "'a'"),
        ([of("a", [1.0]), of("t", [b"\xff"], "BYTES")], "UTF-8"),
        ([of("a", [1.0, 2.0]), of("t", ["x"], "BYTES")], "different numbers of rows"),
        ([of("a", ["1"], "BYTES"), of("t", ["x"], "BYTES")], "'a'"),
        ([], "no inputs"),
    ],
)
def test_what_does_not_fit_columns_is_refused_in_words(tensors: list[Tensor], named: str):
    with pytest.raises(SchemaMismatch, match=named):
        read(signature([column("a"), column("t", "string")]), *tensors)


def test_a_shape_that_no_array_can_have_is_refused():
    with pytest.raises(MalformedBody):
        read(None, Tensor("x", "FP32", (0, 2**39, 2**39, 2**39), b""))
    with pytest.raises(MalformedBody):
        read(None, Tensor("x", "FP32", (1,) * 99, bytes(4)))


def test_one_long_text_among_many_does_not_multiply_a_body():
    texts = [b"a"] * 5000 + [b"b" * 5000]

    assert read(None, of("x", texts, "BYTES")).dtype == object


# ── what it returned


def written(output: Any, declared: Signature | None = None) -> dict[str, tuple[str, tuple[int, ...], Any]]:
    tensors, _ = decode_tensors(TensorWriter(declared).write(output))
    return {each.name: (each.datatype, each.shape, to_array(each).tolist()) for each in tensors}


class Odd:
    pass


OUTPUTS = [
    (np.array([[1.5], [2]], "f4"), {"output": ("FP32", (2, 1), [[1.5], [2]])}),
    (np.array([1, 2], ">i8"), {"output": ("INT64", (2,), [1, 2])}),
    (np.asfortranarray([[1, 2], [3, 4]]), {"output": ("INT64", (2, 2), [[1, 2], [3, 4]])}),
    (np.array(3.0), {"output": ("FP64", (1,), [3.0])}),
    (np.array([], "f2"), {"output": ("FP16", (0,), [])}),
    (np.array([True]), {"output": ("BOOL", (1,), [True])}),
    (np.array(["a", "é"]), {"output": ("BYTES", (2,), [b"a", "é".encode()])}),
    (np.array([1, 2], object), {"output": ("INT64", (2,), [1, 2])}),
    (np.array(["2024-01-02T03:04:05.500", "NaT"], "M8[ns]"), {"output": ("BYTES", (2,), [b"2024-01-02T03:04:05.5", b""])}),
    (np.longdouble(1.5), {"output": ("FP64", (1,), [1.5])}),
    ([1, 2], {"output": ("INT64", (2,), [1, 2])}),
    ([[1.5, 2], [3, 4]], {"output": ("FP64", (2, 2), [[1.5, 2], [3, 4]])}),
    ([[1, 2], [3]], {"output": ("BYTES", (2,), [b"[1, 2]", b"[3]"])}),
    ([2**70], {"output": ("BYTES", (1,), [str(2**70).encode()])}),
    ([True, None], {"output": ("BYTES", (2,), [b"true", b""])}),
    (["a", None], {"output": ("BYTES", (2,), [b"a", b""])}),
    ("text", {"output": ("BYTES", (1,), [b"text"])}),
    (None, {"output": ("BYTES", (1,), [b""])}),
    (7, {"output": ("INT64", (1,), [7])}),
    ([datetime.date(2024, 1, 2)], {"output": ("BYTES", (1,), [b"2024-01-02"])}),
    ([b"\xff"], {"output": ("BYTES", (1,), [b"\xff"])}),
    (
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        {"a": ("INT64", (2, 1), [[1], [2]]), "b": ("BYTES", (2, 1), [[b"x"], [b"y"]])},
    ),
    ([{"a": 1}, {"b": 2}], {"output": ("BYTES", (2,), [b'{"a": 1}', b'{"b": 2}'])}),
    ({"p": np.array([0.5]), "label": ["x"]}, {"p": ("FP64", (1,), [0.5]), "label": ("BYTES", (1,), [b"x"])}),
    ({"deep": {"k": [1, {}]}}, {"deep": ("BYTES", (1,), [b'{"k": [1, {}]}'])}),
    ([], {"output": ("FP64", (0,), [])}),
    ({}, {}),
    (
        pd.DataFrame({"a": [1, 2], "t": ["x", None]}),
        {"a": ("INT64", (2, 1), [[1], [2]]), "t": ("BYTES", (2, 1), [[b"x"], [b""]])},
    ),
    (pd.DataFrame([[1.0, 2.0]]), {"output-0": ("FP64", (1, 1), [[1]]), "output-1": ("FP64", (1, 1), [[2]])}),
    (pd.Series([1, 2]), {"output": ("INT64", (2, 1), [[1], [2]])}),
    (pd.Series(["x", "y"], dtype="category"), {"output": ("BYTES", (2, 1), [[b"x"], [b"y"]])}),
    (pd.Series([True, False], dtype="boolean"), {"output": ("BOOL", (2, 1), [[True], [False]])}),
    (
        pd.Series(pd.to_datetime(["2024-01-02"]).tz_localize("UTC")),
        {"output": ("BYTES", (1, 1), [[b"2024-01-02T00:00:00+00:00"]])},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("output", "expected"), OUTPUTS, ids=[str(i) for i in range(len(OUTPUTS))])
def test_whatever_a_model_returns_has_a_form(output: Any, expected: Any):
    assert expected == written(output)


def test_missing_numbers_are_nan():
    for output in ([1, None], pd.Series([1, None], dtype="Int64"), pd.Series([1.5, np.nan])):
        ((datatype, _, values),) = written(output).values()
        assert (datatype, np.isnan(np.ravel(values)).tolist()) == ("FP64", [False, True])


def test_outputs_are_called_as_the_signature_calls_them():
    assert list(written(np.zeros(2), signature(outputs=[tensor("y", "float64", -1)]))) == ["y"]
    assert list(written(pd.Series([1.0]), signature(outputs=[column("price")]))) == ["price"]
    assert list(written(np.zeros((3, 2)), signature(outputs=[column("a"), column("b")]))) == ["a", "b"]
    assert list(written({"z": [1]}, signature(outputs=[tensor("y", "float64", -1)]))) == ["z"]


@pytest.mark.parametrize("output", [Odd(), [Odd()], {"x": Odd()}, np.array([1j]), {1: 1, "1": 2}])
def test_what_has_no_form_is_said(output: Any):
    with pytest.raises(UnencodableOutput):
        TensorWriter(None).write(output)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_any_value_is_written_so_that_it_can_be_read(value: Any):
    """Or podium says why not."""
    try:
        tensors, _ = decode_tensors(TensorWriter(None).write(value))
    except PodiumError:
        return
    for each in tensors:
        assert to_array(each).shape == each.shape
