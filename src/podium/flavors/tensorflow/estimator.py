"""What MLflow 1 saved of TensorFlow 1: a SavedModel with tags and one signature, answered in MLflow's form."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from podium.errors import InvalidModel


class LoadedEstimator:
    """One signature of a SavedModel: takes a dict or a table, answers a dict of lists or a table.

    Args:
        tensorflow: The module.
        model: What it restored; kept, for a graph holds its variables weakly.
        key: The signature's.

    Raises:
        InvalidModel: There is no such signature.
    """

    def __init__(self, tensorflow: Any, model: Any, key: str) -> None:
        if key not in model.signatures:
            raise InvalidModel(f"MLmodel's signature_def_key is {key!r}; the SavedModel has {sorted(model.signatures)}.")
        self.native = model
        self._tf = tensorflow
        self._call = model.signatures[key]

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Answer; params are ignored, as in MLflow.

        Raises:
            TypeError: Neither a dict nor a table.
        """
        del params
        pandas = sys.modules.get("pandas")
        if isinstance(data, dict):
            return self._answer({name: self._tensor(name, values) for name, values in data.items()})
        if pandas is None or not isinstance(data, pandas.DataFrame):
            raise TypeError("Only dict and DataFrame input types are supported")
        columns = {name: _values(data[name]) for name in dict.fromkeys(data.columns)}
        answer = self._answer({name: self._tensor(name, values) for name, values in columns.items()})
        return pandas.DataFrame.from_dict(answer)

    def _answer(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _listed(tensor.numpy()) for name, tensor in self._call(**tensors).items()}

    def _tensor(self, name: str, values: Any) -> Any:
        """The tensor that MLflow makes; or, where the graph wants another type, of that: JSON has but two for numbers."""
        spec = self._call.structured_input_signature[1].get(name)
        values = np.asarray(values)
        if spec is not None and values.dtype.kind in "fiu" and spec.dtype.is_floating:
            return self._tf.constant(values, spec.dtype)
        return self._tf.constant(values)


def _values(column: Any) -> Any:
    # Two columns of one name come as a table.
    return column.to_numpy() if column.ndim > 1 else np.array(column.to_list())


def _listed(values: Any) -> Any:
    """One value for each row flat, the rest as lists; MLflow's rule."""
    if values.ndim != 1 and all(len(each) == 1 for each in values):
        return values.ravel()
    return values.tolist()
