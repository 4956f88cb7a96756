"""`dataframe_split`, `dataframe_records`, CSV and Parquet: data frames, their columns converted to the schema's types.

JSON and CSV are converted leniently, as MLflow does (`"7"` to 7, 1.5 to 1 for a whole number); what pandas wraps
around silently is refused instead, and datetimes may have time zones. Parquet has types of its own, so that nothing is
converted.
"""

import base64
import io
from typing import Any

import numpy as np

from podium.domain.columns import NUMPY_TYPES
from podium.domain.nested import conform_value, is_missing
from podium.domain.reasons import described, reason
from podium.domain.signature import AnyType, Column, ColumnSchema, DataType, Schema, TensorSchema
from podium.errors import MalformedBody, MissingDependency, PodiumError, SchemaMismatch

_SPLIT_FIELDS = {"columns", "data", "index"}
_WHOLE = (DataType.INTEGER, DataType.LONG)


class FrameReader:
    """Reads data frames for one schema, or for a model without one."""

    __slots__ = ("_schema",)

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema

    def read_split(self, data: Any) -> Any:
        """The value of `dataframe_split`: rows, and optionally the names of columns and rows.

        Raises:
            MalformedBody: Not of that form, or a column that cannot be converted, named.
        """
        if not isinstance(data, dict):
            got = "list" if isinstance(data, list) else f"type {type(data)}"
            raise MalformedBody(f"Invalid input. Dataframe split format must be a dictionary. Got {got}.")
        if "data" not in data or not data.keys() <= _SPLIT_FIELDS:
            fields = "{" + ", ".join(map(repr, data)) + "}" if data else "set()"
            raise MalformedBody(
                "Invalid input. Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. "
                f"Got {fields}.'"
            )
        pandas = _pandas("A request with dataframe_split")
        try:
            frame = pandas.DataFrame(index=data.get("index"), columns=data.get("columns"), data=data["data"])
            hash(tuple(frame.columns))
        except Exception as error:
            raise _not_a_frame("split", error) from error
        return self._converted(frame)

    def read_records(self, data: Any) -> Any:
        """The value of `dataframe_records`: a list of dicts, one for each row.

        Raises:
            MalformedBody: Likewise.
        """
        if not isinstance(data, list):
            got = "dictionary" if isinstance(data, dict) else f"type {type(data)}"
            raise MalformedBody(f"Invalid input. Dataframe records format must be a list of records. Got {got}.")
        pandas = _pandas("A request with dataframe_records")
        try:
            frame = pandas.DataFrame(data=data)
        except Exception as error:
            raise _not_a_frame("records", error) from error
        return self._converted(frame)

    def read_csv(self, body: bytes) -> Any:
        """A CSV body: comma-separated, the first line names the columns, UTF-8.

        Raises:
            MalformedBody: Not UTF-8, not a table, or a column that cannot be converted.
        """
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            shown = f"UnicodeDecodeError({error.encoding!r}, {error.start}, {error.end}, {error.reason!r})"
            raise MalformedBody(
                f"Invalid input. Ensure that input is a valid UTF-8 encoded string. Error: '{shown}'"
            ) from error
        pandas = _pandas("A CSV request")
        try:
            frame = pandas.read_csv(io.StringIO(text), dtype=self._csv_types())
            if isinstance(self._schema, ColumnSchema):
                for label, column in zip(self._schema.labels, self._schema.columns, strict=True):
                    _convert_csv_column(frame, label, column)
            return frame
        except PodiumError:
            raise
        except Exception as error:
            raise MalformedBody(
                "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted Pandas "
                f"DataFrame produced using the `pandas.DataFrame.to_csv()` method. Error: '{reason(error)}'"
            ) from error

    def _csv_types(self) -> Any:
        """What read_csv is told of the columns' types; text of datetimes is converted afterwards.

        Raises:
            MalformedBody: Types that have no form in CSV.
        """
        if self._schema is None:
            return None
        if isinstance(self._schema, TensorSchema):
            dtype = np.dtype(self._schema.tensors[0].dtype)
            if self._schema.is_named or dtype.kind not in "biuf":
                raise _no_csv("tensors with names, or of other types than numbers")
            return dtype
        types: dict[Any, Any] = {}
        for label, column in zip(self._schema.labels, self._schema.columns, strict=True):
            if not isinstance(column.type, DataType):
                raise _no_csv("columns of arrays, objects, maps or any")
            is_text = column.type in (DataType.STRING, DataType.BINARY, DataType.DATETIME)
            if column.required or column.type not in _WHOLE:
                types[label] = object if is_text else NUMPY_TYPES[column.type]
        return types

    def _converted(self, frame: Any) -> Any:
        match self._schema:
            case ColumnSchema():
                labels = self._schema.labels if self._schema.is_named else list(frame.columns)
                for label, column in zip(labels, self._schema.columns, strict=False):
                    _convert_column(frame, label, column)
            case TensorSchema():
                by_name = {tensor.name: tensor for tensor in self._schema.tensors}
                for label in frame.columns.unique():
                    tensor = by_name.get(label) if self._schema.is_named else self._schema.tensors[0]
                    # Lists become a tensor when the schema is enforced.
                    if tensor is not None and not _holds_lists(frame[label]):
                        _convert_to_dtype(frame, label, np.dtype(tensor.dtype))
        return frame


