"""`dataframe_split`, `dataframe_records`, CSV and Parquet: data frames, their columns converted to the schema's types.

JSON and CSV are converted leniently, as MLflow does (`"7"` to 7, 1.5 to 1 for a whole number); what pandas wraps
around silently is refused instead, and datetimes may have time zones. Parquet has types of its own, so that nothing is
converted.
"""

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.inputs.columns import pandas_for
from podium.domain.inputs.conversions import NUMPY_TYPES, WHOLE, has_zone, is_exact
from podium.domain.inputs.nested import conform_value, is_missing
from podium.domain.inputs.proportions import why_unfolding, why_unfolding_csv
from podium.domain.reasons import described, listed, reason
from podium.domain.signature import AnyType, Column, ColumnSchema, DataType, Schema, TensorSchema
from podium.errors import MalformedBody, MissingDependency, PodiumError, SchemaMismatch
from podium.protocols.mlflow.unfolding import check_parquet

_SPLIT_FIELDS = {"columns", "data", "index"}


class DataFrameReader:
    """Reads data frames for one schema, or for a model without one."""

    __slots__ = ("_is_strict", "_only_type", "_schema")

    def __init__(self, schema: Schema | None, dialect: Dialect = COMPAT) -> None:
        self._is_strict = dialect.is_strict
        self._schema = schema
        kinds = {column.type for column in schema.columns} if isinstance(schema, ColumnSchema) else set()
        only = kinds.pop() if len(kinds) == 1 else None
        # The type of every column, where it is one that takes any number.
        self._only_type = NUMPY_TYPES[only] if only in (DataType.FLOAT, DataType.DOUBLE) else None

    def read_split(self, data: Any) -> Any:
        """The value of `dataframe_split`: rows, and optionally the names of columns and rows.

        Raises:
            MalformedBody: Not of that form, or a column that cannot be converted, named.
        """
        if not isinstance(data, dict):
            got = "list" if isinstance(data, list) else f"type {type(data)}"
            raise MalformedBody(f"Invalid input. Dataframe split format must be a dictionary. Got {got}.")
        if "data" not in data or not data.keys() <= _SPLIT_FIELDS:
            fields = f"{{{listed(list(data))}}}" if data else "set()"
            raise MalformedBody(
                "Invalid input. Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. "
                f"Got {fields}.'"
            )
        pandas = pandas_for("A request with dataframe_split")
        _refuse(why_unfolding(data["data"], data.get("index"), data.get("columns")))
        try:
            index = None if _is_count(data.get("index"), data["data"]) else data.get("index")
            frame = pandas.DataFrame(index=index, columns=data.get("columns"), data=data["data"])
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
        pandas = pandas_for("A request with dataframe_records")
        _refuse(why_unfolding(data))
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
        pandas = pandas_for("A CSV request")
        _refuse(why_unfolding_csv(text))
        try:
            frame = pandas.read_csv(io.StringIO(text), dtype=self._csv_types())
            if not isinstance(self._schema, ColumnSchema):
                return frame
            columns = [pair for pair in zip(self._schema.labels, self._schema.columns, strict=True) if pair[0] in frame]
            if any(_is_not_whole(frame[label], each) for label, each in columns):
                # Told of the type, pandas says what is wrong with it.
                pandas.read_csv(io.StringIO(text), dtype=self._csv_types(is_whole_told=True))
            return _with_columns(frame, {label: _csv_column(label, frame[label], each) for label, each in columns})
        except PodiumError:
            raise
        except Exception as error:
            raise MalformedBody(
                "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted Pandas "
                f"DataFrame produced using the `pandas.DataFrame.to_csv()` method. Error: '{reason(error)}'"
            ) from error

    def _csv_types(self, is_whole_told: bool = False) -> Any:
        """What read_csv is told of the columns' types; text of datetimes is converted afterwards.

        Raises:
            MalformedBody: Types that have no form in CSV.
        """
        if self._schema is None:
            return None
        if isinstance(self._schema, TensorSchema):
            raise _no_csv("TensorSpec only supports numpy types, use numpy_types() instead")
        types: dict[Any, Any] = {}
        for label, column in zip(self._schema.labels, self._schema.columns, strict=True):
            if not isinstance(column.type, DataType):
                raise _no_csv("Failed to get pandas types as some of the inputs types are not DataType.")
            is_text = column.type in (DataType.STRING, DataType.BINARY, DataType.DATETIME)
            if is_whole_told or column.required or column.type not in WHOLE:
                types[label] = object if is_text else NUMPY_TYPES[column.type]
        return types

    def _converted(self, frame: Any) -> Any:
        if self._schema is None or not frame.columns.is_unique:
            return frame  # of two columns of one name the enforcer complains
        if isinstance(self._schema, TensorSchema):
            return _with_columns(frame, self._to_tensors(frame, self._schema))
        labels = self._schema.labels if self._schema.is_named else list(frame.columns)
        columns = list(zip(labels, self._schema.columns, strict=False))
        if self._only_type is not None and len(frame.columns) == len(columns) and _are_numbers(frame):
            # One type for all is converted in one piece.
            with np.errstate(over="ignore", invalid="ignore"):
                return frame.astype(self._only_type)
        present = set(frame.columns)
        if not self._schema.is_named:
            # Nameless columns are required where the frame numbers them; a frame of records has names, and MLflow takes
            # them for optional at this stage.
            columns = [
                (label, column if isinstance(column.type, DataType) or label == i else replace(column, required=False))
                for i, (label, column) in enumerate(columns)
            ]
        changed = {label: self._column(label, frame[label], column) for label, column in columns if label in present}
        return _with_columns(frame, changed)

    def _column(self, label: Any, values: Any, column: Column) -> Any:
        if self._is_strict and column.type is DataType.BOOLEAN and not column.required and values.isna().any():
            return values.astype(object)
        return _column(label, values, column)

    def _to_tensors(self, frame: Any, schema: TensorSchema) -> dict[Any, Any]:
        if schema.is_named:
            # In the signature's order: the first column that does not fit is the one that is told.
            pairs = [(tensor.name, tensor) for tensor in schema.tensors if tensor.name in frame]
        else:
            pairs = [(label, schema.tensors[0]) for label in frame.columns]
        changed: dict[Any, Any] = {}
        for label, tensor in pairs:
            dtype, values = np.dtype(tensor.dtype), frame[label]
            if dtype.kind != "S" and not len(values):
                raise _failed(label, dtype, "IndexError('single positional indexer is out-of-bounds')")
            # Lists become a tensor when the schema is enforced.
            if dtype.kind == "S" or not isinstance(values.iloc[0], list):
                changed[label] = _to_dtype(label, values, dtype)
        return changed


