"""A restored SavedModel: called with one tensor as MLflow calls it, or with named ones, which MLflow refuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.errors import InvalidInput
from podium.flavors.contract import RowIndependence
from podium.flavors.keras.calls import mapped
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.tables import columns_of, table_of

_DEFAULT = "serving_default"


@dataclass(frozen=True, slots=True)
class Traced:
    """One traced graph.

    Args:
        call: Takes tensors, by position (`is_named` false) or by name.
        specs: Name and TensorSpec of each input.
        is_named: How it is called.
    """

    call: Callable[..., Any]
    specs: tuple[tuple[str, Any], ...]
    is_named: bool

    def takes(self, names: set[str]) -> bool:
        return {name for name, _ in self.specs} == names


class LoadedModule:
    """A tf.Module, or what Keras exported.

    An array or list goes to the module's own `__call__` (a Keras export's `serve`), cast to the type that it was traced
    for; a dict goes to the signature that has these names. Answers hold numpy arrays.

    Args:
        tensorflow: The module.
        model: What `tf.saved_model.load` restored.
        method: What MLflow calls: `__call__` or `serve`.
        takes_dicts: MLflow's keras flavor hands dicts and tuples on as well, so that its words on what fails differ.
    """

    def __init__(self, tensorflow: Any, model: Any, method: str, takes_dicts: bool = False) -> None:
        self.native = model
        self._tf = tensorflow
        self._method = getattr(model, method, None)
        self._takes_dicts = takes_dicts
        self._plain = tuple(_plain_graphs(tensorflow, self._method))
        self._signatures = _signatures(tensorflow, model)
        self._by_name = (*self._signatures, *(each for each in self._plain if len(each.specs) > 1))

    @property
    def graphs(self) -> tuple[Traced, ...]:
        return (*self._signatures, *self._plain)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Answer; params are ignored, as in MLflow.

        Raises:
            InvalidInput: No signature has these names.
            MlflowException: Neither array, list, dict nor table.
        """
        del params
        if is_frame(data):
            return table_of(self._untensored(self._of_table(data)), data.index)
        if isinstance(data, dict):
            return self._untensored(self._named(data))
        if not isinstance(data, np.ndarray | list) and not (self._takes_dicts and isinstance(data, tuple)):
            raise MlflowException(
                f"Unsupported input data type: {type(data)}, the input data must be numpy array or a list."
            )
        return self._untensored(self._positional(data))

    def _positional(self, data: Any) -> Any:
        values = data if isinstance(data, np.ndarray) else np.asarray(data)
        if values.dtype.kind == "O" or values.dtype.kind in "US":
            tensor = self._tf.convert_to_tensor(values.tolist())
        else:
            tensor = self._tf.convert_to_tensor(values)
        fits = [each for each in self._plain if len(each.specs) == 1 and _fits(tensor, each.specs[0][1])]
        if fits:
            exact = next((each for each in fits if each.specs[0][1].dtype == tensor.dtype), None)
            chosen = exact or next((each for each in fits if _casts(values, each.specs[0][1].dtype)), None)
            if chosen is not None:
                return chosen.call(self._cast(tensor, chosen.specs[0][1]))
        if self._method is not None:
            return self._method(tensor)
        single = [each for each in self._signatures if len(each.specs) == 1]
        if not single:
            raise InvalidInput(f"The model takes {self._names()}, by name; got an array without one.")
        name, spec = single[0].specs[0]
        answer = single[0].call(**{name: self._tensor(values, spec)})
        return next(iter(answer.values())) if len(answer) == 1 else answer

    def _named(self, data: Mapping[str, Any]) -> Any:
        chosen = next((each for each in self._by_name if each.takes(set(data))), None)
        if chosen is None and len(data) == 1 and any(len(each.specs) == 1 for each in self.graphs):
            # One tensor for one input, whatever the signature in MLmodel calls it.
            return self._positional(next(iter(data.values())))
        if chosen is None:
            raise InvalidInput(f"The model takes {self._names()}; got {sorted(data)}.")
        tensors = {name: self._tensor(data[name], spec) for name, spec in chosen.specs}
        return chosen.call(**tensors) if chosen.is_named else chosen.call(*tensors.values())

    def _of_table(self, frame: Any) -> Any:
        names = [str(name) for name in frame.columns]
        chosen = next((each for each in self._by_name if {name for name, _ in each.specs} <= set(names)), None)
        if chosen is None or (len(chosen.specs) == 1 and len(names) > 1):
            return self._positional(frame.to_numpy())
        wanted = [name for name, _ in chosen.specs]
        shapes = [spec.shape.as_list() if spec.shape.rank is not None else () for _, spec in chosen.specs]
        return self._named(columns_of(frame, wanted, shapes))

    def _names(self) -> str:
        known = [sorted(name for name, _ in each.specs) for each in self._by_name]
        return " or ".join(map(str, known)) or "one tensor"

    def _tensor(self, values: Any, spec: Any) -> Any:
        values = np.asarray(values)
        tensor = self._tf.convert_to_tensor(values.tolist() if values.dtype.kind in "USO" else values)
        # What would lose something is TensorFlow's to refuse.
        return self._cast(tensor, spec) if _casts(values, spec.dtype) else tensor

    def _cast(self, tensor: Any, spec: Any) -> Any:
        if tensor.dtype == spec.dtype or self._tf.string in {tensor.dtype, spec.dtype}:
            return tensor
        return self._tf.cast(tensor, spec.dtype)

    def _untensored(self, answer: Any) -> Any:
        return mapped(self._array, answer)

    def _array(self, value: Any) -> Any:
        if isinstance(value, self._tf.RaggedTensor):
            return value.to_list()
        if isinstance(value, self._tf.SparseTensor):
            return self._tf.sparse.to_dense(value).numpy()
        if not isinstance(value, self._tf.Tensor):
            return value
        array = value.numpy()
        # Numbers that numpy itself has no type for (bfloat16).
        return array.astype(np.float32) if isinstance(array, np.ndarray) and array.dtype.kind == "V" else array

    def rows(self) -> RowIndependence:
        """A graph may do anything with its first dimension; that it varies is a hint, and the probe's word decides."""
        shapes = [spec.shape for graph in self.graphs for _, spec in graph.specs]
        if not shapes or any(shape.rank in (None, 0) for shape in shapes):
            return RowIndependence(False, "the graph has an input without dimensions, or none that podium can see")
        fixed = [shape[0] for shape in shapes if shape[0] is not None]
        if fixed and len(fixed) == len(shapes):
            return RowIndependence(False, f"the graph was traced for batches of exactly {fixed[0]}", static_batch=fixed[0])
        if fixed:
            return RowIndependence(False, "some of the model's graphs were traced for batches of one size")
        return RowIndependence(True, "the graph's first dimension varies")


