"""Which inputs of a model are monitored, by its signature."""

import numpy as np
import pytest

from podium.domain.monitoring.features import Feature, features_of
from podium.domain.signature import (
    AnyType,
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    MapType,
    ObjectType,
    SparkVectorType,
    TensorSchema,
    TensorSpec,
)


def test_columns_of_one_value_are_monitored_and_others_say_why_not():
    schema = ColumnSchema(
        (
            Column(DataType.DOUBLE, "age"),
            Column(DataType.STRING, "plan", required=False),
            Column(ArrayType(DataType.DOUBLE), "history"),
            Column(ObjectType(()), "address"),
            Column(MapType(DataType.STRING), "tags"),
            Column(AnyType(), "extra"),
            Column(SparkVectorType(), "vector"),
        )
    )

    features = features_of(schema)

    assert features.columns == (Feature("age", "double", "age"), Feature("plan", "string", "plan"))
    assert features.left_out["history"] == "holds array values, not one in each row"
    assert set(features.left_out) == {"history", "address", "tags", "extra", "vector"}


def test_columns_without_names_go_by_their_places():
    schema = ColumnSchema((Column(DataType.DOUBLE), Column(DataType.LONG)))

    assert [feature.name for feature in features_of(schema).columns] == ["0", "1"]


@pytest.mark.parametrize(
    ("tensor", "names"),
    [
        (TensorSpec("float64", (-1, 3)), ["0", "1", "2"]),
        (TensorSpec("float64", (-1, 2), "x"), ["x[0]", "x[1]"]),
        (TensorSpec("float32", (-1, 2, 2), "x"), ["x[0,0]", "x[0,1]", "x[1,0]", "x[1,1]"]),
        (TensorSpec("str", (-1,), "x"), ["x"]),
        (TensorSpec("str", (-1,)), ["0"]),
        (TensorSpec("float64", (-1, 0)), []),
        (TensorSpec("float64", (-1, 200)), [str(i) for i in range(200)]),
        (TensorSpec("float64", (-1, 201)), "201 values in each row; up to 200 are monitored"),
        (TensorSpec("float64", (-1, -1)), "shape [-1, -1] varies within a row"),
        (TensorSpec("float64", (4, 2)), "shape [4, 2] has no axis of rows"),
        (TensorSpec("float64", ()), "shape [] has no axis of rows"),
    ],
    ids=str,
)
def test_a_tensor_s_elements_are_columns_up_to_a_bound(tensor, names):
    features = features_of(TensorSchema((tensor,)))

    if isinstance(names, str):
        assert features.left_out == {tensor.name or "": names}
    else:
        assert [feature.name for feature in features.columns] == names


def test_elements_are_taken_out_of_tensors():
    schema = TensorSchema(
        (TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "n"), TensorSpec("int64", (-1,), "m"))
    )

    taken = features_of(schema).taken_from({"x": np.arange(6).reshape(3, 2), "n": [7, 8, 9]})

    assert {name: list(values) for name, values in taken.items()} == {"x[0]": [0, 2, 4], "x[1]": [1, 3, 5], "n": [7, 8, 9]}


def test_the_only_tensor_needs_no_name():
    taken = features_of(TensorSchema((TensorSpec("float64", (-1, 2)),))).taken_from({None: [[1, 2], [3, 4]]})

    assert {name: values.tolist() for name, values in taken.items()} == {"0": [1, 3], "1": [2, 4]}


@pytest.mark.parametrize(("left_out", "names"), [(["x"], ["n"]), (["x[1]"], ["x[0]", "n"])])
def test_inputs_and_elements_may_be_left_out(left_out, names):
    schema = TensorSchema((TensorSpec("float64", (-1, 2), "x"), TensorSpec("int64", (-1,), "n")))

    features = features_of(schema, left_out)

    assert [feature.name for feature in features.columns] == names
    assert features.left_out == {left_out[0]: "left out on request"}


def test_columns_are_bounded_in_number_and_name():
    schema = ColumnSchema((*(Column(DataType.DOUBLE, f"c{i}") for i in range(1200)), Column(DataType.DOUBLE, "n" * 201)))

    features = features_of(schema)

    assert len(features.columns) == len(features.left_out) == 500
    assert features.left_out["c500"] == "beyond the 500 columns that are monitored"
    assert features_of(ColumnSchema((Column(DataType.DOUBLE, "n" * 201),))).left_out == {
        "n" * 200: "its name has 201 characters; up to 200 are taken"
    }
