"""Numbers as bytes: the same answers and errors as by JSON, and only where a server has shown that it takes them."""

import numpy as np
import pandas as pd
import pytest
from models_asked import FLOWERS, X

from podium import errors
from podium.client import Client
from podium.client.binary import KnownForms, binary_of
from podium.client.exchanges import Received
from podium.protocols.mlflow.content_types import ARROW, NPY

JSON = "application/json"
TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", ">i4", ">f8"]
ROWS = 400


class Watched(Client):
    """A client that notes the content type of each request that it sends."""

    def __init__(self, url, **options):
        super().__init__(url, **options)
        self.sent = []

    def _send(self, step, kept=None):
        self.sent.append(step.request.headers.get("content-type"))
        return super()._send(step, kept)


def told(client, data, model):
    """An answer with its type and shape, or an error with its class and text."""
    try:
        answer = client.predict(data, model=model)
    except errors.PodiumError as error:
        return type(error), str(error)
    return answer.dtype, answer.shape, answer.tolist()


def numbers(dtype, width, seed=7):
    """Rows over much of what the type holds."""
    drawn = np.random.default_rng(seed).normal(size=(ROWS, width)) * 50
    return (drawn > 0) if dtype == "?" else np.abs(drawn).astype(dtype)


@pytest.mark.parametrize("model", ["doubled", "shown", "flowers"])
@pytest.mark.parametrize("dtype", TYPES)
def test_arrays_and_tables_are_answered_as_by_json(server, model, dtype):
    """Of every type, by a declared tensor, by a model that declares nothing and by columns; refusals in the same words."""
    array = numbers(dtype, 4 if model == "flowers" else 3)
    table = pd.DataFrame(array.astype(np.dtype(dtype).newbyteorder("=")), columns=list(X)[: array.shape[1]])

    with Client(server.url, retries=0) as plain, Watched(server.url) as client:
        for data in (array, table):
            expected = told(plain, data, model)
            assert [told(client, data, model) for _ in range(3)] == [expected] * 3
    assert client.sent[0] == JSON


def test_the_second_of_a_kind_goes_as_bytes(server):
    """An array as .npy, a table as an Arrow stream; what JSON tells differently, and what is small, stays JSON."""
    square, table = np.ones((ROWS, 3), np.float32), pd.concat([X] * 4, ignore_index=True)
    gappy = square.copy()
    gappy[0, 0] = np.nan

    with Watched(server.url) as client:
        for data in (square, square, square[:200], square[:3]):
            np.testing.assert_array_equal(client.predict(data, model="doubled"), np.full(data.shape, 2.0))
        with pytest.raises(errors.PredictFailed):
            client.predict(gappy, model="doubled")
        answers = [client.predict(table, model="flowers").tolist() for _ in range(2)]

    assert answers == [FLOWERS.predict(table).tolist()] * 2
    assert client.sent == [JSON, NPY, NPY, JSON, JSON, JSON, ARROW]


def test_what_is_refused_as_bytes_is_asked_in_json_once(server):
    """Truth values are numbers in JSON only; from the second time on nobody tries."""
    truths = np.ones((ROWS, 3), bool)

    with Watched(server.url) as client:
        for _ in range(4):
            assert client.predict(truths, model="doubled").tolist() == [[2.0] * 3] * ROWS

    assert client.sent == [JSON, NPY, JSON, JSON, JSON]


@pytest.mark.parametrize(
    "data",
    [
        np.array([["a"] * 500]),
        np.ma.masked_array(np.ones(500)),
        np.array(1.0),
        np.ones(500, complex),
        np.ones(500, np.longdouble),
        [1.0] * 500,
        pd.DataFrame(np.ones((500, 2)), columns=["a", "a"]),
        pd.DataFrame(np.ones((500, 3))),
        pd.DataFrame({"a": ["x"] * 2000}),
        pd.DataFrame({"a": pd.array([1] * 2000, dtype="Int64")}),
    ],
    ids=["text", "masked", "scalar", "complex", "long double", "list", "twice", "unnamed", "texts", "nullable"],
)
def test_other_inputs_have_no_bytes(data):
    """They are told in JSON, or not at all."""
    assert binary_of(data) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2**63])
def test_values_that_json_tells_differently_have_no_bytes(value):
    """Missing values and infinities; whole numbers beyond int64."""
    array = np.full(500, value, np.uint64 if value == 2**63 else np.float64)
    binary = binary_of(array)

    assert binary is not None
    assert binary.write() is None


def received(version, status=200, body=b"{}"):
    named = {"x-podium-model": "m", "x-podium-version": version} if version else {}
    return Received(status, named, body)


def test_ways_hear_from_answers():
    """MLflow's server names no version and gets no bytes; another version is heard anew; memory is bounded."""
    ways = KnownForms(kinds=2)

    ways.learn("mlflow", received(""), was_refused=False)
    ways.learn("a", received("1"), was_refused=False)
    assert (ways.takes("mlflow"), ways.takes("a")) == (False, True)
    assert ways.stands("a", received("1"))
    assert not ways.stands("a", received("2"))
    assert not ways.stands("a", received("1", 400))
    assert not ways.stands("a", received("1", 500, b"needs pyarrow"))
    assert ways.stands("a", received("1", 503))
    assert ways.stands("a", received("1", 400, b"Encountered an unexpected error while evaluating the model: x"))

    ways.learn("a", received("1"), was_refused=True)
    assert not ways.takes("a")
    ways.learn("a", received("2"), was_refused=False)
    assert ways.takes("a")
    for kind in ("b", "c"):
        ways.learn(kind, received("1"), was_refused=False)
    assert [ways.takes(kind) for kind in "abc"] == [False, False, True]
