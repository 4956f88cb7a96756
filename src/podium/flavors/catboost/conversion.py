"""CatBoost's trees as ONNX, by CatBoost's own export: single precision, as CatBoost itself compares."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, Claim, Inputs
from podium.flavors.conversions import (
    Attempt,
    Conversion,
    ConversionSample,
    NotConverted,
    installed,
    one_array,
    refuse_text,
)
from podium.flavors.onnx_way import Graph, rename_input

_METHODS = ("predict", "predict_proba")


class ModelConverter:
    """The converter of a CatBoost model.

    Args:
        native: The model.
        method: The one that answers.
    """

    def __init__(self, native: Any, method: str) -> None:
        self._native = native
        self._method = method

    def versions(self) -> dict[str, str]:
        return installed("catboost", "onnx", "onnxruntime")

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """One: another precision than CatBoost's own compares otherwise.

        Raises:
            NotConverted: Text, features of categories, text or embeddings, or another method.
        """
        refuse_text(inputs, "CatBoost")
        native = self._native
        others = (native.get_cat_feature_indices, native.get_text_feature_indices, native.get_embedding_feature_indices)
        if any(len(positions()) for positions in others):
            raise NotConverted(
                "It has features of categories, text or embeddings, which CatBoost's export does not take. Encode them as "
                "numbers before training, or serve the model as it is."
            )
        if self._method not in _METHODS:
            raise NotConverted(f"{self._method} has no counterpart in ONNX.")
        return [Attempt("whole", "float", lambda sample: self._converted(inputs, sample))]

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """The borders of all features."""
        del inputs
        return {feature: list(borders) for feature, borders in self._native.get_borders().items() if borders}

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        graph, native = Graph(path, inputs, spec), self._native
        if not spec["is_label"]:
            return Claim(graph.answer, what)
        # The export knows classes by number; their names are the model's.
        classes, shape = np.asarray(native.classes_), (-1, *spec["rest"])

        def labels(batch: Batch) -> Any:
            return classes.take(np.argmax(graph.answer(batch), axis=1)).reshape(shape)

        return Claim(labels, what, (("predict_proba", graph.answer, native.predict_proba),))

    def _converted(self, inputs: Inputs, sample: ConversionSample) -> Conversion:
        import onnx

        answer = one_array(sample.answer)
        if self._method == "predict" and answer.ndim > 1 and answer.shape[1] > 1:
            raise NotConverted(
                f"It answers with {answer.shape[1]} numbers for a row; a conversion has one. Train a model for each, "
                "or serve it as it is."
            )
        with tempfile.TemporaryDirectory(prefix="podium-catboost-") as place:
            file = Path(place) / "model.onnx"
            try:
                self._native.save_model(str(file), format="onnx")
            except Exception as error:
                raise NotConverted(f"CatBoost: {str(error).strip()[:300]}") from error
            made = onnx.load(file)
        is_classifier = _without_maps(made)
        rename_input(made)
        if is_classifier and not hasattr(self._native, "predict_proba"):
            raise NotConverted(
                "A CatBoost of no particular kind answers with raw sums, which its export leaves out. Load it as a "
                "CatBoostClassifier and save that, or serve it as it is."
            )
        is_label = is_classifier and self._method == "predict"
        spec = {
            "types": ["float"] * len(inputs.dtypes),
            "matrix": "float",
            "is_split": False,
            "output": made.graph.output[-1].name,
            "dtype": "<f4" if is_classifier else answer.dtype.str,
            "is_flat": not is_classifier and answer.ndim == 1,
            "scores": None,
            "is_label": is_label,
            "rest": list(answer.shape[1:]),
        }
        return Conversion(made.SerializeToString(), spec)


def _without_maps(made: Any) -> bool:
    """Answer with the matrix of probabilities instead of a map for each row; whether the graph is a classifier's."""
    from onnx import TensorProto, helper

    maps = [node for node in made.graph.node if node.op_type == "ZipMap"]
    for node in maps:
        position = next(i for i, output in enumerate(made.graph.output) if output.name == node.output[0])
        info = helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, [None, None])
        made.graph.output[position].CopyFrom(info)
        made.graph.node.remove(node)
    return bool(maps)
