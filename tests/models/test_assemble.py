"""A batch put together from records answers as the reference path does, to the last bit, whatever reads it."""

import json
import struct
import sys
from typing import Any

import numpy as np
import pandas
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from two_codecs import assert_same, columns, sides, tensors

from podium.domain.inputs.plan import InputPlan
from podium.domain.signature import DataType, Signature, TensorSpec
from podium.models.assemble import Assembler
from podium.protocols.mlflow.encoding import encode

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(120, 30))
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
NAMES = [f"column {i}" for i in range(30)]
KINDS = [DataType.DOUBLE, DataType.STRING, DataType.LONG, DataType.BOOLEAN, DataType.FLOAT, DataType.INTEGER]
MIXED = columns(*KINDS, names=list("abcdef"))
NUMBERS: tuple[Any, ...] = (
    LogisticRegression(max_iter=500),
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(16,), max_iter=50, random_state=0, tol=10.0)),
)


def mixed_rows(count: int) -> list[list[Any]]:
    return [[float(row[0]), "xyz"[i % 3], i, i % 2 == 0, float(np.float32(row[1])), -i] for i, row in enumerate(X[:count])]


def answers(model: Any, data: Any) -> bytes:
    """Everything the model says of it; classes, scores and how they are written."""
    methods = [getattr(model, name) for name in ("predict", "predict_proba", "decision_function") if hasattr(model, name)]
    found = [method(data) for method in methods]
    return b"".join([each.tobytes() for each in found] + [encode(each) for each in found])


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("model", NUMBERS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize(
    "signature", [columns(*[DataType.DOUBLE] * 30, names=NAMES), tensors(TensorSpec("float64", (-1, 30)))]
)
def test_models_of_numbers_answer_to_the_bit(model: Any, signature: Signature, rows: int) -> None:
    """One request of some rows, as a frame and as an array."""
    side = sides(signature)
    is_frame = side.plan.kind == "columns"
    fitted = model.fit(pandas.DataFrame(X, columns=NAMES) if is_frame else X, Y)
    sent = {"dataframe_split": {"columns": NAMES, "data": X[:rows].tolist()}} if is_frame else {"inputs": X[:rows].tolist()}
    body = json.dumps(sent).encode()
    packed = side.reader.read(body)
    assert packed is not None

    assert answers(fitted, side.reference(body)) == answers(fitted, side.assembler.assemble(*packed))


@pytest.mark.parametrize("rows", [1, 3, 64])
def test_a_pipeline_over_mixed_columns_answers_to_the_bit(rows: int) -> None:
    """Selected by name and by type, text one-hot encoded."""
    frame = pandas.DataFrame(mixed_rows(120), columns=list("abcdef"))
    numbers = ColumnTransformer([("scale", StandardScaler(), ["a", "c", "e", "f"]), ("text", OneHotEncoder(), ["b", "d"])])
    model = make_pipeline(numbers, LogisticRegression(max_iter=500)).fit(frame, Y)
    side = sides(MIXED)
    body = json.dumps({"dataframe_split": {"columns": list("abcdef"), "data": mixed_rows(rows)}}).encode()
    packed = side.reader.read(body)
    assert packed is not None

    assert answers(model, side.reference(body)) == answers(model, side.assembler.assemble(*packed))


@pytest.mark.parametrize("signature", [MIXED, columns(DataType.STRING), columns(*[DataType.LONG] * 3)])
def test_where_pandas_takes_no_blocks_its_constructor_makes_the_same(
    signature: Signature, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before pandas 3 there is no public way to hand blocks over."""
    side = sides(signature)
    block, texts = bytes(range(1, side.plan.record_bytes + 1)) * 5, ["x"] * 5 * side.plan.texts_per_row
    if side.plan == sides(MIXED).plan:
        block = struct.pack("<dqfi?", 1.5, 2, 0.5, -1, True) * 5
    expected = side.assembler.assemble(5, block, texts)
    monkeypatch.setitem(sys.modules, "pandas.api.internals", None)  # not to be imported, as before pandas 3

    assert_same(expected, Assembler(side.plan).assemble(5, block, texts))


def test_what_a_model_does_to_its_input_stays_there() -> None:
    """Values, labels' names and index are fresh in every batch."""
    side = sides(columns(DataType.DOUBLE, DataType.STRING, names=["a", "b"]))
    block, texts = struct.pack("<2d", 1, 2), ["x", "y"]

    spoilt = side.assembler.assemble(2, memoryview(block), texts)
    spoilt.columns.name = "mine"
    spoilt.index.name = "mine"
    spoilt.loc[0, "a"] = 7.0
    spoilt["c"] = 1

    again = side.assembler.assemble(2, block, texts)
    assert (again.columns.name, again.index.name, list(again.columns)) == (None, None, ["a", "b"])
    assert again["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "signature",
    [
        columns(DataType.DOUBLE, DataType.DOUBLE),
        columns(DataType.DOUBLE, DataType.LONG),
        columns(DataType.DOUBLE, DataType.STRING, DataType.LONG),
        tensors(TensorSpec("float64", (-1, 2))),
        tensors(TensorSpec("float64", (-1,), "x"), TensorSpec("int64", (-1,), "y")),
    ],
    ids=str,
)
def test_records_of_another_number_of_rows_are_refused(signature: Signature) -> None:
    """A frame between processes is believed in nothing."""
    plan: InputPlan = sides(signature).plan
    texts = ["x"] * plan.texts_per_row
    for rows, block, words in ((2, bytes(plan.record_bytes), texts * 2), (1, bytes(plan.record_bytes), [*texts, "x"])):
        with pytest.raises(ValueError, match=r"expected|reshape"):
            Assembler(plan).assemble(rows, block, words)
    with pytest.raises(ValueError, match="buffer size"):
        Assembler(plan).assemble(1, bytes(plan.record_bytes + 1), texts)
