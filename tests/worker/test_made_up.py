"""A model without an input example is probed with numbers that its signature allows."""

import json
from typing import Any

import pytest

from podium.domain.signature import Column, ColumnSchema, DataType, Signature, TensorSchema, TensorSpec
from podium.protocols.mlflow.codec import decode
from podium.worker.made_up import made_up_request

COLUMNS = Signature(
    ColumnSchema((Column(DataType.DOUBLE, "x"), Column(DataType.LONG, "n"), Column(DataType.BOOLEAN, "yes")))
)

FITTING: list[tuple[str, Signature, tuple[int, ...]]] = [
    ("numbers in named columns", COLUMNS, (3, 3)),
    ("unnamed columns", Signature(ColumnSchema((Column(DataType.FLOAT), Column(DataType.FLOAT)))), (3, 2)),
    ("an unnamed tensor", Signature(TensorSchema((TensorSpec("float32", (-1, 4)),))), (3, 4)),
    ("a tensor with further open sizes", Signature(TensorSchema((TensorSpec("float64", (-1, -1, 2)),))), (3, 1, 2)),
]
BEYOND: list[tuple[str, Signature | None]] = [
    ("no signature", None),
    ("no inputs", Signature()),
    ("words", Signature(ColumnSchema((Column(DataType.STRING, "city"),)))),
    ("a tensor of text", Signature(TensorSchema((TensorSpec("str", (-1,)),)))),
    ("a tensor of a fixed batch", Signature(TensorSchema((TensorSpec("float32", (8, 4)),)))),
    ("a tensor beyond measure", Signature(TensorSchema((TensorSpec("float32", (-1, 4096, 4096)),)))),
]


@pytest.mark.parametrize(("what", "signature", "shape"), FITTING, ids=[row[0] for row in FITTING])
def test_what_is_made_up_fits_the_signature(what: str, signature: Signature, shape: tuple[int, ...]) -> None:
    text = made_up_request(signature)
    assert text is not None

    decoded = decode(text.encode(), "application/json", signature)

    assert decoded.data.shape == shape


def test_no_two_rows_are_equal() -> None:
    text = made_up_request(COLUMNS)

    rows = json.loads(text or "")["dataframe_split"]["data"]

    assert len({json.dumps(row) for row in rows}) == 3


def test_several_named_tensors_are_made_up_together() -> None:
    signature = Signature(TensorSchema((TensorSpec("float32", (-1, 2), "x"), TensorSpec("int64", (-1,), "y"))))

    decoded = decode((made_up_request(signature) or "").encode(), "application/json", signature)

    assert {name: values.shape for name, values in decoded.data.items()} == {"x": (3, 2), "y": (3,)}


@pytest.mark.parametrize(("what", "signature"), BEYOND, ids=[row[0] for row in BEYOND])
def test_nothing_is_made_up_where_only_the_owner_could(what: str, signature: Signature | None) -> None:
    assert made_up_request(signature) is None


def test_a_model_without_an_example_is_probed_by_its_signature(workshop: Any) -> None:
    model, _ = workshop.logistic_regression()
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, model.n_features_in_]}}
    folder, mlmodel = workshop.estimator(model)
    mlmodel["signature"] = {"inputs": json.dumps([spec]), "outputs": None, "params": None}

    ready = workshop.worker((folder, mlmodel)).ready()

    assert ready.is_batching
    assert "3 rows of numbers made up from the signature got the same answers" in ready.batching_reason
