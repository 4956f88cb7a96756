"""Input examples: what is written, and the request that can be made of it."""

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from podium.errors import InvalidInput
from podium.models.examples import Example, serving_example, write_example


def body(folder: Path, info: dict[str, Any]) -> Any:
    text = serving_example(folder, {"saved_input_example_info": info})
    assert text is not None
    return json.loads(text)


@pytest.mark.parametrize(
    ("example", "kind", "posted"),
    [
        (pd.DataFrame({"a": [1.0, np.nan]}), "dataframe", {"dataframe_split": {"columns": ["a"], "data": [[1.0], [None]]}}),
        (pd.DataFrame([[1, "x"]]), "dataframe", {"dataframe_split": {"data": [[1, "x"]]}}),
        (pd.Series([1, 2], name="s"), "dataframe", {"dataframe_split": {"columns": ["s"], "data": [[1], [2]]}}),
        (pd.DataFrame({"t": [pd.Timestamp("2024-01-02")]}), "dataframe",
         {"dataframe_split": {"columns": ["t"], "data": [["2024-01-02T00:00:00"]]}}),
        (pd.DataFrame({"b": [b"hi"]}), "dataframe", {"dataframe_split": {"columns": ["b"], "data": [["aGk=\n"]]}}),
        (np.array([[1.0, np.nan]]), "ndarray", {"inputs": [[1.0, None]]}),
        ({"x": np.array([1, 2])}, "ndarray", {"inputs": {"x": [1, 2]}}),
        (["a", "b"], "json_object", {"inputs": ["a", "b"]}),
        ({"a": 1, "b": [1, 2]}, "json_object", {"inputs": {"a": 1, "b": [1, 2]}}),
        ({"messages": [{"role": "user"}]}, "json_object", {"messages": [{"role": "user"}]}),
        (3, "json_object", {"inputs": 3}),
        (datetime.date(2024, 1, 2), "json_object", {"inputs": "2024-01-02"}),
        (csr_matrix([[0.0, 2.0]]), "sparse_matrix_csr", {"inputs": [[0.0, 2.0]]}),
    ],
)  # fmt: skip
def test_an_example_is_written_in_mlflows_form(tmp_path: Path, example: Any, kind: str, posted: Any) -> None:
    """Frames by split, arrays and lists under inputs, LLM requests as they are; missing values as null."""
    info = write_example(tmp_path, Example.of(example))

    assert (kind, posted) == (info["type"], body(tmp_path, info))


@pytest.mark.parametrize(
    "example",
    [
        pd.DataFrame({"a": [1.0, np.nan]}),
        pd.DataFrame([[1, 2]]),
        np.array([[1.5]]),
        ["a"],
        {"messages": []},
        {"x": np.array([1])},
        csr_matrix([[0.0, 2.0], [1.0, 0.0]]),
        csc_matrix([[0.0, 2.0], [1.0, 0.0]]),
        (["a"], {"n": 2}),
        ({"prompt": "hi"}, {"temperature": 0.5}),
        (pd.DataFrame({"a": [1]}), {"n": 2}),
    ],
)
def test_older_models_get_the_same_request_from_their_input_example(tmp_path: Path, example: Any) -> None:
    """MLflow 2 wrote no serving example; what is made of the input example is what MLflow 3 would have written."""
    info = write_example(tmp_path, Example.of(example))
    new = body(tmp_path, info)
    (tmp_path / info.pop("serving_input_path")).unlink()

    assert new == body(tmp_path, info)


def test_params_go_beside_the_data(tmp_path: Path) -> None:
    """In the stored example as in the request."""
    info = write_example(tmp_path, Example.of((["a"], {"n": 2})))

    assert json.loads((tmp_path / "input_example.json").read_text()) == {"inputs": ["a"], "params": {"n": 2}}
    assert (info["params"], body(tmp_path, info)) == ("true", {"inputs": ["a"], "params": {"n": 2}})


def test_an_example_in_tf_servings_form_is_posted_as_it_is(tmp_path: Path) -> None:
    """MLflow 1 wrote tensors with their envelope."""
    (tmp_path / "input_example.json").write_text('{"inputs": [[1.0]]}')

    assert body(tmp_path, {"artifact_path": "input_example.json", "type": "ndarray", "format": "tf-serving"}) == {
        "inputs": [[1.0]]
    }


@pytest.mark.parametrize(
    "info", [None, {}, {"artifact_path": "../secret.json", "type": "ndarray"}, {"artifact_path": "a.json", "type": "other"}]
)
def test_no_example_is_made_of_what_cannot_be_read(tmp_path: Path, info: Any) -> None:
    """Absent, outside of the folder, of an unknown type: there is no trial request then, and no error."""
    (tmp_path.parent / "secret.json").write_text("[1]")
    (tmp_path / "a.json").write_text("[1]")

    assert serving_example(tmp_path, {"saved_input_example_info": info}) is None


@pytest.mark.parametrize("example", [object(), {"a": np.array([1]), "b": 2}, [object()]])
def test_an_example_without_a_form_in_json_is_refused(tmp_path: Path, example: Any) -> None:
    """And its type is named."""
    with pytest.raises(InvalidInput, match=r"The input (is|holds)|input example"):
        write_example(tmp_path, Example.of(example))
