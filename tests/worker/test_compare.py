"""The same answer: labels equal, floats within their precision, NaN equal to NaN."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from podium.worker.compare import difference

NAN = float("nan")

SAME: list[tuple[str, Any, Any]] = [
    ("float64 within 1e-12", np.array([1.0, 0.0]), np.array([1.0 + 9e-13, 9e-13])),
    ("float64 relative to large values", np.array([1e6]), np.array([1e6 + 9e-7])),
    ("float32 within 1e-5", np.array([1.0], np.float32), np.array([1.000009], np.float32)),
    ("complex numbers of float32", np.array([1 + 1j], np.complex64), np.array([1.000009 + 1j], np.complex64)),
    ("NaN", np.array([NAN, 1.0]), np.array([NAN, 1.0])),
    ("infinity", np.array([np.inf]), np.array([np.inf])),
    ("text of other widths", np.array(["a"]), np.array(["a", "abc"])[:1]),
    ("dates without a time", np.array(["NaT"], "M8[ns]"), np.array(["NaT"], "M8[ns]")),
    ("objects", np.array(["a", None, 1.0], object), np.array(["a", None, 1.0 + 1e-13], object)),
    ("lists", [1, 2.0, "a", None], [1, 2.0 + 1e-13, "a", None]),
    ("dicts", {"a": [1.0]}, {"a": [1.0]}),
    ("tables", pd.DataFrame({"a": [1.0], "b": ["x"]}), pd.DataFrame({"a": [1.0 + 1e-13], "b": ["x"]})),
    ("series", pd.Series([1, 2]), pd.Series([1, 2])),
    ("numpy scalars", np.float32(1), np.float32(1.000009)),
]
OTHER: list[tuple[str, Any, Any]] = [
    ("float64 beyond 1e-12", np.array([1.0]), np.array([1.0 + 2e-12])),
    ("float32 beyond 1e-5", np.array([1.0], np.float32), np.array([1.00002], np.float32)),
    ("complex numbers of float64", np.array([1 + 1j]), np.array([1 + 2e-12 + 1j])),
    ("labels", np.array([1]), np.array([2])),
    ("whole numbers far apart by one", np.array([2**60]), np.array([2**60 + 1])),
    ("text", np.array(["a"]), np.array(["b"])),
    ("NaN and a number", np.array([NAN]), np.array([1.0])),
    ("infinities", np.array([np.inf]), np.array([-np.inf])),
    ("infinity and a number", np.array([np.inf]), np.array([1.0])),
    ("infinities in lists", [float("inf")], [-float("inf")]),
    ("infinity and a number in lists", [float("inf")], [1.0]),
    ("shapes", np.zeros((1, 2)), np.zeros((2, 1))),
    ("dtypes", np.array([1]), np.array([1.0])),
    ("None and NaN", [None], [NAN]),
    ("types", [1], [1.0]),
    ("truth and one", [True], [1]),
    ("lengths", [1], [1, 2]),
    ("names", {"a": 1}, {"b": 1}),
    ("columns", pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    ("column dtypes", pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1.0]})),
    ("column values", pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["y"]})),
    ("a table and an array", pd.DataFrame({"a": [1]}), np.array([[1]])),
]


@pytest.mark.parametrize(("what", "left", "right"), SAME, ids=[row[0] for row in SAME])
def test_is_the_same(what: str, left: Any, right: Any) -> None:
    assert difference(left, right) is None


@pytest.mark.parametrize(("what", "left", "right"), OTHER, ids=[row[0] for row in OTHER])
def test_is_not_the_same(what: str, left: Any, right: Any) -> None:
    assert difference(left, right)
    assert difference(right, left)
