"""Which columns of a data frame fit which column type, and what they become.

The rules are MLflow's (`mlflow.models.utils`): widening is allowed, losing something is not. Wider here than there, because
nothing can be lost either: whole numbers become doubles when every one of them is exact as a double; a column of an
optional input may have missing values whatever its type; datetimes with a time zone become UTC.
"""

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from podium.domain.inputs.conversions import MOST_EXACT, NUMPY_TYPES, REAL, WHOLE, is_exact
from podium.domain.signature import DataType
from podium.errors import MissingDependency, SchemaMismatch

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = "A model whose signature has columns"

# Whole numbers of up to this many bytes are exact as doubles, whatever they are.
_NARROW_BYTES = 6

_MISSING_INTEGERS = (
    " Hint: the type mismatch is likely caused by missing values. Integer columns in python can not represent missing "
    "values and are therefore encoded as floats. The best way to avoid this problem is to infer the model schema based "
    "on a realistic data sample (training dataset) that includes missing values. Alternatively, you can declare "
    "integer columns as doubles (float64) whenever these columns may have missing values. See `Handling Integers With "
    "Missing Values <https://www.mlflow.org/docs/latest/models.html#handling-integers-with-missing-values>`_ for more "
    "details."
)


def pandas_for(what: str) -> Any:
    """The pandas module, imported when the first value needs it.

    Args:
        what: Needs it; begins the sentence of the error.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        import pandas  # noqa: PLC0415 - models of tensors alone do without
    except ImportError as error:
        raise MissingDependency("pandas", what, "pandas") from error
    return pandas


def conform_column(
    label: Any, values: "pd.Series[Any]", kind: DataType, required: bool = True, widens: bool = True
) -> "pd.Series[Any]":
    """The column as the type declares it; the same object where nothing needs to change.

    Args:
        label: The column's name, for the message.
        values: The column as it arrived.
        kind: The declared type.
        required: False allows missing values in types that have no room for them: whole numbers then come as floats.
        widens: Whole numbers of 64 bits that are exact as doubles are taken for them. MLflow takes 0 and 1 only, which is
            the rule where this is False (in arrays, objects and maps).

    Raises:
        SchemaMismatch: The column's type, the declared one, and a hint where missing values are the likely cause.
    """
    target = NUMPY_TYPES[kind]
    if values.dtype == target:
        return values
    is_text = isinstance(values.dtype, sys.modules["pandas"].StringDtype)
    if kind in (DataType.STRING, DataType.BINARY):
        # Objects pass unseen, as in MLflow: a frame has no type of its own for text with gaps or for bytes.
        if values.dtype == object or is_text or values.dtype.kind == target.kind:
            return values
        raise _unsafe(label, values, target)
    if values.dtype == object:
        values = values.infer_objects()
        if values.dtype == target:
            return values
    if kind is DataType.DATETIME:
        return _conform_datetimes(label, values)
    if values.dtype == object:
        return _conform_objects(label, values, kind, required)
    return _conform_numbers(label, values, kind, required, widens)


def _conform_datetimes(label: Any, values: "pd.Series[Any]") -> "pd.Series[Any]":
    pandas = sys.modules["pandas"]
    if values.dtype.kind != "M" and values.dtype != object:
        raise _unsafe(label, values, NUMPY_TYPES[DataType.DATETIME])
    before = values.dtype
    try:
        if values.dtype == object:
            try:
                read: pd.Series[Any] = values.astype("datetime64[ns]")
                return read
            except ValueError:
                # Moments in a zone, maybe in several.
                values = pandas.to_datetime(values, utc=True)
        if isinstance(values.dtype, pandas.DatetimeTZDtype):
            values = values.dt.tz_convert("UTC").dt.tz_localize(None)
        nanoseconds: pd.Series[Any] = values.astype("datetime64[ns]")
        return nanoseconds
    except ValueError as error:
        raise SchemaMismatch(f"Failed to convert column {label} from type {before} to DataType.datetime.") from error


def _conform_objects(label: Any, values: "pd.Series[Any]", kind: DataType, required: bool) -> "pd.Series[Any]":
    """A column of Python objects that pandas sees no common type in: text, None, Decimals, numbers of several types."""
    if kind is DataType.BOOLEAN:
        return values
    pandas = sys.modules["pandas"]
    is_missing = values.isna()
    if not required and kind in WHOLE:
        if all(_is_whole(value, NUMPY_TYPES[kind]) for value in values[~is_missing]):
            return values
    elif kind is DataType.DOUBLE or (not required and bool(is_missing.all())):
        try:
            numbers: pd.Series[Any] = pandas.to_numeric(values, errors="raise")
            # As MLflow, that leaves whole numbers beyond 64 bits what they are.
            return numbers.astype(NUMPY_TYPES[kind]) if bool(is_missing.all()) else numbers
        except (ValueError, OverflowError) as error:
            message = f"Failed to convert column {label} from type {values.dtype} to DataType.{kind.value}."
            raise SchemaMismatch(message) from error
    raise _unsafe(label, values, NUMPY_TYPES[kind])


def _conform_numbers(
    label: Any, values: "pd.Series[Any]", kind: DataType, required: bool, widens: bool
) -> "pd.Series[Any]":
    target = NUMPY_TYPES[kind]
    have, size = values.dtype.kind, int(getattr(values.dtype, "itemsize", 0))
    if have == target.kind:
        is_widening = size <= target.itemsize
    elif have == "u" and target.kind == "i":
        is_widening = size < target.itemsize
    elif have in "iu" and kind in REAL:
        return _whole_to_float(label, values, kind, widens)
    else:
        is_widening = False
    if is_widening:
        return values.astype(target, errors="raise")
    if have == "f" and kind in WHOLE:
        known = values.dropna()
        is_whole = len(known) < len(values) and bool((known == np.floor(known)).all())
        if is_whole and not required and bool((known.abs() <= MOST_EXACT).all()):
            return values.astype(np.float64)
        raise _unsafe(label, values, target, _MISSING_INTEGERS if is_whole else "")
    raise _unsafe(label, values, target)


def _whole_to_float(label: Any, values: "pd.Series[Any]", kind: DataType, widens: bool) -> "pd.Series[Any]":
    target = NUMPY_TYPES[kind]
    is_narrow = kind is DataType.DOUBLE and int(getattr(values.dtype, "itemsize", 8)) <= _NARROW_BYTES
    known = values.dropna()
    if widens and kind is DataType.DOUBLE:
        is_taken = not len(known) or (is_exact(int(known.min()), kind) and is_exact(int(known.max()), kind))
    else:
        is_taken = is_narrow or (values.dtype == np.int64 and bool(known.isin([0, 1]).all()))
    if not is_taken:
        raise _unsafe(label, values, target)
    pandas = sys.modules["pandas"]
    floats = values.to_numpy(dtype=target, na_value=np.nan)
    converted: pd.Series[Any] = pandas.Series(floats, index=values.index, name=values.name)
    return converted


def _is_whole(value: Any, target: "np.dtype[Any]") -> bool:
    bounds = np.iinfo(target)
    is_number = isinstance(value, int | np.integer | float | np.floating) and not isinstance(value, bool | np.bool_)
    return is_number and value == int(value) and bounds.min <= value <= bounds.max


def _unsafe(label: Any, values: "pd.Series[Any]", target: "np.dtype[Any]", hint: str = "") -> SchemaMismatch:
    return SchemaMismatch(
        f"Incompatible input types for column {label}. Can not safely convert {values.dtype} to {target}.{hint}"
    )
