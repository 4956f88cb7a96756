"""What is monitored of a batch: the same columns and answers whatever it is made of."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from podium.domain.monitoring.batches import answers_of, columns_of, inputs_of, rows_at, rows_in
from podium.domain.monitoring.features import features_of
from podium.domain.signature import TensorSchema, TensorSpec

VALUES = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
UNNAMED = features_of(TensorSchema((TensorSpec("float64", (-1, 2), None),)))


def listed(columns):
    return {name: np.asarray(values).tolist() for name, values in columns.items()}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(VALUES, id="array"),
        pytest.param(torch.tensor(VALUES, requires_grad=True), id="tensor"),
        pytest.param(scipy.sparse.csr_matrix(VALUES), id="sparse"),
        pytest.param(VALUES.tolist(), id="lists"),
    ],
)
@pytest.mark.parametrize("features", [UNNAMED, None], ids=["by a signature", "as it is"])
def test_a_row_s_elements_are_columns(data, features):
    assert listed(columns_of(data, features)) == {"0": [1, 3, 5], "1": [2, 4, 6]}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(pd.DataFrame({"a": [1, 2], 7: ["x", "y"]}), id="frame"),
        pytest.param({"a": np.array([1, 2]), "7": np.array(["x", "y"])}, id="dict"),
        pytest.param([{"a": 1, "7": "x"}, {"a": 2, "7": "y"}], id="records"),
    ],
)
def test_columns_go_by_their_names(data):
    assert listed(inputs_of(data)) == {"a": [1, 2], "7": ["x", "y"]}


def test_a_named_tensor_s_elements_are_named_by_both():
    found = columns_of({"x": np.arange(6).reshape(1, 2, 3), "y": np.array([1.5])}, None)

    assert list(found) == ["x[0,0]", "x[0,1]", "x[0,2]", "x[1,0]", "x[1,1]", "x[1,2]", "y"]


def test_a_record_that_lacks_a_column_has_no_value_in_it():
    assert listed(inputs_of([{"a": 1}, {"b": 2}])) == {"a": [1, None], "b": [None, 2]}


@pytest.mark.parametrize("data", ["text", 7, None, object(), {"a": 1}], ids=["text", "number", "none", "object", "record"])
def test_what_has_no_rows_has_no_columns(data):
    assert inputs_of(data) == {}


def test_what_is_too_wide_is_not_unpacked():
    """A text's words as a sparse matrix of a million columns."""
    assert columns_of(scipy.sparse.csr_matrix((3, 1_000_000)), None) == {}
    assert columns_of(np.zeros((2, 201)), None) == {}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(np.array([1, 2]), id="array"),
        pytest.param(np.array([[1], [2]]), id="one column"),
        pytest.param(pd.DataFrame({"whatever": [1, 2]}), id="frame"),
        pytest.param(pd.Series([1, 2]), id="series"),
        pytest.param([1, 2], id="list"),
        pytest.param({"out": np.array([[1], [2]])}, id="dict"),
        pytest.param(torch.tensor([1, 2]), id="tensor"),
        pytest.param([{"prediction": 1, "note": "a"}, {"prediction": 2, "note": "b"}], id="records"),
    ],
)
def test_one_value_in_each_row_is_what_the_model_told(answer):
    found = answers_of(answer)

    assert np.asarray(found.told).tolist() == [1, 2]
    assert (found.score, found.reason) == (None, None)


@pytest.mark.parametrize(
    ("answer", "told", "score"),
    [
        pytest.param(np.array([[0.9, 0.1], [0.2, 0.8]]), [0, 1], [0.1, 0.8], id="two classes: that of the second"),
        pytest.param(np.array([[0.7, 0.2, 0.1]], np.float32), [0], [0.7], id="three: the highest"),
        pytest.param(pd.DataFrame({"no": [0.9, 0.2], "yes": [0.1, 0.8]}), [0, 1], [0.1, 0.8], id="columns"),
        pytest.param(
            {"output_label": np.array([1, 0]), "output_probability": [{0: 0.25, 1: 0.75}, {0: 1.0, 1: 0.0}]},
            [1, 0],
            [0.75, 0],
            id="as skl2onnx has them",
        ),
        pytest.param(pd.DataFrame({"label": ["a", "b"], "score": [0.5, 0.75]}), ["a", "b"], [0.5, 0.75], id="named"),
    ],
)
def test_probabilities_are_a_class_and_a_score(answer, told, score):
    found = answers_of(answer)

    assert np.asarray(found.told).tolist() == told
    assert np.asarray(found.score).tolist() == pytest.approx(score)


def test_a_row_that_is_no_distribution_is_missing():
    """One that failed among others that did not."""
    found = answers_of(np.array([[0.5, 0.5], [np.nan, np.nan], [3.0, 4.0]]))

    assert np.isnan(found.told).tolist() == np.isnan(found.score).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.zeros((2, 3)), "3 values in each row, and they are no probabilities"),
        (np.zeros((2, 3), int), "3 values in each row"),
        ([[1, 2], [3]], "lists or objects"),
        (pd.DataFrame({"mean": [1.5], "sigma": [3.5]}), "2 columns ('mean', 'sigma'), none of them named prediction"),
        ("text", "it answers str"),
        (None, "it answers NoneType"),
    ],
)
def test_other_answers_are_not_monitored_and_it_is_said_why(answer, says):
    found = answers_of(answer)

    assert says in found.reason
    assert found.by_kind() == {}


@pytest.mark.parametrize(
    "data",
    [VALUES, pd.DataFrame(VALUES), {"x": VALUES}, VALUES.tolist(), torch.tensor(VALUES), scipy.sparse.csr_matrix(VALUES)],
    ids=["array", "frame", "dict", "list", "tensor", "sparse"],
)
def test_rows_are_taken_out_of_any_of_them(data):
    assert rows_in(data) == 3
    assert rows_in(rows_at(data, slice(1, 3))) == 2
    assert rows_in(rows_at(data, np.array([2]))) == 1
