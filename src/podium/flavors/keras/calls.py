"""Calling a Keras model: as MLflow does, by `model.predict`, or by a compiled call that was proven to give the same bits.

`predict` is made for data sets: it builds an iterator and callbacks for each call, tens of milliseconds. The compiled call
is the model's own graph, traced once for batches of any size. It is compared with `predict` at load, on made-up rows.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from podium.flavors.keras.inputs import KerasInputs

Call = Callable[[tuple[Any, ...]], Any]

# What Keras cuts a table into: a model that looks at its whole batch answers otherwise when it is larger.
_PREDICT_ROWS = 32
_SIZES = (1, 2, 7, 33, 64)
_SECONDS = 3.0
_MOST_ELEMENTS = 2**24


def by_predict(model: Any, data: Any) -> Any:
    """MLflow's way: what Keras' `predict` answers, without its progress bar."""
    return model.predict(data, verbose=0)


class FastCall:
    """A proven call: arrays in the inputs' order to the answer's structure of arrays.

    Args:
        call: One call of the model.
        most_rows: More than these are cut into pieces, as `predict` does; None takes them whole.
    """

    __slots__ = ("_call", "_most_rows")

    def __init__(self, call: Call, most_rows: int | None) -> None:
        self._call = call
        self._most_rows = most_rows

    def __call__(self, arrays: tuple[Any, ...]) -> Any:
        rows, most = len(arrays[0]), self._most_rows
        if most is None or rows <= most:
            return self._call(arrays)
        starts = range(0, rows, most)
        return joined([self._call(tuple(each[start : start + most] for each in arrays)) for start in starts])


def find_fast_call(keras: Any, model: Any, inputs: KerasInputs) -> FastCall | None:
    """A cheaper call with the same bits as `predict`, if there is one.

    Rows of several sizes are compared, until some seconds have gone: by then what `predict` costs beside the arithmetic
    is small, and batches beyond its own 32 rows are cut as it cuts them.
    """
    make = _tensorflow_call if keras.backend.backend() == "tensorflow" else _batch_call
    call = make(model, inputs)
    for is_small in (False, True):
        try:
            sizes = _proven_sizes(model, inputs, call, is_small)
        except Exception:  # noqa: BLE001, S112 - these rows are not what the model takes; others may be
            continue
        if not sizes:
            return None
        return FastCall(call, None if max(sizes) > _PREDICT_ROWS else _PREDICT_ROWS)
    return None


def _proven_sizes(model: Any, inputs: KerasInputs, call: Call, is_small: bool) -> list[int]:
    """The sizes at which no bit differed; those beyond the first difference are left out, and so is all if it is early."""
    begun = time.monotonic()
    proven: list[int] = []
    for size in _SIZES:
        if proven and (time.monotonic() - begun > _SECONDS or size * inputs.elements > _MOST_ELEMENTS):
            break
        # Large numbers too: what overflows does so in both.
        for scale in (1.0, 100.0) if size < _PREDICT_ROWS else (1.0,):
            arrays = inputs.made_up(size, is_small, scale)
            if not is_same(by_predict(model, _fed(inputs, arrays)), call(arrays)):
                return proven if size > _PREDICT_ROWS else []
        proven.append(size)
    return proven


def is_same(left: Any, right: Any) -> bool:
    """Whether two answers have the same structure, types, shapes and bits."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(is_same(left[name], right[name]) for name in left)
    if isinstance(left, list | tuple):
        return type(left) is type(right) and len(left) == len(right) and all(map(is_same, left, right))
    if not isinstance(left, np.ndarray) or not isinstance(right, np.ndarray):
        return False
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return left.tolist() == right.tolist() if left.dtype.hasobject else left.tobytes() == right.tobytes()


def joined(parts: list[Any]) -> Any:
    """The answers to a table's pieces as one."""
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: joined([part[name] for part in parts]) for name in first}
    if isinstance(first, list | tuple):
        return type(first)(joined([part[i] for part in parts]) for i in range(len(first)))
    return np.concatenate(parts)


def mapped(change: Callable[[Any], Any], answer: Any) -> Any:
    """The answer with each of its leaves changed."""
    if isinstance(answer, Mapping):
        return {name: mapped(change, each) for name, each in answer.items()}
    if isinstance(answer, list | tuple):
        return type(answer)(mapped(change, each) for each in answer)
    return change(answer)


def _fed(inputs: KerasInputs, arrays: tuple[Any, ...]) -> Any:
    """Arrays as the model takes them: the only one, or a dict by name."""
    return arrays[0] if len(arrays) == 1 else dict(zip(inputs.names, arrays, strict=True))


def _tensorflow_call(model: Any, inputs: KerasInputs) -> Call:
    import tensorflow as tf

    specs = tuple(tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=f"x{i}") for i, each in enumerate(inputs.each))
    traced = tf.function(
        lambda *tensors: model(_fed(inputs, tensors), training=False),
        input_signature=specs,
        jit_compile=True if getattr(model, "jit_compile", False) else None,
    ).get_concrete_function()
    dtypes = [tf.as_dtype(each.dtype) for each in inputs.each]

    def call(arrays: tuple[Any, ...]) -> Any:
        answer = traced(*[tf.constant(each, dtype) for each, dtype in zip(arrays, dtypes, strict=True)])
        return answer.numpy() if isinstance(answer, tf.Tensor) else mapped(_of_tensor, answer)

    return call


def _of_tensor(tensor: Any) -> Any:
    return tensor.numpy()


def _batch_call(model: Any, inputs: KerasInputs) -> Call:
    """Other backends: Keras' own call for one batch, without the data set round it."""

    def call(arrays: tuple[Any, ...]) -> Any:
        return model.predict_on_batch(_fed(inputs, arrays))

    return call
