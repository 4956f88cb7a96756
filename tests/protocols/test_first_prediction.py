"""The cell of an answer's first value, read off its bytes."""

import json

import numpy as np
import pytest

from podium.domain.rollouts.sketch import cell_of_number, cell_of_text
from podium.protocols.mlflow.encoding import encode
from podium.protocols.mlflow.first_prediction import cell_of_answer
from podium.protocols.tensors import CONTENT_TYPE, Tensor, encode_tensors, join_bytes


@pytest.mark.parametrize(
    ("output", "value"),
    [
        (np.array([0.25, 9.0]), 0.25),
        (np.array([[0.1, 0.9], [0.5, 0.5]]), 0.1),
        (np.array([-3]), -3),
        (np.array([1e-7]), 1e-7),
        ([{"mean": 4.5, "std": 1.0}], 4.5),
        ({"mean": [4.5], "std": [1.0]}, 4.5),
        ([[["deep"], 7.5]], "deep"),
        (np.array(["se,t]osa", "b"]), "se,t]osa"),
        (['quoted "name": 7', "b"], 'quoted "name": 7'),
        (np.array([True]), "true"),
    ],
)
def test_it_is_the_first_value_of_what_the_model_returned(output, value):
    """In the very bytes that a worker writes."""
    body = encode(output)
    expected = cell_of_number(value) if not isinstance(value, str) else None

    if isinstance(value, str):
        text = value if value == "true" else json.dumps(value)[:-1]
        expected = cell_of_text(text.encode())
    assert cell_of_answer(body) == expected


@pytest.mark.parametrize("body", [b"", b"{}", b'{"predictions": []}', b"<html>", b'{"outputs": [1]}', b'{"predictions"'])
def test_what_has_no_prediction_has_no_cell(body):
    assert cell_of_answer(body) is None


def test_a_long_answer_is_not_read_to_its_end():
    """What stands behind the first bytes changes nothing: neither a text's end nor brackets without end."""
    long, cut = b'{"predictions": ["' + b"a" * 10_000_000, b'{"predictions": ["' + b"a" * 1_000

    assert cell_of_answer(long + b'"]}') == cell_of_answer(cut) is not None
    assert cell_of_answer(b'{"predictions": ' + b"[" * 1_000_000 + b"1") is None


@pytest.mark.parametrize(
    ("datatype", "data", "answer"),
    [
        ("FP64", np.array([0.25]).tobytes(), b'{"predictions": [0.25]}'),
        ("FP32", np.array([0.25], np.float32).tobytes(), b'{"predictions": [0.25]}'),
        ("INT64", np.array([3]).tobytes(), b'{"predictions": [3]}'),
        ("BOOL", b"\x01", b'{"predictions": [true]}'),
        ("BYTES", join_bytes([b"setosa"]), b'{"predictions": ["setosa"]}'),
    ],
)
def test_tensors_have_the_cell_that_json_has(datatype, data, answer):
    """One version asked over two protocols is one version."""
    assert cell_of_answer(encode_tensors([Tensor("out", datatype, (1,), data)]), CONTENT_TYPE) == cell_of_answer(answer)


def test_odd_tensors_have_no_cell():
    assert cell_of_answer(b"\x01", CONTENT_TYPE) is None
    assert cell_of_answer(encode_tensors([Tensor("out", "FP32", (0,), b"")]), CONTENT_TYPE) is None
    assert cell_of_answer(encode_tensors([]), CONTENT_TYPE) is None
