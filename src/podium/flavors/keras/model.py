"""A loaded Keras model: what MLflow's two wrappers take and answer, and the cases in which they fail."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.domain.signature import Signature
from podium.errors import InvalidInput
from podium.flavors.claims import Batch, Claim, Inputs, NotTakenError
from podium.flavors.contract import RowIndependence
from podium.flavors.conversions import Converter
from podium.flavors.keras.calls import FastCall, by_predict, find_fast_call, mapped
from podium.flavors.keras.conversion import ModelConverter
from podium.flavors.keras.inputs import KerasInputs
from podium.flavors.keras.rows import rows_of
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.tables import columns_of, table_of


class LoadedKeras:
    """A Keras model that takes an array, a dict of arrays by input name, or a table.

    An array or dict is answered with what Keras answers: an array, a list of them, a dict of them. A table is answered
    with a table.

    Args:
        keras: The module that loaded it.
        model: What it loaded.
        signature: Tells a subclassed model's input.
        is_stacking: Several outputs of one shape are answered as one array, as MLflow's keras flavor does.
    """

    def __init__(self, keras: Any, model: Any, signature: Signature | None, is_stacking: bool) -> None:
        self.native = model
        self.inputs = KerasInputs.of(model, str(keras.config.floatx()), signature)
        self._keras = keras
        self._is_stacking = is_stacking
        self._fast: FastCall | None = None

    def hasten(self) -> None:
        """Take the compiled call if no bit of its answers differs from `predict`'s."""
        if self.inputs is not None and self.inputs.static_batch is None and not _is_stateful(self.native):
            self._fast = find_fast_call(self._keras, self.native, self.inputs)

    def claims(self, inputs: Inputs) -> Sequence[Claim]:
        """The compiled call itself, for a hastened model of one matrix of numbers."""
        fast, own = self._fast, self.inputs
        if fast is None or own is None or len(own.each) != 1 or len(own.each[0].shape) != 2:
            return []
        if inputs.names is not None or inputs.places != tuple((0, i) for i in range(len(inputs.places))):
            return []

        def call(batch: Batch) -> Any:
            fitted = own.fitted(np.array(batch.parts[0], inputs.dtype, order="C"))
            if fitted is None:
                raise NotTakenError
            return self._formed(fast(fitted))

        return [Claim(call, "its compiled call")]

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`."""
        return ModelConverter(self._keras, self.native, self.inputs)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Answer; params are ignored, as in MLflow.

        Raises:
            InvalidInput: A table without a column that the model needs.
            MlflowException: No array, dict, list or table.
        """
        del params
        if is_frame(data):
            answer = self._answer(self._of_table(data))
            return table_of(self._name(answer), data.index)
        if not isinstance(data, np.ndarray | list | tuple | dict):
            kinds = ["ndarray", "list", "tuple", "dict"]
            raise MlflowException(
                f"`data` must be one of: {kinds}, but received type: {type(data)}."
                if self._is_stacking
                else f"Unsupported input data type: {type(data)}. Must be one of: {kinds}"
            )
        return self._formed(self._answer(data))

    def _answer(self, data: Any) -> Any:
        inputs = self.inputs
        if self._fast is not None and inputs is not None and (fitted := inputs.fitted(data)) is not None:
            return self._fast(fitted)
        if isinstance(data, dict) and len(data) == 1 and inputs is not None and len(inputs.each) == 1:
            data = next(iter(data.values()))
        return by_predict(self.native, self._with_text(data))

    def _with_text(self, data: Any) -> Any:
        """Text as a tensor of TensorFlow's, where the model takes that: Keras knows no arrays of it."""
        has_text = self.inputs is not None and any(each.dtype == "string" for each in self.inputs.each)
        tensorflow = sys.modules.get("tensorflow") if has_text else None
        if tensorflow is None:
            return data

        def tensor(values: Any) -> Any:
            return tensorflow.constant(values.tolist()) if values.dtype.kind in "USO" else values

        return mapped(lambda each: tensor(each) if isinstance(each, np.ndarray) else each, data)

    def _of_table(self, frame: Any) -> Any:
        """A table's values, as MLflow; each input's column where the model has several inputs, or cells that hold lists."""
        inputs = self.inputs
        if inputs is None or (len(inputs.each) == 1 and not _has_lists(frame)):
            return frame.to_numpy()
        if len(inputs.each) == 1 and len(frame.columns) == 1:
            return columns_of(frame, list(frame.columns), [each.shape for each in inputs.each])[frame.columns[0]]
        missing = [name for name in inputs.names if name not in frame.columns]
        if missing:
            raise InvalidInput(f"The model has the inputs {inputs.names}; the table has no columns {missing}.")
        return columns_of(frame, inputs.names, [each.shape for each in inputs.each])

    def _formed(self, answer: Any) -> Any:
        answer = mapped(_plain, answer)
        if not self._is_stacking or not isinstance(answer, list | tuple):
            return answer
        shapes = {each.shape for each in answer if isinstance(each, np.ndarray)}
        return np.array(answer) if len(shapes) == 1 else self._name(answer)

    def _name(self, answer: Any) -> Any:
        """Several outputs by the names that the model has for them."""
        answer = mapped(_plain, answer)
        if not isinstance(answer, list | tuple):
            return answer
        names = list(getattr(self.native, "output_names", None) or [])
        if len(names) != len(answer):
            names = [f"output_{i}" for i in range(len(answer))]
        return dict(zip(names, answer, strict=True))

    @property
    def is_fast(self) -> bool:
        """Whether the compiled call was proven, and answers."""
        return self._fast is not None

    def rows(self) -> RowIndependence:
        """What the model's layers say of its rows' independence."""
        static = None if self.inputs is None else self.inputs.static_batch
        if static is not None:
            return RowIndependence(False, f"the model was built for batches of exactly {static}", static_batch=static)
        return rows_of(self.native)


def _plain(values: Any) -> Any:
    """Numbers that numpy itself has no type for (bfloat16) as float32."""
    is_known = not isinstance(values, np.ndarray) or values.dtype.kind != "V"
    return values if is_known else values.astype(np.float32)


def _has_lists(frame: Any) -> bool:
    return len(frame) > 0 and any(isinstance(each, list | np.ndarray) for each in frame.iloc[0])


def _is_stateful(model: Any) -> bool:
    """Whether a call changes what the next one answers: proving it would, too."""
    return bool(getattr(model, "stateful", False)) or any(
        getattr(each, "stateful", False) for each in getattr(model, "layers", ())
    )
