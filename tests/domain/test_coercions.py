"""What is told of a signature's conversions is what the codec and the enforcer did, cell by cell."""

import contextlib
import datetime
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from podium.domain.inputs.coercions import LEFT_OUT, MOST, coercions
from podium.domain.signature import ArrayType, Column, ColumnSchema, DataType, Signature, TensorSchema, TensorSpec
from podium.errors import PodiumError
from podium.models.enforce import InputEnforcer
from podium.protocols.mlflow.codec import decode

VALUES: list[list[Any]] = [
    [True, False],
    [1, 0, 7],
    [0.5, 3.0, 0.1],
    ["7", "1", "aGk="],
    ["2024-01-02", "2024-01-02T03:04:05"],
    ["x", ""],
]
FORMS = {
    "dataframe_split": lambda values: {"columns": ["a"], "data": [[each] for each in values]},
    "dataframe_records": lambda values: [{"a": each} for each in values],
    "inputs": lambda values: {"a": values},
    "instances": lambda values: [{"a": each} for each in values],
}


def cells(schema: Any, body: dict[str, Any]) -> list[Any]:
    """What the model gets of column a."""
    decoded = decode(json.dumps(body).encode(), "application/json", Signature(schema)).data
    column = InputEnforcer(schema).enforce(decoded)["a"]
    return list(column)


def is_changed(sent: Any, taken: Any) -> bool:
    if isinstance(taken, str | bytes | np.bytes_ | np.datetime64 | datetime.datetime):
        return not (isinstance(taken, str) and isinstance(sent, str) and str(taken) == sent)
    value = taken.item() if isinstance(taken, np.generic) else taken
    return type(value) is not type(sent) or value != sent


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(list(DataType)),
    form=st.sampled_from(list(FORMS)),
    values=st.sampled_from(VALUES).flatmap(lambda some: st.lists(st.sampled_from(some), min_size=1, max_size=3)),
)
def test_as_many_values_are_told_as_the_codec_and_the_enforcer_changed(kind, form, values):
    schema = ColumnSchema((Column(kind, "a"),))
    body = {form: FORMS[form](values)}
    try:
        got = cells(schema, body)
    except PodiumError:
        assume(False)

    told = coercions(body, schema)

    assert told is not None
    changed = sum(is_changed(sent, taken) for sent, taken in zip(values, got, strict=True))
    assert sum(each.values for each in told) == changed, (values, got, told)
    assert {each.taken for each in told} <= {kind.value}


def test_the_same_holds_of_tensors():
    held = 0
    for dtype in ("float32", "float64", "int64", "int8", "bool", "str"):
        schema = TensorSchema((TensorSpec(dtype, (-1,), "a"),))
        for values in VALUES:
            body = {"inputs": {"a": values}}
            with contextlib.suppress(PodiumError):
                got = cells(schema, body)
                found = coercions(body, schema)
                changed = sum(is_changed(sent, taken) for sent, taken in zip(values, got, strict=True))
                assert sum(each.values for each in found or ()) == changed, (dtype, values, got, found)
                held += 1

    assert held == 24  # the others have no form in such a tensor


def told(body: Any, *columns: Column) -> list[tuple[str, str, str, int]] | None:
    found = coercions(body, ColumnSchema(columns))
    return None if found is None else [(each.column, each.sent, each.taken, each.values) for each in found]


def test_from_what_to_what_is_told_by_column_and_kind():
    body = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, "3", 0], ["2", 4, 0], [1.5, "5", 0]]}}

    assert told(body, Column(DataType.DOUBLE, "a"), Column(DataType.LONG, "b")) == [
        ("a", "long", "double", 1),
        ("b", "string", "long", 2),
        ("c", "long", LEFT_OUT, 3),
        ("a", "string", "double", 1),
    ]


def test_a_number_that_has_no_place_in_32_bits_was_rounded():
    assert told({"inputs": {"a": [0.5, 0.1]}}, Column(DataType.FLOAT, "a")) == [("a", "double", "float", 1)]


def test_null_is_told_where_a_value_was_made_of_it():
    a, b = Column(DataType.BOOLEAN, "a"), Column(DataType.DOUBLE, "b")
    assert told({"dataframe_records": [{"a": None, "b": None}]}, a, b) == [("a", "null", "boolean", 1)]


def test_a_tensor_of_the_open_inference_protocol_goes_by_its_datatype():
    tensor = {"name": "a", "datatype": "INT64", "shape": [2, 1], "data": [1, 2]}
    assert told({"inputs": [tensor]}, Column(DataType.DOUBLE, "a")) == [("a", "INT64", "double", 2)]
    assert told({"inputs": [tensor]}, Column(DataType.LONG, "a")) == []
    assert told({"inputs": [{**tensor, "name": "input-0"}]}, Column(DataType.DOUBLE)) == [("input-0", "INT64", "double", 2)]


def test_rows_without_names_go_by_their_places():
    assert told({"instances": [[1, 2], [3, 4]]}, Column(DataType.LONG), Column(DataType.DOUBLE)) == [
        ("1", "long", "double", 2)
    ]


def test_lists_and_objects_are_not_looked_into():
    assert told({"inputs": {"a": [[1, "2"]]}}, Column(ArrayType(DataType.DOUBLE), "a")) == []


@pytest.mark.parametrize("body", [None, [], "x", {}, {"messages": []}, {"inputs": [1, {"a": 1}]}, {"inputs": 3}])
def test_a_body_without_columns_says_nothing(body):
    assert told(body, Column(DataType.LONG, "a")) is None


def test_what_is_told_is_bounded():
    body = {"dataframe_records": [{f"x{i}" + "y" * 500: 1 for i in range(3 * MOST)}]}
    found = told(body, Column(DataType.LONG, "a"))

    assert found is not None
    assert len(found) == MOST
    assert max(len(name) for name, *_ in found) == 200
