"""Predictions as JSON, byte for byte as MLflow writes them: `json.dump` of `{"predictions": ...}` with its encoder.

text is ASCII, separators have a space, NaN and the infinities stand bare unless the dialect says otherwise. Types that
MLflow answers with a crash have a form here: timedeltas as ISO 8601 durations, Decimals as numbers, sets as lists, numpy
scalars as keys, frames and series inside dicts.
"""

import base64
import datetime
import decimal
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from podium.domain.dialect import COMPAT, Dialect, NanForm
from podium.errors import UnencodableOutput


def encode(prediction: Any, is_enveloped: bool = True, dialect: Dialect = COMPAT) -> bytes:
    """The response's body for what a model returned.

    Args:
        prediction: Array, frame, series, or anything that JSON can hold.
        is_enveloped: False for unified requests, which are answered with the prediction alone.
        dialect: How NaN and the infinities are written.

    Raises:
        UnencodableOutput: Names the type that has no form in JSON.
    """
    text = _bare(prediction, is_enveloped)
    if dialect.nan == "bare" or not _MAY_HOLD_NAN.search(text):
        return text
    return _without_bare(text, dialect.nan)


_MAY_HOLD_NAN = re.compile(rb"NaN|Infinity")


def _without_bare(text: bytes, form: NanForm) -> bytes:
    """The same JSON with null or text for NaN and the infinities: read again, where each is recognised for what it is."""
    try:
        answer = json.loads(text, parse_constant=(lambda _: None) if form == "null" else str)
        return json.dumps(answer, allow_nan=False).encode("ascii")
    except (ValueError, RecursionError) as error:
        raise _unencodable(error) from error


def _bare(prediction: Any, is_enveloped: bool) -> bytes:
    answer = prediction
    try:
        answer = {"predictions": _outermost(prediction)} if is_enveloped else _outermost(prediction)
        return _ENCODER.encode(answer).encode("ascii")
    except _Unknown as error:
        raise _unencodable(error) from error
    except TypeError:
        # A key that JSON has no form for, about which the encoder does not ask default(): once more, with text for keys.
        pass
    except Exception as error:
        raise _unencodable(error) from error
    try:
        return _ENCODER.encode(_with_text_keys(answer)).encode("ascii")
    except Exception as error:
        raise _unencodable(error) from error


class _Encoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        if isinstance(o, np.ndarray):
            return o.tolist()
        if isinstance(o, np.generic):
            return _scalar(o)
        if isinstance(o, bytes | bytearray):
            # With a line break after every 76 characters and at the end, as MLflow's clients know it.
            return base64.encodebytes(o).decode("ascii")
        pandas = sys.modules.get("pandas")
        if pandas is not None:
            if o is pandas.NaT:
                return "NaT"
            if o is pandas.NA:
                return None
            if isinstance(o, pandas.Timedelta):
                return o.isoformat()
            if isinstance(o, pandas.DataFrame):
                return _records(o)
            if isinstance(o, pandas.Series | pandas.Index):
                return o.tolist()
        return _plain(o)


_ENCODER = _Encoder()


def _plain(value: Any) -> Any:
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return _duration(value)
        case decimal.Decimal():
            return float(value)
        case set() | frozenset():
            return _in_order(value)
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump()
    raise _Unknown(type(value))


class _Unknown(TypeError):
    def __init__(self, kind: type) -> None:
        self.kind = kind
        super().__init__(kind.__name__)


def _outermost(prediction: Any) -> Any:
    if isinstance(prediction, np.ndarray):
        return prediction.tolist()
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(prediction, pandas.DataFrame):
        return _records(prediction)
    if pandas is not None and isinstance(prediction, pandas.Series):
        return _records(pandas.DataFrame(prediction))
    return prediction


def _records(frame: Any) -> list[dict[Any, Any]]:
    """A dict for each row. Of columns with one name the last is kept, as in MLflow, without pandas' warning."""
    if not frame.columns.is_unique:
        frame = frame.loc[:, ~frame.columns.duplicated(keep="last")]
    records: list[dict[Any, Any]] = frame.to_dict(orient="records")
    return records


def _scalar(value: "np.generic[Any]") -> Any:
    item = value.item()
    if isinstance(item, np.generic):
        # longdouble, whose item() is itself.
        raise _Unknown(type(value))
    return item


def _duration(span: datetime.timedelta) -> str:
    """ISO 8601, in the form that pandas gives a Timedelta: `P1DT2H3M4.5S`."""
    sign = "-" if span < datetime.timedelta() else ""
    span = abs(span)
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{span.microseconds:06d}".rstrip("0") if span.microseconds else ""
    return f"{sign}P{span.days}DT{hours}H{minutes}M{seconds}{fraction}S"


def _in_order(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


_KEYS = (str, int, float, bool, type(None))


def _with_text_keys(value: Any) -> Any:
    """The same with every key a kind that JSON knows: numpy's scalars as Python's, dates and times as ISO text."""
    if isinstance(value, Mapping):
        return {_key(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text_keys(item) for item in value]
    return value


def _key(key: Any) -> Any:
    if isinstance(key, np.generic):
        key = _scalar(key)
    if isinstance(key, datetime.date | datetime.time):
        return key.isoformat()
    if not isinstance(key, _KEYS):
        raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")
    return key


def _unencodable(error: Exception) -> UnencodableOutput:
    if isinstance(error, _Unknown):
        name = f"{error.kind.__module__}.{error.kind.__qualname__}".removeprefix("builtins.")
        return UnencodableOutput(
            f"The model returned an object of type {name}, which has no form in JSON. Have its predict() return "
            "arrays, data frames, or lists and dictionaries of numbers, text and dates."
        )
    if isinstance(error, TypeError) and str(error).startswith("keys must be"):
        return UnencodableOutput(f"The model returned a dictionary that has no form in JSON: {error}.")
    what = "holds itself" if isinstance(error, ValueError) else f"cannot be written as JSON ({type(error).__name__})"
    return UnencodableOutput(f"The model returned an object that {what}, and so has no form in JSON.")
