"""A few small models of each flavor, for its conformance: `SAMPLES[flavor][title]()` makes one.

Another flavor adds its own: a function for each, which imports the library inside, named in `SAMPLES`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from podium import pyfunc
from podium.flavors.conformance import Sample

TABLE = pd.DataFrame({"a": [0.5, -1.0, 3.25], "b": [2.0, 0.125, -4.0]})
ARRAY = TABLE.to_numpy()
MANY = pd.DataFrame({"a": np.arange(12) / 4.0, "b": np.arange(12) % 5 - 2.5})
PICKLED = {"serialization_format": "pickle"}


def sklearn_classifier() -> Sample:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(TABLE, ["yes", "no", "yes"])
    return Sample("classifier", model, TABLE, model.predict(TABLE), is_reproducible=False)


def sklearn_pickled() -> Sample:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(ARRAY, ARRAY.sum(axis=1))
    options = {"serialization_format": "cloudpickle"}
    return Sample("pickled", model, ARRAY, model.predict(ARRAY), options)


def onnx_graph() -> Sample:
    import onnx

    graph = '<ir_version: 8, opset_import: ["" : 17]> doubles (float[N, 2] x) => (float[N, 2] y) { y = Add(x, x) }'
    data = ARRAY.astype(np.float32)
    return Sample("graph", onnx.parser.parse_model(graph), data, {"y": data + data})


def pytorch_module() -> Sample:
    torch, module = _linear()
    data = ARRAY.astype(np.float32)
    return Sample("module", module, data, module(torch.from_numpy(data)).detach().numpy(), PICKLED)


def pytorch_graph() -> Sample:
    torch, module = _linear()
    data = ARRAY.astype(np.float32)
    answer = module(torch.from_numpy(data)).detach().numpy()
    return Sample("graph", module, data, answer, {"serialization_format": "pt2"}, data, False)


def _linear():
    import torch

    torch.manual_seed(7)
    return torch, torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()).eval()


def keras_model() -> Sample:
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
    data = ARRAY.astype(np.float32)
    return Sample("dense", model, data, model.predict(data, verbose=0), is_reproducible=False)


def tensorflow_module() -> Sample:
    import tensorflow as tf

    class Weighing(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.fill((2, 3), 2.0))

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])
        def __call__(self, x):
            return x @ self.weights

    model, data = Weighing(), ARRAY.astype(np.float32)
    return Sample("module", model, data, model(data).numpy(), is_reproducible=False)


def xgboost_classifier() -> Sample:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(TABLE, [1, 0, 1])
    return Sample("classifier", model, TABLE, model.predict(TABLE))


def lightgbm_regressor() -> Sample:
    import lightgbm

    model = lightgbm.LGBMRegressor(n_estimators=3, min_child_samples=1, n_jobs=1, verbose=-1).fit(MANY, MANY["a"] * 2)
    return Sample("regressor", model, MANY, model.predict(MANY), is_reproducible=False)


def lightgbm_booster() -> Sample:
    import lightgbm

    given = {"objective": "regression", "min_data_in_leaf": 1, "verbose": -1, "num_threads": 1}
    model = lightgbm.train(given, lightgbm.Dataset(MANY, MANY["a"]), 3)
    return Sample("booster", model, MANY, model.predict(MANY))


def catboost_regressor() -> Sample:
    import catboost

    model = catboost.CatBoostRegressor(iterations=3, depth=2, thread_count=1, verbose=False, allow_writing_files=False)
    model.fit(MANY, MANY["a"] * 2)
    return Sample("regressor", model, MANY, model.predict(MANY), is_reproducible=False)


def statsmodels_results() -> Sample:
    import statsmodels.api as sm

    results = sm.OLS(MANY["a"] * 2 - MANY["b"], MANY).fit()
    return Sample("least squares", results, MANY, results.predict(MANY))


class Total(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1)


def python_class() -> Sample:
    return Sample("class", Total(), TABLE, TABLE.sum(axis=1))


def python_lambda() -> Sample:
    return Sample("lambda", lambda frame: frame["a"] * 2, TABLE, TABLE["a"] * 2, {"compression": "gzip"}, None, False)


SAMPLES: dict[str, dict[str, Callable[[], Sample]]] = {
    "onnx": {"graph": onnx_graph},
    "sklearn": {"classifier": sklearn_classifier, "pickled": sklearn_pickled},
    "pytorch": {"module": pytorch_module, "graph": pytorch_graph},
    "keras": {"dense": keras_model},
    "tensorflow": {"module": tensorflow_module},
    "xgboost": {"classifier": xgboost_classifier},
    "lightgbm": {"regressor": lightgbm_regressor, "booster": lightgbm_booster},
    "catboost": {"regressor": catboost_regressor},
    "statsmodels": {"least squares": statsmodels_results},
    "python_function": {"class": python_class, "lambda": python_lambda},
}
