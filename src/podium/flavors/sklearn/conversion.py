"""scikit-learn's models as ONNX, by skl2onnx: an attempt, which a proof accepts or rejects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.errors import MissingDependency, PodiumError
from podium.flavors.claims import Inputs

PRECISIONS = ("double", "float")


class NotConverted(PodiumError):
    """No converter takes this model."""

    code = "NOT_CONVERTED"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted model: the file's bytes, and how to feed it (`onnx_way.onnx_claim`)."""

    model: bytes
    spec: Mapping[str, Any]


def versions() -> dict[str, str]:
    """Of what converts.

    Raises:
        MissingDependency: It is not installed here.
    """
    try:
        import onnx
        import onnxruntime
        import skl2onnx
        import sklearn
    except ImportError as error:
        raise MissingDependency(str(error.name), "Conversion to ONNX", "accelerate") from error
    return {each.__name__: str(each.__version__) for each in (skl2onnx, sklearn, onnx, onnxruntime)}


def convert(estimator: Any, method: str, inputs: Inputs, precision: str, answer: Any, width: int | None) -> Conversion:
    """Try to convert.

    Args:
        estimator: Fitted; a pipeline's last step where the steps before it stay what they are.
        method: `predict` or `predict_proba`.
        inputs: What batches look like.
        precision: `double` or `float`: what numbers are computed in.
        answer: What the model answers to some rows, for the type and shape of answers.
        width: Columns of the matrix that a last step takes; None for a whole model.

    Raises:
        NotConverted: skl2onnx does not take it; says why.
    """
    from skl2onnx import convert_sklearn

    is_classifier = hasattr(estimator, "classes_")
    if method not in ({"predict", "predict_proba"} if is_classifier else {"predict"}):
        raise NotConverted(f"{method} has no counterpart in ONNX.")
    if not isinstance(answer, np.ndarray):
        raise NotConverted(f"The model answers with a {type(answer).__name__}; expected an array.")
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
