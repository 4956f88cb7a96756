"""A registered model in three versions that answer differently, and a podium that is always cleaned up."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import Podium, Server, Versions

NAME = "recommendation-engine"

# Three versions of a regression on scikit-learn's diabetes data, a thousand apart: an answer tells which one gave it.
_REGISTER = """
import json, sys
import podium.sklearn
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

X, y = load_diabetes(return_X_y=True, as_frame=True)
expected = {}
for version in (1, 2, 3):
    model = Ridge(alpha=0.1 * version).fit(X, y + 1000 * version)
    podium.sklearn.log_model(
        model, name="m", signature=podium.infer_signature(X, model.predict(X)), input_example=X.head(1),
        registered_model_name=sys.argv[1],
    )
    expected[str(version)] = {"predictions": [float(model.predict(X.head(1))[0])]}
body = {"dataframe_split": X.head(1).to_dict(orient="split", index=False)}
print(json.dumps({"body": body, "expected": expected}))
"""


@pytest.fixture
def podium(tmp_path: Path) -> Iterator[Podium]:
    """A home of its own. After each test no process of it runs, and no socket or shared memory of it is left."""
    made = Podium(tmp_path)
    yield made
    left = made.processes()
    made.end()
    assert left == {}
    assert made.leftovers() == []


@pytest.fixture
def versions(podium: Podium) -> Versions:
    """Three versions, the first of them in Production."""
    # The last line: a library may print on import.
    made = json.loads(podium.python(_REGISTER, NAME).splitlines()[-1])
    podium.run("models", "promote", NAME, "1")
    return Versions(NAME, f"models:/{NAME}/production", made["body"], made["expected"])


@pytest.fixture
def server(podium: Podium, versions: Versions) -> Iterator[Server]:
    """Two gateways and two replicas of what is in Production; stopped and seen to stop cleanly, if it still runs."""
    running = podium.serve(versions.uri, "-w", "2", "--gateways", "2")
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0


@pytest.fixture
def seconds() -> float:
    """How long a load lasts: PODIUM_TEST_LOAD_SECONDS, or 10. The issue's figure is 60: see benchmarks/README.md."""
    return float(os.environ.get("PODIUM_TEST_LOAD_SECONDS", "10"))
