"""scikit-learn's models as ONNX, by skl2onnx: an attempt, which a proof accepts or rejects."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from podium.flavors.claims import Claim, Inputs, NotTakenError
from podium.flavors.conversions import Attempt, Conversion, ConversionSample, NotConverted, installed, one_array
from podium.flavors.onnx_way import Graph
from podium.flavors.sklearn.shortcuts import claims_of, prepared

# Double precision first: linear models need it, and trees, which compare single precision, refute it.
PRECISIONS = ("double", "float")


class EstimatorConverter:
    """An estimator's converter: a pipeline's last step alone after exact ones, or all of it.

    Args:
        estimator: Fitted.
        method: The one that answers.
    """

    def __init__(self, estimator: Any, method: str) -> None:
        self._estimator = estimator
        self._method = method

    def versions(self) -> dict[str, str]:
        return installed("skl2onnx", "sklearn", "onnx", "onnxruntime")

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """The last step alone first, for what stands before it is exact then."""
        split = prepared(self._estimator, self._method, inputs)
        parts = [] if split is None else [("split", split[2], split[1])]
        return [
            Attempt(form, precision, partial(_converted, estimator, self._method, inputs, precision, width))
            for form, estimator, width in [*parts, ("whole", self._estimator, None)]
            for precision in PRECISIONS
        ]

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """Thresholds and categories, as far as the exact ways know them."""
        try:
            claims = claims_of(self._estimator, self._method, inputs)
        except Exception:  # noqa: BLE001 - what is not known exactly has no edges that are known
            return {}
        return dict(claims[0].edges) if claims else {}

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        split = prepared(self._estimator, self._method, inputs) if spec["is_split"] else None
        if spec["is_split"] and split is None:
            raise NotTakenError("the steps before the last one")
        graph = Graph(path, inputs, spec, None if split is None else split[0])
        inner = () if spec["scores"] is None else (("predict_proba", graph.scores, self._estimator.predict_proba),)
        return Claim(graph.answer, what, inner)


def _converted(
    estimator: Any, method: str, inputs: Inputs, precision: str, width: int | None, sample: ConversionSample
) -> Conversion:
    """Try to convert; of a pipeline's last step, `width` is how many columns it takes.

    Raises:
        NotConverted: skl2onnx does not take it; says why.
    """
    from skl2onnx import convert_sklearn

    answer = one_array(sample.answer)
    is_classifier = hasattr(estimator, "classes_")
    if method not in ({"predict", "predict_proba"} if is_classifier else {"predict"}):
        raise NotConverted(f"{method} has no counterpart in ONNX.")
    types = [_type(dtype, precision) for dtype in inputs.dtypes]
    is_matrix = width is not None or inputs.names is None or not _looks_at_names(estimator)
    if is_matrix and width is None and inputs.dtype is None:
        raise NotConverted("It takes a matrix, and its columns are of several types.")
    names = [] if is_matrix else list(inputs.names or ())
    initial = _initial(precision, width or len(types)) if is_matrix else _initials(names, types)
    try:
        options = {id(estimator): {"zipmap": False}} if is_classifier else None
        made = convert_sklearn(estimator, initial_types=initial, options=options)
        _rename(made, names)
    except Exception as error:
        raise NotConverted(f"skl2onnx: {type(error).__name__}: {str(error).strip()[:300]}") from error
    outputs = [output.name for output in made.graph.output]
    spec = {
        "types": types,
        "matrix": precision if is_matrix else None,
        "is_split": width is not None,
        "output": outputs[1 if method == "predict_proba" else 0],
        "dtype": "object" if answer.dtype.hasobject or answer.dtype.kind == "U" else answer.dtype.str,
        "is_flat": answer.ndim == 1,
        "scores": outputs[1] if is_classifier and method == "predict" and hasattr(estimator, "predict_proba") else None,
    }
    return Conversion(made.SerializeToString(), spec)


def _initial(precision: str, width: int) -> list[tuple[str, Any]]:
    return [("input", _tensors()[precision]([None, width]))]


def _initials(names: list[str], types: list[str]) -> list[tuple[str, Any]]:
    tensors = _tensors()
    return [(name, tensors[kind]([None, 1])) for name, kind in zip(names, types, strict=True)]


def _tensors() -> dict[str, Any]:
    from skl2onnx.common import data_types as kinds

    return {
        "float": kinds.FloatTensorType,
        "double": kinds.DoubleTensorType,
        "int64": kinds.Int64TensorType,
        "bool": kinds.BooleanTensorType,
        "string": kinds.StringTensorType,
    }


def _type(dtype: "np.dtype[Any] | None", precision: str) -> str:
    if dtype is None:
        return "string"
    return {"f": precision, "i": "int64", "u": "int64", "b": "bool"}[dtype.kind]


def _looks_at_names(estimator: Any) -> bool:
    steps = [step for _, step in getattr(estimator, "steps", [])]
    return any(type(each).__name__ == "ColumnTransformer" for each in (estimator, *steps))


def _rename(made: Any, names: list[str]) -> None:
    """Inputs by position: names of columns may hold anything."""
    wanted = {name: f"input{i}" for i, name in enumerate(names)}
    actual = [entry.name for entry in made.graph.input]
    if names and len(actual) != len(names):
        raise ValueError(f"the graph has {len(actual)} inputs for {len(names)} columns")
    mapped = dict(zip(actual, wanted.values(), strict=False))
    for entry in made.graph.input:
        entry.name = mapped.get(entry.name, entry.name)
    for node in made.graph.node:
        node.input[:] = [mapped.get(name, name) for name in node.input]
