"""An answer says the same of its rows in whichever protocol it was written."""

import json
import struct

import numpy as np
import pytest

from podium.monitoring.quality.answers import MOST_ROWS, PredictedRow, UnreadableAnswer, rows_of
from podium.protocols.tensors import CONTENT_TYPE as TENSORS
from podium.protocols.tensors import Tensor, encode_tensors

JSON = "application/json"
CHANCES = [[0.25, 0.75], [0.5, 0.5], [0.875, 0.125]]
CLASSES = (
    PredictedRow(1, 0.75, {"0": 0.25, "1": 0.75}),
    PredictedRow(0, 0.5, {"0": 0.5, "1": 0.5}),
    PredictedRow(0, 0.125, {"0": 0.875, "1": 0.125}),
)
FLAT = np.asarray(CHANCES, "<f4").tobytes()


def with_bytes(*outputs):
    head = [
        {"name": name, "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": len(data)}}
        for name, shape, data in outputs
    ]
    return json.dumps({"model_name": "é", "outputs": head}).encode() + b"".join(data for _, _, data in outputs)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (JSON, json.dumps({"predictions": CHANCES}).encode()),
        ("", json.dumps(CHANCES).encode()),
        ("application/json; charset=utf-8", json.dumps([{"no": no, "yes": yes} for no, yes in CHANCES]).encode()),
        (JSON, json.dumps({"predictions": {"no": [0.25, 0.5, 0.875], "yes": [0.75, 0.5, 0.125]}}).encode()),
        (JSON, json.dumps({"outputs": [{"name": "o", "datatype": "FP32", "shape": [3, 2], "data": CHANCES}]}).encode()),
        (TENSORS, encode_tensors([Tensor("o", "FP32", (3, 2), FLAT)])),
        (
            TENSORS,
            encode_tensors(
                [Tensor("o", "FP32", (3, 2), json.dumps([part for row in CHANCES for part in row]).encode(), "json")]
            ),
        ),
        ("application/octet-stream", with_bytes(("o", [3, 2], FLAT))),
    ],
)
def test_chances_are_the_class_and_its_score(kind, answer):
    found = rows_of(kind, answer)

    assert (found.first, found.count) == (CLASSES, 3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([0, 1], [0, 1]),
        ([True, None], [True, None]),
        (["yes", "no"], ["yes", "no"]),
        ([[1.5], [2.5]], [1.5, 2.5]),
        ([{"label": "yes", "score": 0.5}], ["yes"]),
        ([2**70, 1], [None, 1]),
        (["x" * 129, "x"], [None, "x"]),
    ],
)
def test_one_value_in_each_row_is_the_prediction(answer, expected):
    assert [row.prediction for row in rows_of(JSON, json.dumps({"predictions": answer}).encode()).first] == expected


def test_a_named_score_comes_with_its_class():
    answer = [{"label": "yes", "probability": 0.5}, {"label": "no", "probability": 1.5}]

    assert rows_of(JSON, json.dumps(answer).encode()).first == (PredictedRow("yes", 0.5), PredictedRow("no"))


THREE = [[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]


@pytest.mark.parametrize(
    ("answer", "classes"),
    [
        ([{"output_label": "cat", "output_probability": {"cat": 0.5, "dog": 0.25, "emu": 0.25}}], ("cat", "dog", "emu")),
        ([{"label": 0, "probabilities": THREE[0]}, {"label": 2, "probabilities": THREE[1]}], ("0", "1", "2")),
        ([{"label": "cat", "probabilities": THREE[0]}, {"label": "emu", "probabilities": THREE[1]}], None),
        ([{"label": 1, "probabilities": THREE[0]}, {"label": 2, "probabilities": THREE[1]}], None),
        ([{"label": "cat", "probabilities": {"cat": 0.5, "dog": 0.75}}], None),
        (THREE, ("0", "1", "2")),
        ([[1 / 20] * 20], tuple(map(str, range(20)))),
        ([[1 / 21] * 21], None),
    ],
)
def test_whose_chances_they_are_must_be_known(answer, classes):
    """By name, or by place where that is where the class stands that was told; of more than 20 none are kept."""
    first = rows_of(JSON, json.dumps({"predictions": answer}).encode()).first[0].chances

    assert (None if first is None else tuple(first)) == classes


def test_chances_are_kept_to_nine_digits():
    answer = json.dumps([[1 / 3, 2 / 3]]).encode()

    assert rows_of(JSON, answer).first[0].chances == {"0": 0.333333333, "1": 0.666666667}


def test_nothing_in_json_is_no_number():
    answer = {"outputs": [{"name": "o", "datatype": "FP64", "shape": [2], "data": [1.5, None]}]}

    assert [row.prediction for row in rows_of(JSON, json.dumps(answer).encode()).first] == [1.5, None]


def test_of_a_long_answer_the_first_rows_are_kept_and_all_are_counted():
    found = rows_of(JSON, json.dumps([1] * (MOST_ROWS + 7)).encode())

    assert (len(found.first), found.count) == (MOST_ROWS, MOST_ROWS + 7)


@pytest.mark.parametrize(
    ("kind", "answer", "why"),
    [
        (JSON, b"\xff", "not what its type"),
        (JSON, b"[" * 100_000, "not what its type"),
        (JSON, b'{"predictions": [[1, 2], [3]]}', "lists or objects"),
        (JSON, b'{"predictions": [[1, 2], [3, 4]]}', "no probabilities"),
        (JSON, b'{"predictions": []}', "no number"),
        (JSON, b'{"predictions": 3}', "not one value in each row"),
        (JSON, json.dumps(["x" * 200]).encode(), "no number"),
        (JSON, b'{"outputs": [{"name": "o", "shape": [7], "data": [1]}]}', "not what its type"),
        ("text/csv", b"1\n2\n", "'text/csv' are not read"),
        (TENSORS, b"\x00", "not what its type"),
        (TENSORS, encode_tensors([Tensor("o", "BF16", (1,), b"\0\0")]), "not what its type"),
        (TENSORS, encode_tensors([Tensor("o", "FP32", (1,), b"?", "contents")]), "form that is not read"),
        ("application/octet-stream", with_bytes(("o", [3], struct.pack("<f", 1))), "not what its type"),
        ("application/octet-stream", b"no JSON", "not what its type"),
    ],
)
def test_what_cannot_be_kept_says_why_and_quotes_nothing(kind, answer, why):
    with pytest.raises(UnreadableAnswer, match=why) as found:
        rows_of(kind, answer)

    assert "xx" not in str(found.value)
