"""Python values as requests, answers as Python values: by table."""

import json

import numpy as np
import pandas as pd
import pytest

from podium import errors
from podium.client.values import answer_of, error_of, made_again, request_of
from podium.protocols.mlflow.encoding import encode
from podium.protocols.mlflow.problems import problem


@pytest.mark.parametrize(
    ("data", "params", "body"),
    [
        (pd.DataFrame({"a": [1, 2]}), None, {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}),
        (pd.DataFrame({"a": [np.nan]}), None, {"dataframe_split": {"columns": ["a"], "data": [[None]]}}),
        (pd.Series([1.5], name="a"), None, {"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}),
        (pd.DataFrame({"t": [pd.Timestamp("2024-01-02")]}), None,
         {"dataframe_split": {"columns": ["t"], "data": [["2024-01-02T00:00:00"]]}}),
        (np.array([[1, 2]]), {"k": 1}, {"inputs": [[1, 2]], "params": {"k": 1}}),
        (np.array([1.0, np.nan]), None, {"inputs": [1.0, None]}),
        ({"a": np.array([1]), "b": np.array([2.0])}, None, {"inputs": {"a": [1], "b": [2.0]}}),
        ({"a": np.array([1.5]), "b": ["x"], "c": pd.Series([True])}, None,
         {"inputs": {"a": [1.5], "b": ["x"], "c": [True]}}),
        ({"a": np.array([1.5, 2]), "b": ["x", None]}, None, {"inputs": {"a": [1.5, 2.0], "b": ["x", None]}}),
        ([np.float32(0.5), {"x": np.int64(3)}], None, {"inputs": [0.5, {"x": 3}]}),
        ({"inputs": np.array([1])}, {"k": 2}, {"inputs": [1], "params": {"k": 2}}),
        ({"instances": [1], "other": 2}, None, {"inputs": {"instances": [1], "other": 2}}),
        ({"messages": [{"role": "user", "content": "hi"}]}, None, {"messages": [{"role": "user", "content": "hi"}]}),
    ],
)  # fmt: skip
def test_a_value_becomes_a_request(data, params, body):
    """The form that MLflow's own tools would choose; a request that a person wrote goes as it is."""
    assert json.loads(request_of(data, params)) == body


def test_what_has_no_form_is_refused_by_its_type():
    """Not its content."""
    with pytest.raises(errors.InvalidInput, match="a set has no form in JSON"):
        request_of([{1, 2}], None)
    with pytest.raises(errors.InvalidInput, match="of the type object; expected a DataFrame"):
        request_of(object(), None)
    with pytest.raises(errors.InvalidInput, match="'b' has rows of different lengths"):
        request_of({"a": np.array([1]), "b": [[1], [1, 2]]}, None)


@pytest.mark.parametrize(
    ("predictions", "nan", "expected"),
    [
        ("[1, 2]", "bare", np.array([1, 2])),
        ("[[1.5, NaN], [null, Infinity]]", "bare", np.array([[1.5, np.nan], [np.nan, np.inf]])),
        ('["NaN", 1.0, "-Infinity"]', "string", np.array([np.nan, 1.0, -np.inf])),
        ('["a", "b"]', "bare", np.array(["a", "b"])),
    ],
)
def test_numbers_and_text_become_arrays(predictions, nan, expected):
    """Whichever way the server writes what is not finite."""
    answer = answer_of(f'{{"predictions": {predictions}}}'.encode(), None, nan)

    assert answer.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("content", ['["NaN", 1.0]', "[[1], [2, 3]]", '[{"a": 1}]', "null", '"text"', '[["a", 1]]'])
def test_what_is_no_array_stays_what_json_holds(content):
    """Text beside numbers, rows of different lengths, records for whoever did not ask with a frame."""
    assert answer_of(f'{{"predictions": {content}}}'.encode(), [1], "bare") == json.loads(content)


def test_named_outputs_become_arrays_and_records_a_frame():
    """And what is no prediction at all, as from a chat model, is handed over."""
    named = answer_of(b'{"predictions": {"p": [1, 2], "q": [[0.5], [1]]}}', None, "bare")
    table = answer_of(b'{"predictions": [{"a": 1, "b": "x"}]}', pd.DataFrame({"i": [0]}, index=[4]), "bare")

    assert [named["p"].tolist(), named["q"].shape] == [[1, 2], (2, 1)]
    pd.testing.assert_frame_equal(table, pd.DataFrame({"a": [1], "b": ["x"]}, index=[4]))
    assert answer_of(b'{"choices": []}', None, "bare") == {"choices": []}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error_code": "BAD_REQUEST", "message": "no JSON"}, errors.MalformedBody),
        (400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "m"}, errors.InvalidInput),
        (400, {"error_code": "INVALID_PARAMETER_VALUE", "error_class": "SCHEMA_ENFORCEMENT_FAILED", "message": "m"},
         errors.SchemaMismatch),
        (413, {"error_code": "REQUEST_TOO_LARGE", "message": "m"}, errors.BodyTooLarge),
        (415, "no such type", errors.UnsupportedContentType),
        (429, {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "m"}, errors.Overloaded),
        (503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "m"}, errors.Unavailable),
        (504, "Request processing time exceeded limit", errors.DeadlineExceeded),
        (500, {"error_code": "INTERNAL_ERROR", "message": "The model's process died while it ran"}, errors.WorkerCrashed),
        (500, {"error_code": "INTERNAL_ERROR", "message": "Internal Server Error"}, errors.PodiumError),
        (404, {"detail": "Not Found"}, errors.NotFound),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_prediction_becomes_its_error(status, body, kind):
    """By status, code and class, as far as the protocol tells them apart."""
    text = body if isinstance(body, str) else json.dumps(body)

    error = error_of(status, text.encode(), {"x-request-id": "r1", "retry-after": "7"})

    assert type(error) is kind
    assert error.message == (body if isinstance(body, str) else body.get("message") or body["detail"])
    assert error.__notes__ == [f"HTTP {status}, request r1; podium logs has the rest"]
    if kind in {errors.Overloaded, errors.Unavailable}:
        assert error.retry_after_s == 7


def test_an_error_that_a_server_answers_with_is_raised_as_what_it_was():
    """MLflow's protocol has one code for several; these are told apart by how the server begins its sentence."""

    def raised_again(error: errors.PodiumError) -> type[errors.PodiumError]:
        answer = problem(error, "r1")
        return type(error_of(answer.status, answer.body, {}))

    with pytest.raises(errors.UnencodableOutput) as unencodable:
        encode(object())
    with pytest.raises(errors.UnencodableOutput) as cyclic:
        encode({"a": {1: object()}})

    assert {raised_again(each.value) for each in (unencodable, cyclic)} == {errors.UnencodableOutput}
    assert raised_again(errors.HintMismatch("m")) is errors.InvalidInput


def test_an_error_of_another_process_keeps_its_message_and_facts():
    """Also where its constructor takes something else."""
    lost = errors.NotFound("no model", ["here: no", "there: no"])

    again = made_again("NotFound", lost.message, json.loads(json.dumps(vars(lost))))

    assert (type(again), again.message, again.searched) == (errors.NotFound, lost.message, ("here: no", "there: no"))
