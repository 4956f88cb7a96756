"""The inputs that a Keras model has, and data brought to exactly what they want."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.signature import Signature, TensorSchema


@dataclass(frozen=True, slots=True)
class KerasInput:
    """One input.

    Args:
        name: What a dict of arrays calls it.
        dtype: Keras' word for its type: `float32`, `int64`, `string`.
        shape: Sizes of all axes, the batch's first; None where any will do.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class KerasInputs:
    """All inputs of a model.

    Args:
        each: In the model's order.
        floatx: The float type to which Keras brings every other one before a model sees it.
        is_known: They are the model's own word, not its signature's.
    """

    each: tuple[KerasInput, ...]
    floatx: str
    is_known: bool = True

    @classmethod
    def of(cls, model: Any, floatx: str, signature: Signature | None) -> "KerasInputs | None":
        """What the model says; a subclassed one says nothing, and its signature of unnamed tensors is taken."""
        tensors, names = _named(model)
        if tensors:
            pairs = zip(names, tensors, strict=True)
            return cls(tuple(KerasInput(name, _dtype(each), tuple(each.shape)) for name, each in pairs), floatx)
        schema = None if signature is None else signature.inputs
        if not isinstance(schema, TensorSchema) or len(schema.tensors) != 1 or schema.is_named:
            return None
        tensor = schema.tensors[0]
        dtype = floatx if tensor.dtype.startswith("float") else tensor.dtype
        if dtype == "str":
            return None
        return cls((KerasInput("inputs", dtype, tuple(None if n < 0 else n for n in tensor.shape)),), floatx, False)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.each]

    @property
    def static_batch(self) -> int | None:
        """How many rows every call must have, where that is fixed."""
        fixed = [each.shape[0] for each in self.each if each.shape and each.shape[0] is not None]
        return fixed[0] if fixed else None

    def fitted(self, data: Any) -> tuple[Any, ...] | None:
        """The arrays in the inputs' order, of the inputs' types; None where Keras is to say what it thinks of the data."""
        if isinstance(data, np.ndarray):
            parts: tuple[Any, ...] = (data,)
        elif isinstance(data, Mapping):
            parts = self._by_name(data)
        elif isinstance(data, list | tuple) and all(isinstance(each, np.ndarray) for each in data):
            parts = tuple(data)
        else:
            return None
        if len(parts) != len(self.each) or len({len(part) if np.ndim(part) else -1 for part in parts}) != 1:
            return None
        found = tuple(fit(part, each, self.floatx) for part, each in zip(parts, self.each, strict=True))
        return None if any(part is None for part in found) else found

    def _by_name(self, data: Mapping[str, Any]) -> tuple[Any, ...]:
        if len(self.each) == 1 and len(data) == 1:
            # Whatever the signature calls it: there is nothing to confuse.
            return tuple(data.values())
        return tuple(data[name] for name in self.names if name in data)

    def made_up(self, rows: int, is_small: bool, scale: float = 1.0) -> tuple[Any, ...]:
        """Rows to compare two ways of answering by.

        Args:
            rows: How many.
            is_small: Whole numbers 0 and 1 in place of fractions: some inputs are places in a table.
            scale: Of the fractions.
        """
        rng = np.random.default_rng(rows)
        made = []
        for each in self.each:
            shape = (rows, *[16 if size is None else size for size in each.shape[1:]])
            if each.dtype == "string":
                made.append(np.array(["a", "b"], object)[rng.integers(0, 2, shape)])
            elif is_small or not each.dtype.startswith("float"):
                made.append(rng.integers(0, 2, shape).astype(each.dtype))
            else:
                made.append((scale * rng.standard_normal(shape)).astype(each.dtype))
        return tuple(made)

    @property
    def elements(self) -> int:
        """Values in one row, as `made_up` makes it."""
        return sum(math.prod([16 if size is None else size for size in each.shape[1:]]) for each in self.each)


def fit(values: Any, wanted: KerasInput, floatx: str) -> Any:
    """An array of the input's type and shape, cast as Keras casts; None where it does not fit."""
    values = np.asarray(values)
    if wanted.dtype == "string":
        values = values.astype(object) if values.dtype.kind in "US" else values
        is_fit = values.dtype.kind == "O"
    elif values.dtype.kind == "f":
        # Keras brings every float to its own float type first, and then to the input's.
        values = values.astype(floatx) if values.dtype != floatx else values
        is_fit = wanted.dtype.startswith("float")
    else:
        is_fit = values.dtype.kind in "iub" and (wanted.dtype.startswith("float") or values.dtype == wanted.dtype)
    if not is_fit or len(wanted.shape) != values.ndim:
        return None
    if any(size is not None and size != got for size, got in zip(wanted.shape[1:], values.shape[1:], strict=True)):
        return None
    return values if wanted.dtype in {"string", values.dtype.name} else values.astype(wanted.dtype)


def _named(model: Any) -> tuple[list[Any], list[str]]:
    """The model's input tensors, and what a dict calls them: a dict's own keys where it was built with one."""
    struct = getattr(model, "_inputs_struct", None)
    if isinstance(struct, dict) and all(hasattr(each, "shape") for each in struct.values()):
        return list(struct.values()), list(struct)
    tensors = list(getattr(model, "inputs", None) or [])
    return tensors, [str(each.name) for each in tensors]


def _dtype(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))
