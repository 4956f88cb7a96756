"""A worker answers tensors with tensors, in the same batches as everything else."""

import json
from typing import Any

import numpy as np

from podium.protocols.tensor_inputs import to_array
from podium.protocols.tensors import CONTENT_TYPE, Tensor, decode_tensors, encode_tensors
from podium.transport.frames import Reply


def body(rows: Any, params: Any = None, datatype: str = "FP64") -> bytes:
    array = np.array(rows, dtype={"FP64": "<f8", "INT64": "<i8"}[datatype])
    return encode_tensors([Tensor("x", datatype, array.shape, array.tobytes())], params)


def values(reply: Reply) -> Any:
    assert (reply.status, reply.content_type) == (200, CONTENT_TYPE), reply.body
    ((tensor,), _) = decode_tensors(reply.body)
    return to_array(tensor).tolist()


def test_tensors_run_in_one_batch_with_others_and_are_answered_in_kind(held: Any) -> None:
    at = held()
    first = at.gateway.send(body([[1.0, 2.0]]), content_type=CONTENT_TYPE)
    second = at.gateway.send({"inputs": [[3.0, 4.0]]})
    third = at.gateway.send(body([[5.0, 6.0], [7.0, 8.0]]), content_type=CONTENT_TYPE)

    replies = at.release(3)

    assert values(replies[first]) == [[2, 4]]
    assert json.loads(replies[second].body) == {"predictions": [[6, 8]]}
    assert values(replies[third]) == [[10, 12], [14, 16]]
    assert {reply.batch_rows for reply in replies.values()} == {4}


def test_a_bad_one_fails_alone(held: Any) -> None:
    at = held()
    good = at.gateway.send(body([[1.0, 2.0]]), content_type=CONTENT_TYPE)
    bad = at.gateway.send(body([[1.0, 2.0]])[:-1], content_type=CONTENT_TYPE)
    other_type = at.gateway.send(body([[1, 2]], datatype="INT64"), content_type=CONTENT_TYPE)

    replies = at.release(3)

    assert values(replies[good]) == [[2, 4]]
    assert values(replies[other_type]) == [[2, 4]]
    assert (replies[bad].status, replies[bad].content_type) == (400, "application/json")
    assert json.loads(replies[bad].body)["error_code"] == "BAD_REQUEST"


def test_params_reach_the_model(workshop: Any) -> None:
    code = (
        "from podium.flavors.python_model import PythonModel\n"
        "class Model(PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input * params['factor']\n"
    )
    folder, mlmodel = workshop.function(code)
    params = json.dumps([{"name": "factor", "type": "double", "default": 1.0, "shape": None}])
    inputs = json.dumps([{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}])
    mlmodel["signature"] = {"inputs": inputs, "outputs": None, "params": params}
    _, gateway = workshop.serving((folder, mlmodel))

    assert values(gateway.ask(body([[1, 2]], {"factor": 3.0}), content_type=CONTENT_TYPE)) == [[3, 6]]
    assert values(gateway.ask(body([[1, 2]]), content_type=CONTENT_TYPE)) == [[1, 2]]
    assert gateway.ask(body([[1, 2]], {"factor": "x"}), content_type=CONTENT_TYPE).status == 400