def _plain_graphs(tensorflow: Any, method: Any) -> list[Traced]:
    """What a restored function was traced for, where that was tensors alone, given by position."""
    found = []
    for graph in getattr(method, "concrete_functions", None) or ():
        positional, named = graph.structured_input_signature
        if named or not positional or not all(isinstance(each, tensorflow.TensorSpec) for each in positional):
            continue
        specs = tuple((each.name or f"input_{i}", each) for i, each in enumerate(positional))
        found.append(Traced(graph, specs, is_named=False))
    return found


def _signatures(tensorflow: Any, model: Any) -> tuple[Traced, ...]:
    """The named entries of a SavedModel, the default one first."""
    signatures = dict(getattr(model, "signatures", None) or {})
    found = []
    for key in sorted(signatures, key=lambda each: (each != _DEFAULT, each)):
        _, named = signatures[key].structured_input_signature
        if named and all(isinstance(each, tensorflow.TensorSpec) for each in named.values()):
            found.append(Traced(signatures[key], tuple(named.items()), is_named=True))
    return tuple(found)


def _fits(tensor: Any, spec: Any) -> bool:
    return bool(spec.shape.is_compatible_with(tensor.shape))


def _casts(values: Any, dtype: Any) -> bool:
    """Whether values become this type without losing what they say: JSON knows two types of numbers, models know many."""
    if values.dtype.kind not in "fiub":
        return False
    if dtype.is_floating:
        return True
    if not dtype.is_integer:
        return False
    is_whole = values.dtype.kind in "iub" or bool(np.all(np.mod(values, 1) == 0))
    return is_whole and (values.size == 0 or (dtype.min <= values.min() and values.max() <= dtype.max))
