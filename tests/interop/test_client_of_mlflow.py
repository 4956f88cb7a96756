"""podium's client, and the folder that podium saved, against MLflow's own server."""

import os

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from sklearn.linear_model import LogisticRegression

import podium.sklearn
from podium import errors
from podium.api.comparing import mlflow_server
from podium.client import Client

PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
pytestmark = pytest.mark.mlflow


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow")
def test_the_client_asks_mlflows_server_as_it_asks_podiums(tmp_path):
    """Frames, records and arrays; refusals by their class; and what MLflow has not is said to be missing."""
    X, y = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=1000).fit(X, y)
    podium.sklearn.save_model(model, tmp_path / "model", input_example=X.head(2))
    assert PYTHON is not None

    with mlflow_server(tmp_path / "model", PYTHON, 240) as url, Client(url) as client:
        answers = [client.predict(data) for data in (X, X.to_dict("records"), {n: X[n].to_numpy() for n in X})]
        raw = client.predict_raw(X.head(1))
        is_ready = client.ready()
        with pytest.raises(errors.SchemaMismatch, match="missing inputs"):
            client.predict(X.drop(columns=X.columns[0]))
        with pytest.raises(errors.NotFound, match="MLflow"):
            client.models()
        with pytest.raises(errors.NotFound):
            client.predict(X, model="iris")

    assert is_ready
    assert (raw.json(), raw.version) == ({"predictions": [0]}, "")
    for answer in answers:
        assert isinstance(answer, np.ndarray)
        pd.testing.assert_series_equal(pd.Series(answer), pd.Series(model.predict(X)))
