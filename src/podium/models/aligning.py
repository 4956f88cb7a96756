"""Reference rows as a model's signature names them: by name, or by position where they have no names."""

from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.domain.monitoring.batches import inputs_of
from podium.domain.signature import ColumnSchema, Schema, TensorSchema
from podium.errors import InvalidInput


def aligned(data: Any, schema: Schema) -> dict[str | None, Any]:
    """A batch's columns and tensors by the names that its model's signature has.

    Args:
        data: What the model can be asked, or more than that.
        schema: Its inputs.

    Raises:
        InvalidInput: Inputs that the model needs are not there, or tensors have another shape.
    """
    inputs = inputs_of(data)
    if isinstance(schema, ColumnSchema):
        inputs = _as_columns(inputs, schema)
        required = [name for name, column in zip(schema.names, schema.columns, strict=True) if column.required]
    else:
        inputs = _as_tensors(data, inputs, schema)
        required = [tensor.name or "" for tensor in schema.tensors if tensor.name is not None]
    absent = [name for name in required if name not in inputs]
    if absent:
        there = ", ".join(repr(name) for name in list(inputs)[:20] if name is not None)
        raise InvalidInput(
            f"The data to profile lack {', '.join(map(repr, absent[:20]))}, which the model's signature asks for. "
            f"They have {there or 'an array without names'}."
        )
    return inputs


def _as_columns(inputs: dict[str | None, Any], schema: ColumnSchema) -> dict[str | None, Any]:
    names = schema.names
    if None in inputs:
        array = inputs[None]
        width = array.shape[1] if array.ndim == 2 else 1 if array.ndim == 1 else None
        if width != len(names):
            raise InvalidInput(
                f"The data to profile are an array of shape {list(array.shape)}, and the model's signature has "
                f"{len(names)} columns. Give a data frame with these columns, or an array with as many."
            )
        return {name: array if array.ndim == 1 else array[:, place] for place, name in enumerate(names)}
    if len(inputs) == len(names) and not set(names) & set(inputs) and all(column.name is None for column in schema.columns):
        return dict(zip(names, inputs.values(), strict=True))
    return inputs


def _as_tensors(data: Any, inputs: dict[str | None, Any], schema: TensorSchema) -> dict[str | None, Any]:
    first = schema.tensors[0]
    is_only = len(schema.tensors) == 1
    if is_only and first.name is None and None not in inputs:
        values = data.to_numpy() if is_frame(data) else np.column_stack(list(inputs.values())) if inputs else None
        inputs = {} if values is None else {None: values[:, 0] if len(first.shape) == 1 else values}
    elif is_only and None in inputs:
        inputs = {first.name: inputs[None]}
    for tensor in schema.tensors:
        shape = getattr(inputs.get(tensor.name), "shape", None)
        if shape is None:
            continue
        fits = len(shape) == len(tensor.shape) and all(
            want < 0 or want == size for want, size in zip(tensor.shape[1:], shape[1:], strict=True)
        )
        if not fits:
            raise InvalidInput(
                f"The data to profile have the shape {list(shape)} for {tensor.name or 'the input'}; the model's signature "
                f"says {list(tensor.shape)}."
            )
    return inputs
