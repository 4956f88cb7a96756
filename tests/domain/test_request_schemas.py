"""What a signature's JSON Schema says is what the reference codec and the enforcer do: value by value, and whole bodies."""

import json

import pytest

from podium.domain.dialect import Dialect
from podium.domain.inputs.request_schemas import csv_schema, instances_schema, invocation_schema
from podium.domain.inputs.tensor_schemas import tensors_schema
from podium.domain.signature import (
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    ObjectType,
    Param,
    Property,
    Signature,
    TensorSchema,
    TensorSpec,
)
from podium.errors import PodiumError
from podium.models.enforce import InputEnforcer
from podium.models.enforce_params import ParamsEnforcer
from podium.protocols.mlflow.codec import Codec

jsonschema_rs = pytest.importorskip("jsonschema_rs")

_OBJECT = ObjectType((Property("x", DataType.STRING), Property("y", DataType.BOOLEAN, required=False)))
SIGNATURES = {
    "columns": Signature(
        ColumnSchema((
            Column(DataType.DOUBLE, "a"),
            Column(DataType.LONG, "b"),
            Column(DataType.INTEGER, "c", required=False),
        )),
        params=(Param("k", DataType.DOUBLE, 1.0), Param("on", DataType.BOOLEAN, False)),
    ),
    "nested": Signature(ColumnSchema((Column(ArrayType(DataType.STRING), "tags"), Column(_OBJECT, "o")))),
    "nameless": Signature(ColumnSchema((Column(DataType.DOUBLE), Column(DataType.DOUBLE)))),
    "tensor": Signature(TensorSchema((TensorSpec("float32", (-1, 2)),))),
    "bytes": Signature(TensorSchema((TensorSpec("uint8", (-1, 1, 2)),))),
    "named": Signature(TensorSchema((TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "n")))),
}  # fmt: skip
_VALUES = [0, 1, -1, 1.5, 2**31, 2**63, -(2**63), True, "7", "1.5", "abc", "", [], [1], {}]
_ROWS = [{"a": a, "b": b} for a in _VALUES for b in _VALUES]
_BODIES = {
    "columns": [
        *({"dataframe_records": [row]} for row in _ROWS),
        *({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1.0, each, None]]}} for each in _VALUES),
        {"dataframe_records": [{"a": 1.0}]},
        {"dataframe_records": [{"a": 1.0, "b": 1, "more": [1, {}]}]},
        {"dataframe_records": [{"a": 1.0, "b": 1, "c": None}]},
        {"dataframe_records": [{"a": 1.0, "b": None}]},
        {"dataframe_records": []},
        {"dataframe_records": {}},
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0]]}},
        {"dataframe_split": {"data": [[1.0, 1, 1]]}},
        {"inputs": [{"a": 1.0, "b": 1}], "dataframe_records": [{"a": 1.0, "b": 1}]},
        {"something": 1},
        {},
        *({"dataframe_records": [{"a": 1.0, "b": 1}], "params": each} for each in (None, {}, 1, [], {"k": 2}, {"k": "x"})),
        *({"dataframe_records": [{"a": 1.0, "b": 1}], "params": {"on": each}} for each in (True, None, 0, "x")),
    ],
    "nested": [
        *({"dataframe_records": [{"tags": tags, "o": {"x": "t"}}]} for tags in ([], ["a"], [1], "a", None, {})),
        *(
            {"dataframe_records": [{"tags": [], "o": o}]}
            for o in ({}, {"x": 1}, {"x": "t", "y": True}, {"x": "t", "z": 1}, [])
        ),
    ],
    "nameless": [{"dataframe_split": {"data": data}} for data in ([[1, 2]], [[1.5, "2"]], [[1]], [[1, "x"]], [1], {})],
    "tensor": [{"inputs": data} for data in ([[1, 2]], [[1, 2], [3, "4"]], [[1]], [1, 2], [[[1, 2]]], [["a", 1]], {}, "x")],
    "bytes": [{"instances": data} for data in ([[[0, 255]]], [[[0, 256]]], [[[-1, 0]]], [[0, 1]], [[["7", True]]])],
    "named": [
        {"inputs": data}
        for data in ({"x": [[1, 2]], "n": [1]}, {"x": [[1, 2]]}, {"x": [[1]], "n": [1]}, {"x": [[1, 2]], "n": [1], "z": 3})
    ],
}
# What the document narrows on purpose: null in a required column of numbers, which becomes NaN; text of more digits.
_NARROWED = [{"dataframe_records": []}]


def is_taken(signature, body, is_strict):
    """Whether the reference decodes it and the signature is met."""
    dialect = Dialect(mode="strict" if is_strict else "compat")
    try:
        decoded = Codec(signature, dialect).decode(json.dumps(body).encode(), "application/json")
        InputEnforcer(signature.inputs, dialect).enforce(decoded.data)
        ParamsEnforcer(signature.params, dialect).enforce(decoded.params)
    except PodiumError:
        return False
    return True


