"""Input in the form of the model's example."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from podium.domain.signature import Column, ColumnSchema, DataType, Signature
from podium.errors import InvalidModel
from podium.flavors.contract import RowIndependence
from podium.models.example_form import form_from_example
from podium.models.predictor import Predictor

MLMODEL = {
    "type_hint_from_example": True,
    "saved_input_example_info": {"type": "json_object", "artifact_path": "input_example.json"},
}


class Echo:
    native = None

    def predict(self, data: Any, params: Any = None) -> Any:
        return data


@pytest.mark.parametrize(
    ("example", "data", "seen"),
    [
        (["a", "b"], ["x", "y"], ["x", "y"]),
        ("a", "x", "x"),
        ([{"s": "a"}], [{"s": "x"}, {"s": "y"}], [{"s": "x"}, {"s": "y"}]),
        ({"s": "a"}, {"s": "x"}, {"s": "x"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_model_sees_what_its_example_was(tmp_path: Path, example: Any, data: Any, seen: Any) -> None:
    """The signature's frame is on the way only."""
    name = "s" if "s" in str(example) else None
    (tmp_path / "input_example.json").write_text(json.dumps(example))
    signature = Signature(ColumnSchema((Column(DataType.STRING, name),)))
    form = form_from_example(tmp_path, MLMODEL)

    assert seen == Predictor(Echo(), signature, "x", RowIndependence(False, ""), MLMODEL, form).predict(data)


def test_several_rows_for_an_example_of_one_dict_stay_a_frame(tmp_path: Path) -> None:
    """They have no form as one dict."""
    (tmp_path / "input_example.json").write_text('{"inputs": {"s": "a"}, "params": {}}')
    mlmodel = {
        "type_hint_from_example": True,
        "saved_input_example_info": {**MLMODEL["saved_input_example_info"], "params": "true"},  # type: ignore[dict-item]
    }
    signature = Signature(ColumnSchema((Column(DataType.STRING, "s"),)))
    form = form_from_example(tmp_path, mlmodel)

    seen = Predictor(Echo(), signature, "x", RowIndependence(False, ""), {}, form).predict([{"s": "x"}, {"s": "y"}])

    assert form == {"s": "a"}
    assert isinstance(seen, pd.DataFrame)


@pytest.mark.parametrize("mlmodel", [{}, {"type_hint_from_example": True}, {**MLMODEL, "type_hint_from_example": False}])
def test_other_models_need_no_example(tmp_path: Path, mlmodel: dict[str, Any]) -> None:
    """Nothing is read for them."""
    assert None is form_from_example(tmp_path, mlmodel)


def test_an_example_that_is_missing_where_it_is_needed_is_told(tmp_path: Path) -> None:
    """When the model is loaded, not at its first request."""
    with pytest.raises(InvalidModel, match=r"input_example.json cannot be read: FileNotFoundError"):
        form_from_example(tmp_path, MLMODEL)
