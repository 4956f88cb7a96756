"""Workers answer by a conversion that was accepted before, also where they may not look into podium's home."""

import warnings

import numpy as np
import pandas as pd
import pytest
from reachable import opened
from sklearn.linear_model import LogisticRegression
from test_isolated import can_sandbox
from tinyhouse import House

import podium.sklearn
from podium.api.accelerating import accelerate
from podium.api.registering import Registry
from podium.models.infer import infer_signature
from podium.settings.environments import environment_order
from podium.settings.home import Home

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


@pytest.fixture(params=["sandbox", "user"])
def isolated(request):
    if request.param == "sandbox":
        if not can_sandbox():
            pytest.skip("bubblewrap is not installed, or this machine allows no user namespaces")
        return ["--isolation", "sandbox"], ()
    before = opened()
    if before is None:
        pytest.skip("this process may not become another user")
    return ["--isolation", "user", "--worker-user", "nobody"], before


def test_an_isolated_worker_reads_the_copy_of_its_conversion(house, isolated):
    """The conversion lies in podium's home, of which such a worker sees nothing."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=80), "b": rng.normal(size=80)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        podium.sklearn.save_model(
            LogisticRegression().fit(table, table["a"] > 0), house.folder / "model", signature=infer_signature(table)
        )
    registry = Registry(house.home)
    registry.register(house.folder / "model", "tiny")
    found = registry.resolve("models:/tiny/1")
    assert accelerate(found, environment_order("local", {}), Home(house.home), lambda text: None).is_accepted

    flags, before = isolated
    with house.serving(*flags, "--runtime", "onnx", uri="models:/tiny/1", before=before) as server:
        model = server.status["model"]

        assert "its conversion to ONNX" in model["runtime"]
        assert model["proof"]["is_accepted"]
        assert server.stop() == 0
