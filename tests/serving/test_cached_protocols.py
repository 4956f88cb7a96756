"""Kept answers in each protocol that takes part, of a whole server, told apart from those that do not."""

import http.client
import json

import numpy as np
import pytest
import tritonclient.http as triton
from open_inference_models import CODE, make_models

import podium

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.2, 2.9, 4.3, 1.3]]
V2 = {"id": "7", "inputs": [{"name": "x", "shape": [2, 4], "datatype": "FP64", "data": ROWS}]}
WORDS = {"dataframe_split": {"columns": ["x"], "data": [[1.0], [2.0]]}}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    models = make_models(tmp_path_factory.mktemp("models"))
    kept = {name: models[name] for name in CODE if name in ("iris", "words")}
    with podium.serve(kept, env_manager="local", cache="1MiB", gateways=1) as server:
        yield server.url.removeprefix("http://")


def ask(address, path, body, **headers):
    connection = http.client.HTTPConnection(address, timeout=240)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, response.headers["x-podium-cache"], response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v2/models/iris/infer", V2),
        ("/models/words/invocations", WORDS),
        ("/v1/models/iris:predict", {"instances": [{"x": row} for row in ROWS]}),
        ("/models/iris/invoke", {"inputs": {"x": ROWS}}),
    ],
)
def test_a_kept_answer_is_the_same_bytes(house, path, body):
    """Asked three times without a look at what is kept, too: V2's quick way answers as its long one did."""
    fresh = [ask(house, path, body, **{"Cache-Control": "no-cache"}) for _ in range(3)]
    kept = ask(house, path, body)

    assert {(status, cache, text) for status, cache, text in fresh} == {(200, "miss", fresh[0][2])}
    assert kept == (200, "hit", fresh[0][2])


def test_an_answer_in_bytes_keeps_its_length_of_json(house):
    """As Triton's client needs it to read the arrays behind the JSON."""
    client = triton.InferenceServerClient(house)
    given = triton.InferInput("x", [2, 4], "FP64")
    given.set_data_from_numpy(np.array(ROWS))
    answers = [client.infer("iris", [given]) for _ in range(3)]
    client.close()

    for answer in answers:
        np.testing.assert_array_equal(answer.as_numpy("y"), [0, 1])
    assert answers[2]._result == answers[1]._result


def test_a_path_that_names_a_version_and_a_refusal_are_not_kept(house):
    [version] = json.loads(get(house, "/v2/models/iris"))["versions"]
    bound = [ask(house, f"/v2/models/iris/versions/{version}/infer", V2) for _ in range(2)]
    wrong = [ask(house, "/v2/models/iris/infer", {**V2, "inputs": []}) for _ in range(2)]

    assert [(status, cache) for status, cache, _ in bound] == [(200, None)] * 2
    assert [(status, cache) for status, cache, _ in wrong] == [(400, "miss")] * 2


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=240)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