def read_parquet(body: bytes) -> Any:
    """A Parquet body as a data frame.

    Raises:
        MalformedBody: Not Parquet.
        MissingDependency: pyarrow, which pandas reads Parquet with, is not installed.
    """
    pandas = _pandas("A Parquet request")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingDependency("pyarrow", "A Parquet request", "parquet") from error
    try:
        return pandas.read_parquet(io.BytesIO(body))
    except Exception as error:
        raise MalformedBody(
            "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid Parquet Pandas DataFrame "
            f"produced using the `pandas.DataFrame.to_parquet()` method. Error: '{reason(error)}'"
        ) from error


def to_datetimes(values: Any) -> Any:
    """A column of datetimes in nanoseconds without a time zone: where one is given, the moment in UTC.

    Raises:
        ValueError, TypeError: Not datetimes, or beyond the years that nanoseconds can count.
    """
    pandas = _pandas("A column of datetimes")
    try:
        parsed = pandas.to_datetime(values)
    except ValueError as error:
        # Several forms or several time zones in one column; else the first error says more.
        try:
            parsed = pandas.to_datetime(values, utc=True, format="ISO8601")
        except ValueError:
            raise error from None
    if isinstance(parsed.dtype, pandas.DatetimeTZDtype):
        parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
    return parsed.astype("datetime64[ns]")


def _convert_column(frame: Any, label: Any, column: Column) -> None:
    if label not in frame.columns or isinstance(column.type, AnyType):
        return
    values = frame[label]
    if values.ndim != 1:
        return  # two columns of one name: the enforcer says so
    if not isinstance(column.type, DataType):
        _replace(frame, label, column.type, lambda: [conform_value(v, column.type, column.required) for v in values])
    elif column.type is DataType.BINARY:
        _replace(frame, label, object, lambda: [_decode_base64(value, column.required) for value in values])
    elif column.type is DataType.STRING:
        if not isinstance(values.dtype, _pandas("").StringDtype) and values.dtype != object:
            frame[label] = values.astype(object)
    elif column.type is DataType.DATETIME:
        try:
            frame[label] = to_datetimes(values)
        except Exception as error:
            raise _failed(label, NUMPY_TYPES[column.type], described(error)) from error
    elif column.type in _WHOLE and not column.required and values.isna().any():
        frame[label] = _whole_with_gaps(label, values, NUMPY_TYPES[column.type])
    else:
        _convert_to_dtype(frame, label, NUMPY_TYPES[column.type])


