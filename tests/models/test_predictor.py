"""A loaded model and its signature: what it is called with, and what is said when it fails."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.domain.signature import Column, ColumnSchema, DataType, Param, Signature, TensorSchema, TensorSpec
from podium.errors import InvalidParams, MissingDependency, PredictFailed, SchemaMismatch
from podium.flavors.contract import RowIndependence
from podium.models.predictor import Predictor

AS = Signature(
    ColumnSchema((Column(DataType.DOUBLE, "a"), Column(DataType.STRING, "s"), Column(DataType.LONG, "o", required=False)))
)


class Recording:
    """Answers with its name and remembers what it was called with."""

    native = None

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self._error = error

    def predict(self, data: Any, params: Any = None) -> Any:
        self.calls.append((data, params))
        if self._error is not None:
            raise self._error
        return "answer"


def predictor(signature: Signature | None, loaded: Recording | None = None) -> Predictor:
    return Predictor(
        loaded or Recording(), signature, "python_function", RowIndependence(False, "a test's"), {"run_id": "r"}
    )


def test_the_model_sees_the_signatures_columns_in_their_order() -> None:
    """Extra columns are dropped, absent optional ones stay absent, the index is kept."""
    loaded = Recording()
    data = pd.DataFrame({"zz": [9], "s": ["q"], "a": [1.0]}, index=["row"])

    assert predictor(AS, loaded).predict(data) == "answer"

    pd.testing.assert_frame_equal(pd.DataFrame({"a": [1.0], "s": ["q"]}, index=["row"]), loaded.calls[0][0])


def test_a_frame_that_fits_is_handed_over_as_it_is() -> None:
    """No copy of what need not change."""
    signature = Signature(ColumnSchema((Column(DataType.DOUBLE, "a"),)))
    data = pd.DataFrame({"a": [1.0]})

    assert predictor(signature).enforce(data)[0] is data


def test_without_a_signature_everything_passes_as_it_comes() -> None:
    """Data of any form; params are dropped, for no schema names any."""
    data = object()

    assert (data, {}) == predictor(None).enforce(data, {"x": 1})
    assert (data, None) == predictor(None).enforce(data, None)


def test_a_signature_from_a_type_hint_leaves_the_data_to_the_model() -> None:
    """Its own predict() checks it against the hint; params are checked all the same."""
    signature = Signature(
        ColumnSchema((Column(DataType.STRING),)), params=(Param("n", DataType.LONG, 1),), is_from_type_hint=True
    )

    assert predictor(signature).enforce([5]) == ([5], {"n": 1})
    with pytest.raises(InvalidParams):
        predictor(signature).enforce([5], {"n": "x"})


def test_a_mismatch_names_what_is_missing_and_what_is_too_much() -> None:
    """In MLflow's words, without the data."""
    with pytest.raises(SchemaMismatch) as caught:
        predictor(AS).predict(pd.DataFrame({"zz": ["a secret"], "a": [1.0]}))

    assert caught.value.message == (
        "Failed to enforce schema of data with schema "
        "'['a': double (required), 's': string (required), 'o': long (optional)]'. "
        "Error: Model is missing inputs ['s']. Note that there were extra inputs: ['zz']."
    )


def test_thousands_of_unknown_names_are_not_all_told() -> None:
    """An answer is no larger than somebody would read."""
    names = [f"column-{i}" for i in range(5000)]

    with pytest.raises(SchemaMismatch) as caught:
        predictor(AS).predict(pd.DataFrame([[1.0] * 5000], columns=names))

    assert "'column-99' …]" in caught.value.message
    assert len(caught.value.message) < 5000


def test_details_can_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that MLflow has for it."""
    monkeypatch.setenv("MLFLOW_DISABLE_SCHEMA_DETAILS", "true")

    with pytest.raises(SchemaMismatch) as caught:
        predictor(AS).predict(pd.DataFrame())

    assert caught.value.message == "Failed to enforce model input schema. Please check your input data."


@pytest.mark.parametrize("error", [ValueError("a secret"), SystemExit(3), RecursionError("deep"), MemoryError()])
def test_whatever_the_models_code_raises_is_one_error(error: BaseException) -> None:
    """The original is the cause, for the log; the message says nothing of it. sys.exit() does not end the process."""
    with pytest.raises(PredictFailed) as caught:
        predictor(None, Recording(error)).predict([1])

    assert caught.value.__cause__ is error
    assert "Encountered an unexpected error while evaluating the model." in caught.value.message


def test_podiums_own_errors_pass_through_a_model() -> None:
    """A flavor says what is missing better than a wrapper could."""
    with pytest.raises(MissingDependency):
        predictor(None, Recording(MissingDependency("pandas", "This model", "pandas"))).predict([1])


def test_an_interrupt_is_not_the_models_error() -> None:
    """Control-C stops the process."""
    with pytest.raises(KeyboardInterrupt):
        predictor(None, Recording(KeyboardInterrupt())).predict([1])


def test_a_tensor_is_checked_and_passed_without_a_copy() -> None:
    """Shape and dtype must be the declared ones."""
    signature = Signature(TensorSchema((TensorSpec("float32", (-1, 2)),)))
    array = np.zeros((3, 2), dtype=np.float32)

    assert predictor(signature).enforce(array)[0] is array
    with pytest.raises(SchemaMismatch, match=r"Shape of input \(3, 1\) does not match expected shape \(-1, 2\)."):
        predictor(signature).enforce(array[:, :1])
    with pytest.raises(SchemaMismatch, match="dtype of input float64 does not match expected dtype float32"):
        predictor(signature).enforce(array.astype("float64"))


def test_a_sparse_matrix_is_a_tensor_too() -> None:
    """Callers in this process may pass one."""
    sparse = pytest.importorskip("scipy.sparse")
    signature = Signature(TensorSchema((TensorSpec("float64", (-1, 2)),)))
    matrix = sparse.csr_matrix(np.eye(2))

    assert predictor(signature).enforce(matrix)[0] is matrix
