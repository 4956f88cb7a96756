"""The params that a signature declares: defaults filled in, values checked and converted, unknown names dropped."""

import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.inputs.nested import conform_value
from podium.domain.reasons import Quotes, listed, reason
from podium.domain.signature import DataType, ObjectType, Param
from podium.errors import InvalidParams, SchemaMismatch

_logger = logging.getLogger(__name__)

_WHOLE = (int, np.int32, np.int64)
# Types that are taken for each declared type, exactly: a bool is no number here. Conversion goes to Python's own type.
_ACCEPTED: dict[DataType, tuple[tuple[type, ...], Callable[[Any], Any]]] = {
    DataType.BOOLEAN: ((bool, np.bool_), bool),
    DataType.INTEGER: ((int, np.int32), int),
    DataType.LONG: (_WHOLE, int),
    DataType.FLOAT: ((float, np.float32, *_WHOLE), float),
    DataType.DOUBLE: ((float, np.float64, np.float32, *_WHOLE), float),
    DataType.STRING: ((str, np.str_), str),
}


class ParamsEnforcer:
    """One model's params schema, its defaults converted once."""

    __slots__ = ("_defaults", "_has_told", "_is_strict", "_params")

    def __init__(self, params: Sequence[Param] | None, dialect: Dialect = COMPAT) -> None:
        self._is_strict = dialect.is_strict
        self._params = None if params is None else {param.name: param for param in params}
        self._has_told = False
        self._defaults = {param.name: _convert(param, param.default, Quotes()) for param in params or ()}
        # Messages show a default as the model gets it.
        if self._params is not None:
            self._params = {name: replace(each, default=self._defaults[name]) for name, each in self._params.items()}

    def enforce(self, params: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Every declared param with its value or default; a fresh dict, whose defaults are copies.

        A model without a params schema gets none, whatever the request says.

        Raises:
            InvalidParams: Not a mapping, or the params that do not fit, each with expected and got.
        """
        if self._params is None:
            if params:
                self._refuse_unknown(params)
                self._tell_once()
            return None if params is None else {}
        params = {} if params is None else params
        if not isinstance(params, Mapping):
            raise InvalidParams(f"Parameters must be a dictionary. Got type '{type(params).__name__}'.")
        given = {str(name): value for name, value in params.items() if str(name) in self._params}
        if len(given) < len(params):
            self._refuse_unknown(params)
            self._tell_once()
        values, invalid = {}, []
        quotes = Quotes()
        for name, value in given.items():
            try:
                values[name] = _convert(self._params[name], value, quotes)
            except InvalidParams as error:
                invalid.append((name, error.message))
        if invalid:
            raise InvalidParams(f"Invalid parameters found: {{{listed(invalid)}}}")
        return values | {name: deepcopy(default) for name, default in self._defaults.items() if name not in values}

    def _refuse_unknown(self, params: Any) -> None:
        if self._is_strict:
            names = list(params) if isinstance(params, Mapping) else []
            unknown = [name for name in names if str(name) not in (self._params or ())]
            raise InvalidParams(f"The model's signature has no params [{listed(unknown)}].")

    def _tell_once(self) -> None:
        """Not for each request: a log that a client can fill is none."""
        if not self._has_told:
            self._has_told = True
            declared = list(self._params or ())
            _logger.warning("params that the model's signature does not declare are ignored; it declares %s", declared)


def _convert(param: Param, value: Any, quotes: Quotes) -> Any:
    is_list = isinstance(value, list | np.ndarray)
    if param.shape == (-1,):
        if not is_list or any(isinstance(item, list | tuple | np.ndarray) for item in value):
            raise InvalidParams(
                f"Value must be a 1D array with shape (-1,) for param {param}, received {type(value).__name__} "
                f"with ndim {_depth(value)}"
            )
        return [_convert_scalar(param, item, quotes) for item in value]
    if isinstance(param.type, ObjectType):
        try:
            conform_value(value, param.type)
        except SchemaMismatch as error:
            raise _invalid(param, error.message) from error
        except Exception as error:
            raise _invalid(param, reason(error)) from error
        # Checked, not converted: the model gets what was sent, as in MLflow.
        return value
    return _convert_scalar(param, value, quotes)


def _convert_scalar(param: Param, value: Any, quotes: Quotes) -> Any:
    """A value as Python's own type; None stays None, which says "not given" to many models."""
    if value is None or not isinstance(param.type, DataType):
        return value
    if param.type is DataType.DATETIME:
        return _convert_datetime(param, value, quotes)
    accepted, convert = _ACCEPTED.get(param.type, ((), str))
    if type(value) in accepted:
        return convert(value)
    if not np.isscalar(value):
        raise _invalid(param, f"Value must be a scalar for type `DataType.{param.type.value}`, got `{quotes.of(value)}`")
    raise _invalid(
        param, f"Can not safely convert `{type(value)}` to `DataType.{param.type.value}` for value `{quotes.of(value)}`"
    )


def _convert_datetime(param: Param, value: Any, quotes: Quotes) -> Any:
    if isinstance(value, datetime.date):
        return value
    try:
        moment = np.datetime64(value).item() if not isinstance(value, str) else _moment(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise _invalid(
            param, f"Failed to convert value `{quotes.of(value)}` from type `{type(value)}` to `DataType.datetime`"
        ) from error
    # NaT is None here, which passes as it does in MLflow.
    if isinstance(moment, int):
        raise _invalid(
            param,
            "Failed to convert value to `DataType.datetime`. It must be convertible to datetime.date/datetime, "
            f"got `{quotes.of(value)}`",
        )
    return moment


def _moment(text: str) -> Any:
    """ISO text as date or datetime; one with a time zone as naive UTC, which numpy would do with a warning."""
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        return np.datetime64(text).item()
    if parsed.tzinfo is not None:
        return parsed.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(text).item()


def _invalid(param: Param, why: str) -> InvalidParams:
    return InvalidParams(f"Failed to validate type and shape for {param}, error: {why}")


def _depth(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.ndim
    return 1 + max((_depth(item) for item in value), default=0) if isinstance(value, list) else 0
