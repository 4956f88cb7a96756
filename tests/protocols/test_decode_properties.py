"""Laws of the codec over arbitrary bodies."""

import json
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    Param,
    Property,
    Signature,
    TensorSchema,
    TensorSpec,
)
from podium.errors import PodiumError
from podium.flavors.contract import RowIndependence
from podium.models.predictor import Predictor
from podium.protocols.mlflow.codec import decode, encode
from podium.protocols.mlflow.problems import problem

SECRET = "a-secret-4711"

OBJECT = ObjectType((Property("k", DataType.STRING), Property("n", DataType.LONG, required=False)))
COLUMN_TYPES = [*DataType, ArrayType(DataType.LONG), OBJECT, MapType(DataType.DOUBLE), AnyType(), ArrayType(OBJECT)]
SIGNATURES = [
    None,
    Signature(ColumnSchema((Column(DataType.STRING),)), is_from_type_hint=True),
    Signature(ColumnSchema((Column(DataType.DOUBLE), Column(DataType.LONG)))),
    Signature(TensorSchema((TensorSpec("float32", (-1, 2)),)), params=(Param("n", DataType.LONG, 1),)),
    Signature(TensorSchema((TensorSpec("int64", (-1,), "a"), TensorSpec("str", (-1,), "b")))),
    *(
        Signature(ColumnSchema((Column(kind, "a", required), Column(DataType.LONG, "b", required=False))))
        for kind in COLUMN_TYPES
        for required in (True, False)
    ),
]

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from([SECRET, "1", "x", "2024-01-02", "2024-01-02T03:04:05Z", f"12{SECRET}", "aGk="])
    | st.text(max_size=5)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "k", "n"]), inner, max_size=3),
    max_leaves=12,
)
# Names of columns are told in errors, so the secret is no name.
NAMES = VALUES.filter(lambda value: SECRET not in json.dumps(value))
SPLIT = st.fixed_dictionaries(
    {"data": VALUES | st.lists(st.lists(LEAVES, max_size=3), max_size=4)},
    optional={"columns": st.sampled_from([["a"], ["a", "b"], ["b", "a"], ["a", "a"], []]) | NAMES, "index": VALUES},
)
RECORDS = VALUES | st.lists(st.dictionaries(st.sampled_from(["a", "b"]), LEAVES), max_size=4)
BODIES = st.one_of(
    st.fixed_dictionaries({"dataframe_split": SPLIT}),
    st.fixed_dictionaries({"dataframe_records": RECORDS}),
    st.fixed_dictionaries({"inputs": VALUES}, optional={"params": VALUES}),
    st.fixed_dictionaries({"instances": VALUES}),
    st.dictionaries(st.sampled_from(["inputs", "instances", "dataframe_split", "prompt", "params", "x"]), VALUES),
    VALUES,
)


class Echo:
    native = None

    def predict(self, data: Any, params: Any = None) -> Any:
        return data


def served(body: bytes, content_type: str | None, signature: Signature | None) -> tuple[int, bytes]:
    """The whole way of a request; whatever is raised beside PodiumError fails the test."""
    predictor = Predictor(Echo(), signature, "x", RowIndependence(False, ""), {})
    try:
        request = decode(body, content_type, signature)
        return 200, encode(predictor.predict(request.data, request.params), request.is_enveloped)
    except PodiumError as error:
        return problem(error).status, problem(error).body


@given(st.binary(), st.sampled_from(["application/json", "text/csv", "application/vnd.apache.parquet", "x", None]))
def test_no_bytes_raise_anything_but_podiums_errors(body: bytes, content_type: str | None) -> None:
    """Each is answered with 200, 400 or 415."""
    status, _ = served(body, content_type, None)

    assert status in {200, 400, 415}


@given(BODIES, st.sampled_from(SIGNATURES))
def test_no_json_raises_anything_but_podiums_errors_which_quote_one_scalar_at_most(body: Any, signature: Any) -> None:
    """Whatever the signature: no crash, no 500, and one value of the request in an error at most."""
    status, answer = served(json.dumps(body).encode(), "application/json", signature)

    # A table with several rows of names has no form in JSON, once it got through to a model that returns it.
    assert status in {200, 400} or b"keys must be" in answer
    assert status == 200 or answer.count(SECRET.encode()) <= 1


CELL = st.sampled_from(["", "1", "1.5", "x", SECRET, "2024-01-02", "true", "NaN", '"', "a,b"])


@given(st.lists(st.lists(CELL, min_size=1, max_size=3), max_size=4), st.sampled_from(SIGNATURES))
def test_no_csv_raises_anything_but_podiums_errors_which_quote_one_scalar_at_most(rows: Any, signature: Any) -> None:
    """Likewise for tables, whole or broken."""
    text = "a,b\n" + "\n".join(",".join(row) for row in rows)

    status, answer = served(text.encode(), "text/csv", signature)

    assert status in {200, 400}
    assert status == 200 or answer.count(SECRET.encode()) <= 1


@given(st.lists(st.floats(allow_nan=False), min_size=1) | st.lists(st.integers(-(2**53), 2**53), min_size=1))
def test_numbers_survive_the_way_in_and_out(values: list[float]) -> None:
    """Decoded as inputs and encoded again they are the same JSON."""
    request = decode(json.dumps({"inputs": values}).encode(), "application/json", None)

    assert json.dumps({"predictions": values}).encode() == encode(request.data)


@given(
    st.lists(st.tuples(st.floats(width=32), st.integers(-(2**31), 2**31 - 1), st.text(max_size=5)), min_size=1, max_size=5)
)
def test_split_records_and_inputs_give_the_model_the_same_frame(rows: list[tuple[Any, ...]]) -> None:
    """Three spellings of one table are one table."""
    schema = ColumnSchema((Column(DataType.FLOAT, "f"), Column(DataType.INTEGER, "i"), Column(DataType.STRING, "s")))
    # numpy ends a text at trailing NULs, and no frame holds half a surrogate pair.
    rows = [(f, i, s.replace("\0", "").encode("utf-8", "ignore").decode()) for f, i, s in rows]
    signature = Signature(schema)
    predictor = Predictor(Echo(), signature, "x", RowIndependence(False, ""), {})
    bodies = [
        {"dataframe_split": {"columns": ["f", "i", "s"], "data": rows}},
        {"dataframe_records": [dict(zip("fis", row, strict=True)) for row in rows]},
        {"inputs": dict(zip("fis", map(list, zip(*rows, strict=True)), strict=True))},
    ]

    frames = [predictor.predict(decode(json.dumps(body).encode(), "application/json", signature).data) for body in bodies]

    assert [
        ["str" if dtype in ("str", "object") else str(dtype) for dtype in map(str, frame.dtypes)] for frame in frames
    ] == [["float32", "int32", "str"]] * 3
    for frame in frames:
        assert np.array_equal(np.array([row[0] for row in rows], dtype=np.float32), frame["f"], equal_nan=True)
        assert [list(row[1:]) for row in rows] == frame[["i", "s"]].to_numpy().tolist()