def read_parquet(body: bytes) -> Any:
    """A Parquet body as a data frame.

    Raises:
        MalformedBody: Not Parquet.
        MissingDependency: pyarrow, which pandas reads Parquet with, is not installed.
    """
    pandas = pandas_for("A Parquet request")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingDependency("pyarrow", "A Parquet request", "parquet") from error
    try:
        check_parquet(body)
        return pandas.read_parquet(io.BytesIO(body))
    except MalformedBody:
        raise
    except Exception as error:
        raise MalformedBody(
            "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid Parquet Pandas DataFrame "
            f"produced using the `pandas.DataFrame.to_parquet()` method. Error: '{reason(error)}'"
        ) from error


def to_datetimes(values: Any, is_mixed: bool = False) -> Any:
    """A column of datetimes in nanoseconds without a time zone: where one is given, the moment in UTC.

    Args:
        values: The column as it arrived.
        is_mixed: Several spellings in one column are taken, by ISO 8601; else pandas wants one, unless there are zones.

    Raises:
        ValueError, TypeError: Not datetimes, or beyond the years that nanoseconds can count.
    """
    pandas = pandas_for("A column of datetimes")
    try:
        parsed = pandas.to_datetime(values)
    except ValueError as error:
        # Time zones, several or not everywhere; else the first error says more.
        if not is_mixed and not _hold_zones(values):
            raise
        try:
            parsed = pandas.to_datetime(values, utc=True, format="ISO8601")
        except ValueError:
            raise error from None
    if isinstance(parsed.dtype, pandas.DatetimeTZDtype):
        parsed = parsed.dt.tz_convert("UTC").dt.tz_localize(None)
    return parsed.astype("datetime64[ns]")


def _refuse(why: str | None) -> None:
    if why is not None:
        raise MalformedBody(f"Invalid input. The body unfolds to much more than it holds: {why}. Send it in parts.")


def _is_count(index: Any, rows: Any) -> bool:
    """Whether an index only counts the rows from 0, as pandas' own does.

    MLflow's client always sends one. As a list of labels it would be an index of the request's own, and the request could
    share no batch.
    """
    if not isinstance(index, list) or not isinstance(rows, list) or not len(index) == len(rows) > 0:
        return False
    return set(map(type, index)) == {int} and index == list(range(len(index)))


def _hold_zones(values: Any) -> bool:
    return any(isinstance(value, str) and has_zone(value) for value in values)


def _with_columns(frame: Any, changed: dict[Any, Any]) -> Any:
    """The frame with other values in some columns; None stands for a column that stays."""
    if all(values is None for values in changed.values()):
        return frame
    kept = {label: values for label, values in changed.items() if values is not None}
    columns = {label: kept[label] if label in kept else frame[label] for label in frame.columns}
    return pandas_for("A data frame").DataFrame(columns, index=frame.index)


