"""The service as BentoML's documentation writes it: numpy or pandas in, adaptive batching where the input is an array."""

import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pandas as pd
import yaml

_FOLDER = Path(os.environ["MODEL_FOLDER"])
_FLAVORS = yaml.safe_load((_FOLDER / "MLmodel").read_text())["flavors"]
_IS_FRAME = "tensor" not in yaml.safe_load((_FOLDER / "MLmodel").read_text())["signature"]["inputs"]


def _loaded() -> Any:
    if "onnx" not in _FLAVORS:
        import joblib

        return joblib.load(_FOLDER / _FLAVORS["sklearn"]["pickled_model"]).predict
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(_FOLDER / _FLAVORS["onnx"]["data"], options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {session.get_inputs()[0].name: np.asarray(rows, dtype=np.float32)})[0]


if _IS_FRAME:

    @bentoml.service(workers=1, traffic={"timeout": 60})
    class Bench:
        """A DataFrame in; batching of frames answered 503 under load, so each request is predicted by itself."""

        def __init__(self) -> None:
            self._predict = _loaded()

        @bentoml.api
        def predict(self, rows: pd.DataFrame) -> np.ndarray:
            return np.asarray(self._predict(rows))

else:

    @bentoml.service(workers=1, traffic={"timeout": 60})
    class Bench:
        """An array in, batched."""

        def __init__(self) -> None:
            self._predict = _loaded()

        @bentoml.api(batchable=True, max_batch_size=1000, max_latency_ms=10_000)
        def predict(self, rows: np.ndarray) -> np.ndarray:
            return np.asarray(self._predict(rows))
