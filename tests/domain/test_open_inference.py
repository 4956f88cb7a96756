"""A signature in the words of the Open Inference Protocol."""

import json
from typing import Any

import pytest

from podium.domain.open_inference import tensors_of
from podium.domain.signature import Signature

SCHEMAS: list[tuple[str, list[Any], list[Any]]] = [
    (
        "columns",
        [{"type": "double", "name": "a"}, {"type": "long", "name": "b"}],
        [("a", "FP64", [-1, 1]), ("b", "INT64", [-1, 1])],
    ),
    (
        "text and dates",
        [{"type": "string", "name": "t"}, {"type": "datetime", "name": "d"}],
        [("t", "BYTES", [-1, 1]), ("d", "BYTES", [-1, 1])],
    ),
    ("a column without a name", [{"type": "boolean"}], [("input-0", "BOOL", [-1, 1])]),
    (
        "a tensor",
        [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}}],
        [("input", "FP32", [-1, 28, 28])],
    ),
    (
        "a tensor with a name",
        [{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "uint8", "shape": [-1, 3]}}],
        [("x", "UINT8", [-1, 3])],
    ),
]


@pytest.mark.parametrize(("what", "schema", "expected"), SCHEMAS, ids=[row[0] for row in SCHEMAS])
def test_inputs_have_names_datatypes_and_shapes(what: str, schema: list[Any], expected: list[Any]) -> None:
    signature = Signature.from_dict({"inputs": json.dumps(schema), "outputs": None, "params": None})

    found = tensors_of(signature.inputs, "input")

    assert expected == [(each["name"], each["datatype"], each["shape"]) for each in found]


def test_without_a_signature_there_are_none() -> None:
    assert tensors_of(None, "output") == []
