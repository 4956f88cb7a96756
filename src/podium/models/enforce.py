"""The input that a signature declares: MLflow's schema enforcement, prepared once for each model.

Columns arrive as a data frame in the signature's order, extra ones dropped; tensors as arrays or a dict of them. The
second of two stages: the codec has converted JSON by then, but Parquet and callers in this process meet only this one,
so that it is strict.
"""

import os
from typing import Any

import numpy as np

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.inputs.columns import COLUMNS, conform_column, pandas_for
from podium.domain.inputs.conversions import NUMPY_TYPES
from podium.domain.inputs.nested import conform_value
from podium.domain.inputs.proportions import why_unfolding
from podium.domain.reasons import listed, reason
from podium.domain.signature import (
    ArrayType,
    Column,
    ColumnSchema,
    DataType,
    ObjectType,
    Schema,
    SparkVectorType,
    TensorSchema,
    TensorSpec,
)
from podium.errors import PodiumError, SchemaMismatch
from podium.models.enforce_tensors import enforce_tensors

HIDE_DETAILS = "MLFLOW_DISABLE_SCHEMA_DETAILS"


class InputEnforcer:
    """One model's input schema, ready to be enforced many times."""

    __slots__ = ("_is_hiding_details", "_is_strict", "_labels", "_optional", "_required", "_schema", "_wants_nested")

    def __init__(self, schema: Schema, dialect: Dialect = COMPAT) -> None:
        self._is_strict = dialect.is_strict
        self._schema = schema
        self._is_hiding_details = os.environ.get(HIDE_DETAILS, "").lower() in {"true", "1"}
        entries: tuple[Column | TensorSpec, ...] = schema.columns if isinstance(schema, ColumnSchema) else schema.tensors
        self._labels = [entry.name if entry.name is not None else i for i, entry in enumerate(entries)]
        is_required = [not isinstance(entry, Column) or entry.required for entry in entries]
        self._required = [label for label, needed in zip(self._labels, is_required, strict=True) if needed]
        self._optional = [label for label, needed in zip(self._labels, is_required, strict=True) if not needed]
        self._wants_nested = any(
            isinstance(entry, Column) and isinstance(entry.type, ArrayType | ObjectType | SparkVectorType)
            for entry in entries
        )

    def enforce(self, data: Any) -> Any:
        """The data in the declared form.

        Raises:
            SchemaMismatch: MLflow's words, without the data: what is missing, or which column, expected and got.
        """
        try:
            if isinstance(self._schema, TensorSchema):
                return self._enforce_tensors(data, self._schema)
            return self._enforce_columns(data, self._schema)
        except SchemaMismatch as error:
            raise self._mismatch(error.message) from error
        except PodiumError:
            raise
        except Exception as error:
            raise self._mismatch(reason(error)) from error

    def _mismatch(self, why: str) -> SchemaMismatch:
        if self._is_hiding_details:
            return SchemaMismatch("Failed to enforce model input schema. Please check your input data.")
        return SchemaMismatch(f"Failed to enforce schema of data with schema '{self._schema}'. Error: {why}")

    def _enforce_tensors(self, data: Any, schema: TensorSchema) -> Any:
        pandas = _loaded_pandas(data)
        if pandas is not None and isinstance(data, pandas.Series):
            data = pandas.DataFrame(data)
        if schema.is_named:
            if isinstance(data, np.ndarray) and len(schema.tensors) == 1:
                data = {self._labels[0]: data}
            self._check_names(_names(data))
        return enforce_tensors(data, schema)

    def _enforce_columns(self, data: Any, schema: ColumnSchema) -> Any:
        frame = self._to_frame(data)
        if schema.is_named:
            self._check_names(list(frame.columns))
            columns = schema.columns
        else:
            if len(frame.columns) < len(schema.columns):
                raise SchemaMismatch(
                    f"Model inference is missing inputs. The model signature declares {len(schema.columns)} inputs  "
                    f"but the provided value only has {len(frame.columns)} inputs. Note: the inputs were not named in "
                    "the signature so we can only verify their count."
                )
            if self._is_strict and len(frame.columns) > len(schema.columns):
                raise SchemaMismatch(
                    f"The model signature declares {len(schema.columns)} inputs, but the provided value has "
                    f"{len(frame.columns)}."
                )
            # Nameless columns are matched by position; the frame keeps its own labels.
            labels = list(frame.columns)[: len(schema.columns)]
            columns = tuple(Column(each.type, label) for each, label in zip(schema.columns, labels, strict=True))
        return _conform_frame(frame, columns)

    def _check_names(self, given: list[Any]) -> None:
        present = set(given)
        missing = [label for label in self._required if label not in present]
        if not missing and not self._is_strict:
            return
        known = {*self._required, *self._optional}
        extra = [label for label in dict.fromkeys(given) if label not in known]
        if not missing:
            if extra:
                raise SchemaMismatch(f"The model's signature has no inputs [{listed(extra)}].")
            return
        note = f" Note that there were extra inputs: [{listed(extra)}]." if extra else ""
        raise SchemaMismatch(f"Model is missing inputs {missing}.{note}")

    def _to_frame(self, data: Any) -> Any:
        pandas = pandas_for(COLUMNS)
        if isinstance(data, pandas.DataFrame):
            return data
        if isinstance(data, pandas.Series):
            return pandas.DataFrame(data)
        if np.isscalar(data):
            return pandas.DataFrame([data])
        if isinstance(data, list | np.ndarray):
            _refuse_unfolding(data)
            return pandas.DataFrame(data)
        if not isinstance(data, dict):
            raise SchemaMismatch(f"Expected input to be DataFrame. Found: {type(data).__name__}")
        if self._wants_nested or all(_is_one_value(value) for value in data.values()):
            return pandas.DataFrame([data])
        if all(isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.shape == () for value in data.values()):
            return pandas.DataFrame([data])
        _refuse_unfolding(data)
        try:
            # A frame has no room for arrays of two dimensions; as lists they reach the column check, which names the
            # column.
            return pandas.DataFrame({
                name: value.tolist() if isinstance(value, np.ndarray) and value.ndim > 1 else value
                for name, value in data.items()
            })  # fmt: skip
        except Exception as error:
            raise SchemaMismatch(
                "This model contains a column-based signature, which suggests a DataFrame input. There was an error "
                f"casting the input data to a DataFrame: {reason(error)}"
            ) from error


