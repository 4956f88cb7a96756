"""XGBoost's trees as ONNX, by onnxmltools: single precision, as XGBoost itself compares and adds."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podium.flavors.claims import Claim, Inputs
from podium.flavors.conversions import (
    Attempt,
    Conversion,
    ConversionSample,
    NotConverted,
    installed,
    one_array,
    refuse_text,
)
from podium.flavors.onnx_way import Graph

_METHODS = ("predict", "predict_proba")
_LABELS, _PROBABILITIES = "label", "probabilities"


class BoosterConverter:
    """The converter of a Booster, or of an estimator by its Booster.

    Args:
        native: What the user saved.
        method: The one that answers.
    """

    def __init__(self, native: Any, method: str) -> None:
        self._native = native
        self._method = method
        self._booster = native.get_booster() if hasattr(native, "get_booster") else native

    def versions(self) -> dict[str, str]:
        return installed("onnxmltools", "xgboost", "onnx", "onnxruntime")

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """One: another precision than XGBoost's own compares otherwise.

        Raises:
            NotConverted: Text, categories, several outputs, other learners than trees, or another method.
        """
        refuse_text(inputs, "XGBoost")
        config = json.loads(self._booster.save_config())["learner"]
        kind = config["gradient_booster"]["name"]
        if kind != "gbtree":
            raise NotConverted(f"Its booster is {kind}; only gbtree's trees are converted. podium serves it as it is.")
        if "c" in (self._booster.feature_types or ()):
            raise NotConverted(
                "It splits on categories, whose codes are known to XGBoost alone. Encode them as numbers before training "
                "(one column for each, or an order), or serve the model as it is."
            )
        if (targets := int(config["learner_model_param"].get("num_target", 1))) > 1:
            raise NotConverted(
                f"It answers with {targets} targets; a conversion answers with one. Train a model for each, or serve it "
                "as it is."
            )
        if callable(getattr(self._native, "objective", None)):
            raise NotConverted(
                "Its objective is a function of the user's, which no graph holds. podium serves it as it is."
            )
        if self._method not in _METHODS:
            raise NotConverted(f"{self._method} has no counterpart in ONNX.")
        return [Attempt("whole", "float", lambda sample: self._converted(inputs, config["objective"]["name"], sample))]

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """The thresholds of all trees."""
        del inputs
        trees = json.loads(bytes(self._booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
        found: dict[int, set[float]] = {}
        for tree in trees:
            nodes = zip(tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True)
            for left, feature, threshold in nodes:
                if left >= 0:
                    found.setdefault(feature, set()).add(float(np.float32(threshold)))
        return {feature: sorted(values) for feature, values in found.items()}

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        graph = Graph(path, inputs, spec)
        inner = () if spec["scores"] is None else (("predict_proba", graph.scores, self._native.predict_proba),)
        return Claim(graph.answer, what, inner)

    def _converted(self, inputs: Inputs, objective: str, sample: ConversionSample) -> Conversion:
        from onnxmltools.convert import convert_xgboost
        from onnxmltools.convert.common.data_types import FloatTensorType

        answer = one_array(sample.answer)
        try:
            made = convert_xgboost(
                self._answering(), initial_types=[("input", FloatTensorType([None, len(inputs.dtypes)]))]
            )
        except Exception as error:
            raise NotConverted(
                f"onnxmltools, with the objective {objective}: {type(error).__name__}: {str(error).strip()[:300]}"
            ) from error
        outputs = [output.name for output in made.graph.output]
        is_classifier = len(outputs) > 1
        # A Booster answers with probabilities, of two classes the second one's, unless its objective is the label itself.
        is_label = (
            is_classifier and answer.ndim == 1 and (self._native is not self._booster or objective == "multi:softmax")
        )
        output = outputs[0] if not is_classifier or is_label else _PROBABILITIES
        has_scores = is_label and hasattr(self._native, "predict_proba")
        spec = {
            "types": ["float"] * len(inputs.dtypes),
            "matrix": "float",
            "is_split": False,
            "output": _LABELS if is_label else output,
            "column": 1 if output == _PROBABILITIES and answer.ndim == 1 else None,
            "dtype": answer.dtype.str,
            "is_flat": answer.ndim == 1,
            "scores": _PROBABILITIES if has_scores else None,
        }
        return Conversion(made.SerializeToString(), spec)

    def _answering(self) -> Any:
        """A copy of the Booster with the trees that answer, and without names: onnxmltools reads numbers from them."""
        booster = self._booster
        stopped = booster.attr("best_iteration")
        booster = booster[: int(stopped) + 1] if stopped is not None and booster is not self._native else booster.copy()
        booster.feature_names = booster.feature_types = None
        for name in booster.attributes():
            booster.set_attr(**{name: None})
        return booster
