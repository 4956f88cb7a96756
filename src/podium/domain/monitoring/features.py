"""Which of a model's inputs are monitored, by its signature: columns that hold one value in a row, and tensors' elements.

A tensor of shape (-1, 4) has four columns, named by the tensor and the element's index: `x[0]` to `x[3]`, or `0` to `3`
where it has no name, as in a model that takes an array. One of more elements than `MOST_ELEMENTS` (an image, an embedding)
is left out, and so is whatever holds lists, objects or maps: a bin for each of their values would say nothing of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from podium.domain.signature import ColumnSchema, DataType, Schema, TensorSpec

MOST_ELEMENTS = 200
MOST_COLUMNS = 500
LONGEST_LABEL = 200


@dataclass(frozen=True, slots=True)
class Feature:
    """One column to monitor.

    Attributes:
        name: In the profile.
        dtype: MLflow's name of its type, or numpy's of a tensor's; empty where it is to be told by the values.
        source: The input that it comes from; None for the only tensor, which has no name.
        index: Which element of each row of a tensor; empty for a column.
    """

    name: str
    dtype: str
    source: str | None
    index: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Features:
    """What is monitored of an input, and what is not, with the reason."""

    columns: tuple[Feature, ...]
    left_out: Mapping[str, str]

    def taken_from(self, inputs: Mapping[str | None, Any]) -> dict[str, Any]:
        """The features' arrays out of columns and tensors by name; without those whose input is not there."""
        found = {}
        for feature in self.columns:
            values = inputs.get(feature.source)
            if values is not None:
                found[feature.name] = element_of(np.asarray(values), feature.index) if feature.index else values
        return found


def features_of(schema: Schema, left_out: Sequence[str] = ()) -> Features:
    """The columns that a schema's data are monitored as.

    Args:
        schema: A model's inputs or outputs.
        left_out: Columns, or whole inputs, that are not to be monitored.
    """
    asked = frozenset(left_out)
    columns: list[Feature] = []
    reasons: dict[str, str] = {}
    for label, found in _candidates(schema):
        if len(label) > LONGEST_LABEL:
            reasons[label[:LONGEST_LABEL]] = f"its name has {len(label)} characters; up to {LONGEST_LABEL} are taken"
            continue
        if isinstance(found, str):
            reasons[label] = found
            continue
        for feature in found:
            if label in asked or feature.name in asked:
                reasons[label if label in asked else feature.name] = "left out on request"
            elif len(columns) == MOST_COLUMNS:
                reasons[feature.name] = f"beyond the {MOST_COLUMNS} columns that are monitored"
            else:
                columns.append(feature)
    return Features(tuple(columns), dict(list(reasons.items())[:MOST_COLUMNS]))


def element_of(array: "np.ndarray[Any, Any]", index: tuple[int, ...]) -> Any:
    """One element of each row of a tensor."""
    where: Any = (slice(None), *index)
    return array[where]


def _candidates(schema: Schema) -> list[tuple[str, list[Feature] | str]]:
    """Each input's label, and its features or the reason why it has none."""
    if isinstance(schema, ColumnSchema):
        return [
            (
                label,
                [Feature(label, column.type.value, label)] if isinstance(column.type, DataType) else _nested(column.type),
            )
            for label, column in zip(schema.names, schema.columns, strict=True)
        ]
    return [(tensor.name or "", _elements(tensor)) for tensor in schema.tensors]


def _nested(kind: object) -> str:
    return f"holds {type(kind).__name__.removesuffix('Type').lower()} values, not one in each row"


def _elements(tensor: TensorSpec) -> list[Feature] | str:
    inner = tensor.shape[1:]
    if any(size < 0 for size in inner):
        return f"shape {list(tensor.shape)} varies within a row"
    if not tensor.shape or tensor.shape[0] >= 0:
        return f"shape {list(tensor.shape)} has no axis of rows"
    if prod(inner) > MOST_ELEMENTS:
        return f"{prod(inner)} values in each row; up to {MOST_ELEMENTS} are monitored"
    if not inner:
        return [Feature(tensor.name if tensor.name is not None else "0", tensor.dtype, tensor.name)]
    indexes = product(*(range(size) for size in inner))
    return [Feature(element_name(tensor.name, index), tensor.dtype, tensor.name, index) for index in indexes]


def element_name(label: str | None, index: tuple[int, ...]) -> str:
    """What one element of each row of a tensor is called in a profile."""
    places = ",".join(map(str, index))
    return places if label is None else f"{label}[{places}]"