def _refuse_unfolding(data: Any) -> None:
    if why := why_unfolding(data):
        raise SchemaMismatch(f"The input unfolds to much more than it holds: {why}. Send it in parts.")


def _conform_frame(frame: Any, columns: tuple[Column, ...]) -> Any:
    """The frame with just these columns, in this order, conformed; the same object where it fits already."""
    pandas = pandas_for(COLUMNS)
    labels = [column.name for column in columns]
    if list(frame.columns) == labels and all(
        isinstance(column.type, DataType) and dtype == NUMPY_TYPES[column.type]
        for column, dtype in zip(columns, frame.dtypes, strict=True)
    ):
        return frame
    conformed = {}
    for column in columns:
        if column.name not in frame.columns:
            continue
        values = frame[column.name]
        if not isinstance(values, pandas.Series):
            raise SchemaMismatch(f"The input has more than one column named {column.name!r}.")
        if isinstance(column.type, DataType):
            conformed[column.name] = conform_column(column.name, values, column.type, column.required)
        else:
            cells = [conform_value(value, column.type, column.required) for value in values]
            conformed[column.name] = pandas.Series(cells, index=frame.index, name=column.name)
    # As MLflow: a frame without any of the columns has no rows.
    return pandas.DataFrame(conformed, index=frame.index) if conformed else pandas.DataFrame()


def _is_one_value(value: Any) -> bool:
    """Whether a dict's value stands for a single cell: a scalar, or a list of strings."""
    is_scalar = value is None or bool(np.isscalar(value))
    return is_scalar or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _names(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return list(data)
    return list(getattr(data, "columns", ()))


def _loaded_pandas(data: Any) -> Any:
    return pandas_for(COLUMNS) if type(data).__module__.partition(".")[0] == "pandas" else None
