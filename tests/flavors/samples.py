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
    "python_function": {"class": python_class, "lambda": python_lambda},
}