def _are_numbers(frame: Any) -> bool:
    return all(getattr(dtype, "kind", "O") in "iuf" for dtype in frame.dtypes)


def _column(label: Any, values: Any, column: Column) -> Any:
    """A column's values as its type declares them, or None where they are so already."""
    if isinstance(column.type, AnyType):
        return None
    if not isinstance(column.type, DataType):
        return _cells(label, values, column.type, lambda value: conform_value(value, column.type, column.required))
    match column.type:
        case DataType.BINARY:
            return _cells(label, values, object, lambda value: _decode_base64(value, column.required))
        case DataType.STRING:
            is_text = values.dtype == object or isinstance(values.dtype, pandas_for("A data frame").StringDtype)
            return None if is_text else values.astype(object)
        case DataType.DATETIME:
            try:
                return to_datetimes(values)
            except Exception as error:
                raise _failed(label, NUMPY_TYPES[column.type], described(error)) from error
        case DataType.INTEGER | DataType.LONG if not column.required and values.isna().any():
            return _whole_with_gaps(label, values, NUMPY_TYPES[column.type])
        case _:
            return _to_dtype(label, values, NUMPY_TYPES[column.type])


def _csv_column(label: Any, values: Any, column: Column) -> Any:
    """What read_csv cannot be told, or None: datetimes, and whole numbers with missing ones among them."""
    if column.type is DataType.DATETIME:
        return to_datetimes(values, is_mixed=True)
    if column.type in WHOLE and not column.required:
        target = NUMPY_TYPES[column.type]
        return _cast(values, target) if values.dtype.kind == "i" else _whole_with_gaps(label, values, target)
    return None


def _is_not_whole(values: Any, column: Column) -> bool:
    """Whether an optional column of whole numbers holds something else than those and gaps."""
    if column.type not in WHOLE or column.required or values.dtype.kind == "i":
        return False
    return values.dtype.kind != "f" or not bool((values.dropna() % 1 == 0).all())


def _cells(label: Any, values: Any, kind: Any, convert: Callable[[Any], Any]) -> Any:
    """Each cell converted; a column of objects, not of what pandas would guess of them."""
    try:
        return pandas_for("A data frame").Series([convert(value) for value in values], index=values.index, dtype=object)
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


def _to_dtype(label: Any, values: Any, dtype: "np.dtype[Any]") -> Any:
    if values.dtype == dtype:
        return None
    try:
        if dtype.kind == "S":
            texts = [bytes(value, "utf8") for value in values]
            return pandas_for("A data frame").Series(texts, index=values.index, dtype=object)
        if dtype.kind in "UO" and isinstance(values.dtype, pandas_for("A data frame").StringDtype):
            return None
        return _cast(values, dtype)
    except Exception as error:
        raise _failed(label, dtype, described(error)) from error


def _cast(values: Any, dtype: "np.dtype[Any]") -> Any:
    """Pandas' astype, which wraps numbers that are too large for a whole type; they raise OverflowError here."""
    if getattr(values.dtype, "kind", "O") not in "iuf" or dtype.kind not in "biuf":
        return values.astype(dtype)
    numbers = values.to_numpy()
    if dtype.kind == "u" and numbers.dtype.kind == "f":
        return values.astype(dtype)  # which pandas itself refuses to wrap
    if dtype.kind in "iu" and len(numbers):
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            return values.astype(dtype)  # raises, in pandas' words
        bounds = np.iinfo(dtype)
        # Python compares a float with a whole number exactly; numpy would round the bound up to 2**63.
        for extreme in (numbers.min().item(), numbers.max().item()):
            if not bounds.min <= extreme <= bounds.max:
                raise OverflowError(f"Python integer {int(extreme)} out of bounds for {dtype}")
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype(dtype)


def _whole_with_gaps(label: Any, values: Any, dtype: "np.dtype[Any]") -> Any:
    """Whole numbers of an optional column with missing ones among them: floats with NaN."""
    try:
        known = values.dropna()
        whole = np.asarray(_cast(known, dtype))
        is_float = all(is_exact(int(end), DataType.DOUBLE) for end in (whole.min(), whole.max())) if len(whole) else True
        kind = np.float64 if is_float else object
        return pandas_for("A data frame").Series(whole.astype(kind), index=known.index).reindex(values.index)
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


def _no_csv(why: str) -> MalformedBody:
    return MalformedBody(
        "Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted Pandas DataFrame "
        f"produced using the `pandas.DataFrame.to_csv()` method. Error: '{why}'"
    )
