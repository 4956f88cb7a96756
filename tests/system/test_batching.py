"""Shown by, line 5: requests are merged where that cannot change an answer, and nowhere else; status says which and why."""

import re

import pytest
from driven import Podium, Server, Versions, burst, wait_until
from judging import bad, summary

pytestmark = pytest.mark.slow

# Its answer for a row depends on how many rows the call had: merged requests would see each other.
_REGISTER_FUNCTION = """
import sys
import pandas
import podium.pyfunc

def rows_of_the_call(model_input):
    return [len(model_input)] * len(model_input)

podium.pyfunc.log_model(
    python_model=rows_of_the_call, name="f", registered_model_name=sys.argv[1],
    input_example=pandas.DataFrame({"x": [1.0]}),
)
"""
_REQUESTS = 500


def test_a_function_that_is_not_row_wise_is_never_batched(podium: Podium):
    """However many wait, each call has the rows of one request."""
    podium.python(_REGISTER_FUNCTION, "counting")
    podium.run("models", "promote", "counting", "1")
    server = podium.serve("models:/counting/production")
    body = {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}

    samples = burst(server, Versions("counting", "", body, {"1": {"predictions": [1]}}), _REQUESTS)

    batching = server.status()["model"]["batching"]
    assert bad(samples) == [], summary(samples)
    assert batching["is_on"] is False
    assert batching["reason"]
    assert _batches(server) == (_REQUESTS, _REQUESTS)
    assert server.stop() == 0


def test_a_linear_model_is_batched(podium: Podium, versions: Versions):
    """Requests that wait share a call, and each gets its own answer."""
    server = podium.serve(versions.uri)

    samples = burst(server, versions, _REQUESTS)

    batching = server.status()["model"]["batching"]
    batches, rows = _batches(server)
    assert bad(samples) == [], summary(samples)
    assert batching["is_on"] is True
    assert batching["reason"]
    assert batches < rows == _REQUESTS
    assert server.stop() == 0


def _batches(server: Server) -> tuple[int, int]:
    """How many calls of the model there were, and how many rows they had together, once all rows are counted."""
    wait_until(lambda: _counted(server)[1] >= _REQUESTS, 150, "each answer is counted, after it has left")
    return _counted(server)


def _counted(server: Server) -> tuple[int, int]:
    page = server.get("/metrics")[2].decode()
    calls = re.search(r"^podium_batch_rows_count\S* (\d+)", page, re.MULTILINE)
    rows = re.search(r"^podium_batch_rows_sum\S* (\d+)", page, re.MULTILINE)
    assert calls, page
    assert rows, page
    return int(calls[1]), int(rows[1])
