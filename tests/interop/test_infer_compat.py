"""MLflow's infer_signature and podium's, given the same examples."""

import json
import os
import subprocess
import warnings
from pathlib import Path

import pytest

from podium.models.infer import infer_signature

pytestmark = pytest.mark.mlflow

# Python expressions: (input, params). np, pd, dt are at hand.
EXAMPLES = [
    "pd.DataFrame({'a': [1.0, 2.0], 'b': ['x', 'y']})",
    "pd.DataFrame({'a': [1.0, None], 'b': ['x', None]})",
    "pd.DataFrame({'a': [1, 2], 'b': [True, False], 'c': np.array([1, 2], dtype='int32')})",
    "pd.DataFrame({'a': np.array([1], dtype='int8'), 'c': np.array([1], dtype='uint32')})",
    "pd.DataFrame({'b': np.array([1], dtype='uint16')})",
    "pd.DataFrame({'a': np.array([1], dtype='float16'), 'b': np.array([1], dtype='float32')})",
    "pd.DataFrame({'t': pd.to_datetime(['2024-01-02']), 'z': pd.to_datetime(['2024-01-02']).tz_localize('UTC')})",
    "pd.DataFrame({'d': [dt.date(2024, 1, 2)], 'b': [b'x'], 'n': [None]})",
    "pd.DataFrame({'l': [[1, 2], [3]], 'o': [{'k': 1}, {'k': 2, 'm': 'x'}]})",
    "pd.DataFrame({'i': pd.array([1, None], dtype='Int64'), 's': pd.array(['a', None], dtype='string')})",
    "pd.DataFrame({'b': pd.array([True, None], dtype='boolean')})",
    "pd.DataFrame(np.zeros((2, 2)))",
    "pd.DataFrame({'u': np.array([1], dtype='uint64')})",
    "pd.DataFrame({'c': pd.Categorical(['a'])})",
    "pd.DataFrame({'m': [1, 'a']})",
    "pd.Series([1.5, 2.5])",
    "pd.Series(['a'], name='s')",
    "np.zeros((2, 3), dtype='float32')",
    "np.array(['a', 'bc'])",
    "np.array([b'a'])",
    "np.array([1, 'a', None], dtype=object)",
    "np.array(5)",
    "np.zeros((0, 3))",
    "{'x': np.zeros((2, 3)), 'y': np.array([1, 2])}",
    "{'x': 'text', 'y': [1, 2], 'z': {'k': 1.5}}",
    "{'x': None, 'y': [None], 'z': []}",
    "{'x': [{'a': 1}, {'a': None, 'b': 'x'}]}",
    "{'x': np.array([1]), 'y': 1}",
    "{1: 'a'}",
    "{}",
    "[]",
    "['a', 'b']",
    "[1, 2]",
    "[1, 'a']",
    "[1, 2.5]",
    "[['a'], []]",
    "[None]",
    "[[1, 2], [3, 4]]",
    "[{'a': 1, 'b': 'x'}, {'a': 2, 'b': None}]",
    "[{'a': 1}, {'b': 2}]",
    "[{'a': {'b': [1]}}, {'a': {'b': []}}]",
    "[{'a': [{'k': 1}, {'k': 2, 'l': 'x'}]}]",
    "[{'a': None}, {'a': {'k': 1}}]",
    "[{'a': {'k': 1}}, {'a': None}]",
    "[{'a': [None, 1]}, {'a': [2]}]",
    "'text'",
    "5",
    "1.5",
    "True",
    "b'x'",
    "np.float32(1)",
    "np.int64(1)",
    "dt.datetime(2024, 1, 2)",
    "dt.date(2024, 1, 2)",
    "np.datetime64('2024-01-02')",
    "(1, 2)",
    "object()",
    "csr_matrix(np.eye(2))",
]
PARAMS = [
    "{'t': 0.5, 'n': 1, 's': 'x', 'f': True, 'l': ['a'], 'm': [1, 2]}",
    "{'d': dt.date(2024, 1, 2), 'e': dt.datetime(2024, 1, 2, 3), 'x': np.float32(0.5), 'y': np.int32(3)}",
    "{'o': {'k': 1, 'l': ['a']}}",
    "{'a': np.array([1.5, 2.5])}",
    "{'b': b'x'}",
    "{'n': None}",
    "{'l': [[1]]}",
    "{'m': [1, 'a']}",
]
SETUP = """
import datetime as dt, json, logging, os, sys, warnings
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
import numpy as np, pandas as pd
from scipy.sparse import csr_matrix
"""
THEIRS = (
    SETUP
    + """
from mlflow.models import infer_signature
asked = json.load(sys.stdin)
answers = []
for data, params in asked:
    try:
        signature = infer_signature(eval(data), params=eval(params))
        answers.append(signature.to_dict())
    except Exception as error:
        answers.append("refused")
print("\\n" + json.dumps(answers))
"""
)
# An empty dict: MLflow says a schema of tensors without any tensor, and cannot read it back.
DIFFERENT = {"{}", "(1, 2)"}


@pytest.fixture(scope="module")
def asked() -> list[tuple[str, str]]:
    return [(data, "None") for data in EXAMPLES] + [("None", params) for params in PARAMS]


@pytest.fixture(scope="module")
def theirs(asked: list[tuple[str, str]]) -> list[object]:
    python = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
    if not python:
        pytest.skip("PODIUM_TEST_MLFLOW_PYTHON names no Python with MLflow")
    done = subprocess.run(
        [python, "-c", THEIRS],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
        cwd=Path("/"),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers: list[object] = json.loads(done.stdout.splitlines()[-1])
    return answers


def test_signatures_are_those_that_mlflow_infers(asked: list[tuple[str, str]], theirs: list[object]) -> None:
    """As JSON, part by part; and what MLflow refuses is refused."""
    names: dict[str, object] = {}
    exec(SETUP, names)
    different = {}

    for (data, params), their in zip(asked, theirs, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ours: object = infer_signature(eval(data, names), params=eval(params, names)).to_dict()
            except Exception as error:
                ours = "refused" if type(error).__name__ == "InvalidInput" else repr(error)
        if ours != their and data not in DIFFERENT:
            different[data if data != "None" else params] = (ours, their)

    assert different == {}