@pytest.mark.parametrize("is_strict", [False, True], ids=["compat", "strict"])
@pytest.mark.parametrize("name", SIGNATURES)
def test_the_schema_takes_what_the_server_takes(name, is_strict):
    """And refuses what it refuses; an empty table is left to the model."""
    signature = SIGNATURES[name]
    schema = jsonschema_rs.Draft202012Validator(invocation_schema(signature, is_strict))

    odd = [
        (body, said, taken)
        for body in _BODIES[name]
        if body not in _NARROWED
        and (said := schema.is_valid(body)) != (taken := is_taken(signature, body, is_strict))
    ]  # fmt: skip

    assert odd == []


def test_instances_are_records_or_lists_in_the_order_of_the_columns():
    """A record may lack what is optional, as its neighbour need not; a list has all."""
    schema = jsonschema_rs.Draft202012Validator(instances_schema(SIGNATURES["columns"], is_strict=False))

    assert schema.is_valid({"instances": [{"a": 1, "b": 2, "z": 3}]})
    assert schema.is_valid({"instances": [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}]})
    assert schema.is_valid({"instances": [{"a": 1, "b": 2, "z": 3}, {"a": 1, "b": 2}]})
    assert not schema.is_valid({"instances": [{"a": 1, "b": 2}, {"a": 1}]})
    assert schema.is_valid({"instances": [[1, 2, 3]]})
    assert not schema.is_valid({"instances": [[1, 2]]})


def test_texts_of_a_type_hint_are_texts():
    """Of other hints nothing is known but that it is a list."""
    texts, numbers = (
        Signature(ColumnSchema((Column(kind, None),)), is_from_type_hint=True) for kind in (DataType.STRING, DataType.LONG)
    )
    valid, any_valid = (
        jsonschema_rs.Draft202012Validator(invocation_schema(s, is_strict=False)).is_valid for s in (texts, numbers)
    )
    tensors = jsonschema_rs.Draft202012Validator(tensors_schema(texts)).is_valid
    entry = {"name": "x", "shape": [1], "data": ["a"]}

    assert (valid({"inputs": ["a"]}), valid({"inputs": [1]}), any_valid({"inputs": [1]})) == (True, False, True)
    assert tensors({"inputs": [{**entry, "datatype": "BYTES"}]})
    assert not tensors({"inputs": [{**entry, "datatype": "INT64", "data": [1]}]})


def test_nested_values_and_times_are_texts_of_their_own_in_tensors():
    """As the server reads them: JSON, and a date and time."""
    kind = ObjectType(
        (Property("age", DataType.LONG), Property("tags", ArrayType(DataType.STRING)), Property("n", DataType.LONG, False))
    )
    schema = tensors_schema(Signature(ColumnSchema((Column(kind, "who"), Column(DataType.DATETIME, "when")))))
    valid = jsonschema_rs.Draft202012Validator(schema).is_valid

    def asked(who, when="2020-01-01T00:00:00"):
        told = (("who", who), ("when", when))
        return {"inputs": [{"name": n, "datatype": "BYTES", "shape": [1, 1], "data": [v]} for n, v in told]}

    assert valid(asked('{"age": 7, "tags": ["a", "b"]}'))
    assert not valid(asked("x"))
    assert not valid(asked('{"age": 7, "tags": []}', "yesterday"))


def test_tensors_are_of_one_row():
    """Each input by name and type; an optional one at the end may be left out."""
    schema = jsonschema_rs.Draft202012Validator(tensors_schema(SIGNATURES["columns"]))
    a, b = ({"name": n, "datatype": t, "shape": [1, 1], "data": [1]} for n, t in (("a", "FP64"), ("b", "INT64")))

    assert schema.is_valid({"inputs": [a, b]})
    assert not schema.is_valid({"inputs": [a]})
    assert not schema.is_valid({"inputs": [a, {**b, "datatype": "FP64"}]})
    assert not schema.is_valid({"inputs": [a, {**b, "data": [1, 2]}]})


def test_csv_is_text_with_the_signatures_header():
    """A name with a comma in it has no such text, and neither have nested types."""
    schema = csv_schema(Signature(ColumnSchema((Column(DataType.DOUBLE, "a (cm)"), Column(DataType.LONG, "b", False)))))

    assert schema is not None
    valid = jsonschema_rs.Draft202012Validator(schema).is_valid
    assert valid("a (cm),b\n1.5,2\n3,\n")
    assert not valid("a (cm),b\nx,2\n")
    assert not valid("a (cm),b\n")
    assert csv_schema(SIGNATURES["nested"]) is None
    assert csv_schema(Signature(ColumnSchema((Column(DataType.LONG, "a,b"),)))) is None