def _convert_csv_column(frame: Any, label: Any, column: Column) -> None:
    """What read_csv cannot be told: datetimes, and whole numbers with missing ones among them."""
    if label not in frame.columns:
        return
    values = frame[label]
    if column.type is DataType.DATETIME:
        frame[label] = to_datetimes(values)
    elif column.type in _WHOLE and not column.required:
        target = NUMPY_TYPES[column.type]
        if values.dtype.kind == "i":
            frame[label] = _cast(values, target)
        elif values.dtype.kind == "f" and bool((values.dropna() % 1 == 0).all()):
            frame[label] = _whole_with_gaps(label, values, target)


def _holds_lists(values: Any) -> bool:
    return values.ndim == 1 and len(values) > 0 and isinstance(values.iloc[0], list)


def _replace(frame: Any, label: Any, kind: Any, cells: Any) -> None:
    """Put other objects into a column; not what pandas would guess of them."""
    pandas = _pandas("")
    try:
        frame[label] = pandas.Series(cells(), index=frame.index, dtype=object)
    except SchemaMismatch as error:
        raise _failed(label, kind, f"MlflowException({error.message!r})") from error
    except PodiumError:
        raise
    except Exception as error:
        raise _failed(label, kind, described(error)) from error


def _decode_base64(value: Any, required: bool) -> bytes | None:
    if not required and is_missing(value):
        return None
    return base64.decodebytes(bytes(value, "utf8"))


def _convert_to_dtype(frame: Any, label: Any, dtype: "np.dtype[Any]") -> None:
    values = frame[label]
    if values.ndim != 1 or values.dtype == dtype:
        return
    try:
        if dtype.kind == "S":
            frame[label] = [bytes(value, "utf8") for value in values]
        elif not (dtype.kind in "UO" and isinstance(values.dtype, _pandas("").StringDtype)):
            frame[label] = _cast(values, dtype)
    except Exception as error:
        raise _failed(label, dtype, described(error)) from error


def _cast(values: Any, dtype: "np.dtype[Any]") -> Any:
    """Pandas' astype, which wraps numbers that are too large for a whole type; they raise OverflowError here."""
    if dtype.kind in "iu" and values.dtype.kind in "iuf" and len(values):
        bounds = np.iinfo(dtype)
        low, high = values.min(), values.max()
        if (low == low and low < bounds.min) or (high == high and high > bounds.max):
            raise OverflowError(f"Python integer out of bounds for {dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(dtype)


def _whole_with_gaps(label: Any, values: Any, dtype: "np.dtype[Any]") -> Any:
    """Whole numbers of an optional column with missing ones among them: floats with NaN."""
    try:
        known = _cast(values.dropna(), dtype)
        if len(known) and (int(known.min()) < -(2**53) or int(known.max()) > 2**53):
            return known.astype(object).reindex(values.index)
        return known.astype(np.float64).reindex(values.index)
    except Exception as error:
        raise _failed(label, dtype, described(error)) from error


def _failed(label: Any, kind: Any, error: str) -> MalformedBody:
    return MalformedBody(
        "Invalid input. Data is not compatible with model signature. "
        f"Failed to convert column {label} to type '{kind}'. Error: '{error}'"
    )


def _not_a_frame(orient: str, error: Exception) -> MalformedBody:
    return MalformedBody(
        f"Invalid input. Provided dataframe_{orient} field is not a valid dataframe representation in '{orient}' format. "
        f"Error: '{reason(error)}'"
    )


def _no_csv(what: str) -> MalformedBody:
    return MalformedBody(
        "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted Pandas DataFrame "
        f"produced using the `pandas.DataFrame.to_csv()` method. Error: 'The model's signature has {what}, which have "
        "no form in CSV; send JSON.'"
    )


def _pandas(needed_for: str) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise MissingDependency("pandas", needed_for, "pandas") from error
    return pandas
