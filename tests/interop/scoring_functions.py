"""What the compared models do, on MLflow's side and on podium's; needs numpy and pandas, and neither of the two."""

import datetime
import decimal

import numpy as np
import pandas as pd


def describe(data, params=None):
    """Everything that a model can see of its input: types, dtypes, order, values."""
    return {"data": _describe(data), "params": _describe(params)}


def add(data, params=None):
    return (data["a"] + data["b"]).to_numpy()


def fail(data, params=None):
    raise ValueError("a secret of the data")


def refuse(data, params=None):
    """Raise MLflow's own exception, or on podium's side one that looks the same: its text is meant for clients."""
    code = str(data[0])
    try:
        from mlflow.exceptions import ErrorCode, MlflowException
    except ImportError:
        raise Refusal("not for you", code) from None
    raise MlflowException("not for you", ErrorCode.Value(code) if code != "NO_SUCH_CODE" else -1)


class Refusal(Exception):
    def __init__(self, message, code):
        self.message = message
        self.error_code = code if code != "NO_SUCH_CODE" else "INTERNAL_ERROR"

    def get_http_status_code(self):
        return 500


def output(data, params=None):
    """The output that the input names; see OUTPUTS."""
    return OUTPUTS[str(np.asarray(data["kind"]).ravel()[0])]()


class Point:
    pass


OUTPUTS = {
    "float32": lambda: np.array([[0.1, 0.2]], dtype=np.float32),
    "float64": lambda: np.array([0.1, 1e300, -0.0, 1e-7, 123456789.123]),
    "int8": lambda: np.array([1, -2], dtype=np.int8),
    "uint64": lambda: np.array([2**64 - 1], dtype=np.uint64),
    "bool": lambda: np.array([True, False]),
    "text": lambda: np.array(["é", 'q"uote', "\u2028", "\x00a"]),
    "frame": lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    "frame with an index": lambda: pd.DataFrame({"a": [1.5]}, index=["row"]),
    "frame with numbered columns": lambda: pd.DataFrame([[1, 2.5]]),
    "frame with categories": lambda: pd.DataFrame({"c": pd.Categorical(["p", "q"])}),
    "frame with missing values": lambda: pd.DataFrame({"i": pd.array([1, None], dtype="Int64"), "f": [1.0, np.nan]}),
    "frame of text with None": lambda: pd.DataFrame({"s": ["x", None]}),
    "frame of datetimes": lambda: pd.DataFrame({"t": pd.to_datetime(["2024-01-02T03:04:05.678", None])}),
    "empty frame": lambda: pd.DataFrame({"a": []}),
    "series": lambda: pd.Series([1.5, 2.5], name="p"),
    "unnamed series": lambda: pd.Series([1.5]),
    "nan": lambda: np.array([np.nan, np.inf, -np.inf]),
    "python nan": lambda: [float("nan"), float("-inf")],
    "timestamp": lambda: [pd.Timestamp("2024-01-02T03:04:05.678"), pd.Timestamp("2024-01-02", tz="UTC"), pd.NaT],
    "datetimes": lambda: [
        datetime.datetime.fromisoformat("2024-01-02T03:04:05"),
        datetime.date(2024, 1, 2),
        datetime.time(3, 4),
    ],
    "datetime64 ns": lambda: np.array(["2024-01-02T03:04:05"], dtype="datetime64[ns]"),
    "datetime64 s": lambda: np.array(["2024-01-02T03:04:05"], dtype="datetime64[s]"),
    "datetime64 scalar": lambda: [np.datetime64("2024-01-02", "D"), np.datetime64("2024-01-02T03:04", "ns")],
    "timedelta64 array": lambda: np.array([5], dtype="timedelta64[ns]"),
    "bytes": lambda: [b"hi", bytearray(b"ho"), b"x" * 80],
    "array of bytes": lambda: np.array([b"hi", b"abc"]),
    "array of objects": lambda: np.array([1, "a", None, b"x", 2.5, np.float32(0.5)], dtype=object),
    "dict of arrays": lambda: {"out": np.array([[1.0, 2.0]]), "n": np.int64(3)},
    "nested": lambda: {"a": [{"b": (1, 2)}, [np.bool_(True), np.str_("z")]], "c": {"d": np.arange(2)}},
    "none": lambda: None,
    "scalar": lambda: 3,
    "numpy scalar": lambda: np.float64(0.1),
    "float32 scalar": lambda: np.float32(0.1),
    "str": lambda: "é\n",
    "tuple": lambda: (1, "a"),
    "true": lambda: True,
    "list": lambda: [1, 2.5, "x", None, False],
    "empty list": list,
    "empty array": lambda: np.zeros((0, 3)),
    "0-d array": lambda: np.array(5),
    "int keys": lambda: {1: "a", None: "b", 2.5: "d"},
    "frame with equal names": lambda: pd.DataFrame([[1, 2]], columns=["a", "a"]),
    # From here on MLflow answers 500.
    "timedelta": lambda: [pd.Timedelta("1D"), datetime.timedelta(seconds=90)],
    "decimal": lambda: [decimal.Decimal("1.50")],
    "set": lambda: {3, 1, 2},
    "numpy keys": lambda: {np.int64(1): "a"},
    "frame in a dict": lambda: {"f": pd.DataFrame({"a": [1]})},
    "series in a dict": lambda: {"s": pd.Series([1, 2])},
    "complex": lambda: [1 + 2j],
    "object": Point,
    "tuple keys": lambda: {(1, 2): "a"},
    "generator": lambda: (i for i in range(2)),
}


def _describe(value):
    match value:
        case pd.DataFrame():
            return {
                "type": "DataFrame",
                "columns": [_describe(name) for name in value.columns],
                "dtypes": [str(dtype) for dtype in value.dtypes],
                "index": [_describe(label) for label in value.index],
                "cells": [[_describe(cell) for cell in value.iloc[:, i].tolist()] for i in range(value.shape[1])],
            }
        case np.ndarray():
            shown = value.tolist() if value.dtype.kind != "M" else value.astype(str).tolist()
            return {"type": "ndarray", "dtype": str(value.dtype), "shape": list(value.shape), "values": _describe(shown)}
        case dict():
            return {"type": "dict", "items": [[_describe(name), _describe(item)] for name, item in value.items()]}
        case list() | tuple():
            return [type(value).__name__, *map(_describe, value)]
        case _:
            return f"{type(value).__name__}:{value!r}"
