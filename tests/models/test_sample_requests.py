"""Requests made from a signature: the codec and the enforcer accept the right ones, and refuse the wrong."""

import json

import pytest

from podium.domain.signature import Signature
from podium.errors import PodiumError
from podium.models.enforce import InputEnforcer
from podium.models.sample_requests import sample_requests
from podium.protocols.mlflow.codec import decode

COLUMNS = [
    {"type": kind, "name": f"c{i}", "required": True}
    for i, kind in enumerate(["double", "float", "long", "integer", "boolean", "string", "datetime"])
]
TENSOR = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]
NAMED = [{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "int64", "shape": [-1, 1, 2]}}]
FORMS = {"dataframe_split", "dataframe_records", "inputs", "instances", "CSV", "example"}


@pytest.mark.parametrize(
    ("inputs", "forms"),
    [
        (COLUMNS, {"dataframe_split", "dataframe_records", "inputs", "instances", "CSV"}),
        (TENSOR, {"inputs", "instances"}),
        (NAMED, {"inputs"}),
        ([{"type": "array", "items": {"type": "double"}, "name": "a", "required": True}], set()),
    ],
)
def test_right_requests_fit_and_wrong_ones_are_refused(inputs, forms):
    signature = Signature.from_dict({"inputs": json.dumps(inputs)})
    assert signature.inputs is not None
    enforcer = InputEnforcer(signature.inputs)

    samples = sample_requests(signature, None)

    assert {sample.kind for sample in samples} & FORMS == forms
    refused = 0
    for sample in samples:
        try:
            enforcer.enforce(decode(sample.body, sample.content_type, signature).data)
            assert sample.kind in FORMS | {"null everywhere", "text everywhere"}
        except PodiumError:
            assert sample.kind not in FORMS, sample
            refused += 1
    assert refused >= 6


def test_the_example_comes_first_as_it_is():
    samples = sample_requests(None, '{"inputs": [1]}')

    assert (samples[0].kind, samples[0].body) == ("example", b'{"inputs": [1]}')
