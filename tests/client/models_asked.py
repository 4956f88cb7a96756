"""The models that clients ask, and the server that has them: `podium serve` itself, once for all tests of a module."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
from sklearn.linear_model import LogisticRegression

import podium
import podium.pyfunc
import podium.sklearn
from podium.domain.signature import Column, ColumnSchema, DataType, Param, Signature

X, Y = sklearn.datasets.load_iris(return_X_y=True, as_frame=True)
FLOWERS = LogisticRegression(max_iter=1000).fit(X, Y)
MIXED = pd.DataFrame({"id": [2**53 + 1, 7], "name": ["a,b", 'say "x"'], "amount": [1.5, np.nan]})
_COLUMNS = (
    Column(DataType.LONG, "id"),
    Column(DataType.STRING, "name"),
    Column(DataType.DOUBLE, "amount", required=False),
)


class Echo(podium.pyfunc.PythonModel):
    """Answers its rows, each with a param; refuses an unlucky name, and what is none."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if model_input.empty or not all(isinstance(name, str) and name != "unlucky" for name in model_input["name"]):
            raise RuntimeError("unlucky")
        return model_input.assign(times=(params or {}).get("times", 1))


class Slow(podium.pyfunc.PythonModel):
    """Takes as many seconds as the first row says."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        time.sleep(float(model_input["seconds"].iloc[0]))
        return model_input["seconds"].to_numpy()


class Doubled(podium.pyfunc.PythonModel):
    """An array twice; refuses what is missing or infinite."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if not np.isfinite(model_input).all():
            raise ValueError("not finite")
        return model_input * 2


class Shown(podium.pyfunc.PythonModel):
    """Tells each row with its numbers and their types."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if isinstance(model_input, pd.DataFrame):
            return np.array([f"{row} {list(model_input.dtypes)}" for row in model_input.to_numpy().tolist()])
        return np.array([f"{row} {model_input.dtype}" for row in model_input.tolist()])


class Speller(podium.pyfunc.PythonModel):
    """Answers a text letter by letter; stumbles over a z."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input["word"].str.upper().tolist()

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Any:
        for letter in model_input["word"]:
            if letter == "z":
                raise ValueError("no z here")
            yield {"letter": letter, "times": params["times"]} if params["times"] > 1 else letter.upper()


def save_models(folder: Path) -> dict[str, str]:
    """Each model's folder by its name."""
    # No worker can import this module.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    podium.sklearn.save_model(FLOWERS, folder / "flowers", input_example=X.head(2))
    podium.pyfunc.save_model(
        folder / "echo",
        python_model=Echo(),
        signature=Signature(inputs=ColumnSchema(_COLUMNS), params=(Param("times", DataType.LONG, 1),)),
        input_example=(MIXED, {"times": 1}),
    )
    slow = pd.DataFrame({"seconds": [0.0]})
    podium.pyfunc.save_model(
        folder / "slow", python_model=Slow(), signature=podium.infer_signature(slow), input_example=slow
    )
    square = np.ones((2, 3), np.float32)
    podium.pyfunc.save_model(
        folder / "doubled", python_model=Doubled(), signature=podium.infer_signature(square, square), input_example=square
    )
    podium.pyfunc.save_model(folder / "shown", python_model=Shown())
    podium.pyfunc.save_model(
        folder / "speller",
        python_model=Speller(),
        signature=Signature(
            inputs=ColumnSchema((Column(DataType.STRING, "word"),)), params=(Param("times", DataType.LONG, 1),)
        ),
    )
    return {name: str(folder / name) for name in ("flowers", "echo", "slow", "doubled", "shown", "speller")}


@contextlib.contextmanager
def served(folder: Path, *names: str, **settings: Any) -> Iterator[Any]:
    """A server of these models, or of all, in a home of its own."""
    models = save_models(folder)
    with contextlib.ExitStack() as running:
        # Only while it begins: it may run for longer than the tests that know of it.
        with pytest.MonkeyPatch.context() as environ:
            environ.setenv("PODIUM_HOME", str(folder / "home"))
            server = running.enter_context(podium.serve({name: models[name] for name in names or models}, **settings))
        yield server
