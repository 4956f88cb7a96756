"""Which signatures have an input plan, what its records are, and which JSON is one."""

import json
from typing import Any

import pytest

from podium.domain.inputs.plan import BrokenPlan, Field, InputPlan, plan_for
from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    Param,
    Signature,
    TensorSchema,
    TensorSpec,
)


def columns(*entries: Column) -> Signature:
    return Signature(ColumnSchema(entries))


def tensors(*entries: TensorSpec) -> Signature:
    return Signature(TensorSchema(entries))


@pytest.mark.parametrize(
    "signature",
    [
        None,
        Signature(),
        Signature(ColumnSchema((Column(DataType.STRING),)), is_from_type_hint=True),
        columns(Column(DataType.DOUBLE)),
        columns(Column(DataType.DOUBLE, 0)),
        *(columns(Column(DataType.LONG, "a"), Column(kind, "b")) for kind in (
            DataType.DATETIME, DataType.BINARY, ArrayType(DataType.LONG), MapType(DataType.LONG), AnyType(),
        )),
        columns(Column(DataType.DOUBLE, "\ud800")),
        columns(*(Column(DataType.DOUBLE, str(i)) for i in range(5000))),
        tensors(TensorSpec("float64", ())),
        tensors(TensorSpec("float64", (3, 2))),
        tensors(TensorSpec("float64", (-1, -1))),
        tensors(TensorSpec("float64", (-1, 0))),
        tensors(TensorSpec("float64", (-1, 2**40))),
        *(tensors(TensorSpec(dtype, (-1, 2))) for dtype in ("str", "object", "datetime64[ns]", "complex64", ">f8")),
        tensors(TensorSpec("float64", (-1, 2), "x"), TensorSpec("str", (-1,), "y")),
    ],
    ids=str,
)  # fmt: skip
def test_inputs_without_rows_of_one_size_have_no_plan(signature: Signature | None) -> None:
    """Nor do names that are none, and more of them than anybody sends."""
    assert plan_for(signature) is None


def test_a_record_puts_the_largest_types_first_and_texts_beside() -> None:
    """So that columns of one type are one piece of memory; an optional column is in it too."""
    kinds = ["boolean", "string", "float", "double", "string", "integer", "long", "double"]
    plan = plan_for(columns(*(Column(DataType(kind), f"c{i}", i % 2 == 0) for i, kind in enumerate(kinds))))

    assert plan is not None
    assert plan.record == (3, 7, 6, 2, 5, 0)
    assert plan.texts == (1, 4)
    assert (plan.record_bytes, plan.texts_per_row) == (8 + 8 + 8 + 4 + 4 + 1, 2)


def test_tensors_keep_their_order() -> None:
    """Each is one piece of a record; params do not matter, for their defaults are the worker's."""
    inputs = TensorSchema((TensorSpec("bool", (-1,), "a"), TensorSpec("float32", (-1, 2, 3), "b")))
    plan = plan_for(Signature(inputs, params=(Param("n", DataType.LONG, 1),)))

    assert plan == InputPlan("tensors", (Field("a", "bool"), Field("b", "float32", (2, 3))))
    assert (plan.record_bytes, plan.texts_per_row) == (25, 0)


@pytest.mark.parametrize(
    "signature",
    [
        columns(Column(DataType.DOUBLE, "a"), Column(DataType.STRING, "é", required=False)),
        tensors(TensorSpec("uint8", (-1, 28, 28))),
        tensors(TensorSpec("float16", (-1,), "x")),
    ],
)
def test_a_plan_survives_its_journey(signature: Signature) -> None:
    plan = plan_for(signature)
    assert plan is not None

    assert plan == InputPlan.from_json(json.loads(json.dumps(plan.to_json())))


FIELD = {"name": "a", "type": "double", "shape": []}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": "columns"},
        {"kind": "columns", "fields": [FIELD], "more": 1},
        {"kind": "columns", "fields": FIELD},
        {"kind": "columns", "fields": []},
        {"kind": ["columns"], "fields": [FIELD]},
        {"kind": "rows", "fields": [FIELD]},
        {"kind": "tensor", "fields": [FIELD]},
        {"kind": "tensors", "fields": [FIELD]},
        {"kind": "columns", "fields": [FIELD, FIELD]},
        {"kind": "columns", "fields": [None]},
        {"kind": "columns", "fields": [{**FIELD, "x": 1}]},
        {"kind": "columns", "fields": [{**FIELD, "name": None}]},
        {"kind": "columns", "fields": [{**FIELD, "name": 1}]},
        {"kind": "columns", "fields": [{**FIELD, "type": "binary"}]},
        {"kind": "columns", "fields": [{**FIELD, "type": []}]},
        {"kind": "columns", "fields": [{**FIELD, "shape": [2]}]},
        {"kind": "columns", "fields": [{**FIELD, "name": str(i)} for i in range(5000)]},
        {"kind": "tensors", "fields": [{**FIELD, "type": "float64", "shape": [-1]}]},
        {"kind": "tensors", "fields": [{**FIELD, "type": "float64", "shape": [2**30, 2**30]}]},
        {"kind": "tensors", "fields": [{**FIELD, "type": "float64", "shape": [True]}]},
        {"kind": "tensors", "fields": [{**FIELD, "type": "float64", "shape": [1] * 99}]},
    ],
)  # fmt: skip
def test_json_that_is_no_plan_is_refused(data: Any) -> None:
    """It comes from a worker, where a stranger's code runs."""
    with pytest.raises(BrokenPlan):
        InputPlan.from_json(data)
