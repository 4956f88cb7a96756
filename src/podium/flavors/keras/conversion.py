"""Keras' models as ONNX, by Keras' own export, which needs tf2onnx where TensorFlow is its backend."""

import contextlib
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.flavors.claims import Claim, Inputs
from podium.flavors.conversions import (
    NETWORK_BOUNDS,
    Attempt,
    Conversion,
    ConversionSample,
    NotConverted,
    installed,
    network_spec,
    refuse_text,
)
from podium.flavors.keras.inputs import KerasInputs
from podium.flavors.onnx_way import Graph, rename_input

_BY_BACKEND = {"tensorflow": ("tf2onnx",), "torch": ("torch", "onnxscript")}


class ModelConverter:
    """The converter of a Keras model.

    Args:
        keras: The library.
        model: The model.
        inputs: What it takes, None where nobody can tell.
    """

    def __init__(self, keras: Any, model: Any, inputs: KerasInputs | None) -> None:
        self._keras = keras
        self._model = model
        self._inputs = inputs

    def versions(self) -> dict[str, str]:
        """Of what converts and runs.

        Raises:
            MissingDependency: It is not installed here.
            NotConverted: Keras exports nothing from this backend.
        """
        backend = str(self._keras.config.backend())
        if backend not in _BY_BACKEND or not hasattr(self._model, "export"):
            raise NotConverted(
                f"Keras {self._keras.__version__} exports no ONNX from the backend {backend}; it does from "
                f"{' and '.join(_BY_BACKEND)} since 3.7. podium serves the model as it is."
            )
        with warnings.catch_warnings():
            # What Keras brings for tf2onnx asks numpy for names of old.
            warnings.simplefilter("ignore")
            extra = "accelerate-keras" if backend == "tensorflow" else "accelerate"
            found = installed(*_BY_BACKEND[backend], "onnx", "onnxruntime", extra=extra)
        return {**found, "keras": str(self._keras.__version__)}

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """One, in the model's own precision.

        Raises:
            NotConverted: Text, several inputs, or inputs that nobody knows.
        """
        refuse_text(inputs, "Keras")
        known = self._inputs
        if known is None or len(known.each) != 1:
            names = "inputs that podium does not know" if known is None else f"the inputs {known.names}"
            raise NotConverted(f"It has {names}; a conversion takes one. podium serves it as it is.")
        if known.each[0].dtype == "string":
            raise NotConverted("It takes text, which Keras' export does not. podium serves it as it is.")
        if known.static_batch is not None:
            raise NotConverted(f"It was built for batches of exactly {known.static_batch}; leave the batch's size open.")
        precision = "double" if known.each[0].dtype == "float64" else "float"
        return [Attempt("whole", precision, self._converted, NETWORK_BOUNDS)]

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """None that podium knows: a network's answers change everywhere a little."""
        del inputs
        return {}

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        return Claim(Graph(path, inputs, spec).answer, what)

    def _converted(self, sample: ConversionSample) -> Conversion:
        import onnx

        assert self._inputs is not None
        spec = {**network_spec(sample), "matrix": _MATRIX.get(self._inputs.each[0].dtype, "float")}
        with (
            tempfile.TemporaryDirectory(prefix="podium-keras-") as place,
            warnings.catch_warnings(),
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            warnings.simplefilter("ignore")
            file = Path(place) / "model.onnx"
            try:
                self._model.export(str(file), format="onnx", verbose=False)
            except Exception as error:
                raise NotConverted(f"Keras: {type(error).__name__}: {str(error).strip()[:300]}") from error
            made = onnx.load(file)
        rename_input(made)
        return Conversion(made.SerializeToString(), {**spec, "output": made.graph.output[0].name})


_MATRIX = {"float64": "double", "float32": "float", "int64": "int64", "int32": "int32", "bool": "bool"}
