"""LightGBM's trees as ONNX: in double precision by podium's own graph, in single precision by onnxmltools."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

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
from podium.flavors.lightgbm.graph import Forest, graph_of
from podium.flavors.onnx_way import Graph


class BoosterConverter:
    """The converter of a Booster; what an estimator makes of its Booster's answer is done after the graph.

    Args:
        booster: LightGBM's.
        finish: From the Booster's answer to the estimator's, None where that is not known.
        scores: Of an estimator that answers with labels, its predict_proba, and that from the Booster's answer.
    """

    def __init__(
        self,
        booster: Any,
        finish: Callable[[Any], Any] | None,
        scores: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None,
    ) -> None:
        self._booster = booster
        self._finish = finish
        self._scores = scores

    def versions(self) -> dict[str, str]:
        return installed("onnxmltools", "lightgbm", "onnx", "onnxruntime")

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """Double precision first: LightGBM compares so, and single precision flips what lies between two of its numbers.

        Raises:
            NotConverted: Text, categories, or a function of the user's in its answer.
        """
        refuse_text(inputs, "LightGBM")
        if self._finish is None:
            raise NotConverted(
                "Its answer depends on an objective of the user's or on params of prediction, which no graph holds. podium "
                "serves it as it is."
            )
        forest = Forest.of(self._booster.model_to_string())
        return [
            Attempt("whole", "double", lambda sample: self._own(forest, inputs, sample)),
            Attempt("whole", "float", partial(self._by_onnxmltools, forest, inputs)),
        ]

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """The thresholds of all trees."""
        del inputs
        return Forest.of(self._booster.model_to_string()).thresholds()

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        graph, finish = Graph(path, inputs, spec), self._finish
        if finish is None:
            raise NotConverted("Its answer depends on params of prediction.")
        if self._scores is None:
            return Claim(lambda batch: finish(graph.answer(batch)), what)
        original, made = self._scores
        inner = (("predict_proba", lambda batch: made(graph.answer(batch)), original),)
        return Claim(lambda batch: finish(graph.answer(batch)), what, inner)

    def _own(self, forest: Forest, inputs: Inputs, sample: ConversionSample) -> Conversion:
        one_array(sample.answer)
        return Conversion(graph_of(forest, len(inputs.dtypes)), _spec(inputs, "double", "answer", forest.outputs == 1))

    def _by_onnxmltools(self, forest: Forest, inputs: Inputs, sample: ConversionSample) -> Conversion:
        from onnxmltools.convert import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        one_array(sample.answer)
        try:
            initial = [("input", FloatTensorType([None, len(inputs.dtypes)]))]
            made = convert_lightgbm(self._booster, initial_types=initial, zipmap=False)
        except Exception as error:
            raise NotConverted(f"onnxmltools: {type(error).__name__}: {str(error).strip()[:300]}") from error
        last, is_flat = made.graph.output[-1].name, forest.outputs == 1
        column = 1 if is_flat and len(made.graph.output) > 1 else None
        return Conversion(made.SerializeToString(), {**_spec(inputs, "float", last, is_flat), "column": column})


def _spec(inputs: Inputs, precision: str, output: str, is_flat: bool) -> dict[str, Any]:
    return {
        "types": [precision] * len(inputs.dtypes),
        "matrix": precision,
        "is_split": False,
        "output": output,
        "dtype": "<f8",
        "is_flat": is_flat,
        "scores": None,
    }
