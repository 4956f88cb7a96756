"""The requests that MLflow's server and podium are both asked, and where podium answers otherwise on purpose."""

import json
from typing import Any

import pandas as pd
from scoring_models import CSV, PARQUET, Case, as_json, as_parquet
from scoring_types import coercion_cases, nested_cases, optional_cases, tensors_cases


def all_cases() -> list[Case]:
    cases = [
        *_content_types(), *_bodies(), *_without_signature(), *_columns(),
        *coercion_cases(), *nested_cases(), *optional_cases(), *tensors_cases(),
        *_params(), *_unified_and_hints(), *_outputs(), *_csv(), *_parquet_bodies(),
    ]  # fmt: skip
    titles = [case.title for case in cases]
    assert len(titles) == len(set(titles)), [title for title in titles if titles.count(title) > 1]
    return cases


AB = {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}


def _content_types() -> list[Case]:
    body = json.dumps(AB).encode()
    kinds = [
        "text/plain", "application/json; charset=latin-1", "application/json; format=pandas-split", "Application/JSON",
        "application/json; charset=UTF-8", "application/json;charset=utf-8", " application/json ", "", "application/json;",
        "text/csv; header=present", "application/xml; charset=utf-8", "application/json; charset=utf-16; x=1",
    ]  # fmt: skip
    cases = [Case("A", f"Content-Type {kind!r}", body, kind) for kind in kinds]
    missing = (415, "This predictor only supports the following content types")
    return [*cases, Case("A", "no Content-Type", body, None, ours=missing)]


def _bodies() -> list[Case]:
    bodies = {
        "split": AB,
        "records": {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
        "inputs": {"inputs": {"a": [1, 3], "b": [2, 4]}},
        "instances": {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
        "not JSON": b"{bad",
        "no body": b"",
        "not UTF-8": b'{"a": "\xff"}',
        "UTF-16": json.dumps(AB).encode("utf-16"),
        "UTF-8 with a mark": b"\xef\xbb\xbf" + json.dumps(AB).encode(),
        "list": [1],
        "number": 5,
        "string": '"x"',
        "null": "null",
        "empty object": {},
        "unknown name": {"foo": 1},
        "two input fields": {"inputs": [1], "instances": [1]},
        "three input fields": {"dataframe_split": {}, "inputs": [1], "instances": [1]},
        "extra name at the top": {**AB, "foo": 1},
        "signature_name": {**AB, "signature_name": "x"},
        "body of MLflow 1": {"columns": ["a"], "data": [[1]]},
        "split is a list": {"dataframe_split": [1]},
        "split is a string": {"dataframe_split": "x"},
        "split is null": {"dataframe_split": None},
        "split without data": {"dataframe_split": {"columns": ["a"]}},
        "split with another field": {"dataframe_split": {"columns": ["a"], "data": [[1]], "zz": 1}},
        "split with too many cells": {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2, 3]]}},
        "split with too many names": {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2]]}},
        "split with an index": {"dataframe_split": {"columns": ["a", "b"], "index": [5], "data": [[1, 2]]}},
        "split with an index too long": {"dataframe_split": {"columns": ["a", "b"], "index": [5, 6], "data": [[1, 2]]}},
        "records is a dict": {"dataframe_records": {"a": 1}},
        "records is a string": {"dataframe_records": "x"},
        "records of scalars": {"dataframe_records": [1, 2]},
        "ragged inputs": {"inputs": [[1], [1, 2]]},
        "instances of several lengths": {"instances": [{"a": 1, "b": 2}, {"a": 3}]},
        "no rows": {"dataframe_split": {"columns": ["a", "b"], "data": []}},
        "no records": {"dataframe_records": []},
        "nested arrays": {"inputs": [[1, 0.5]]},
        "inputs is null": {"inputs": None},
        "inputs is empty": {"inputs": []},
        "inputs is an empty dict": {"inputs": {}},
        "instances is empty": {"instances": []},
        "params is ignored": {**AB, "params": {"x": 1}},
        "params is a list": {**AB, "params": [1]},
    }
    return [as_json("A", name, body) for name, body in bodies.items()]


CODES = (
    "INTERNAL_ERROR", "BAD_REQUEST", "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "PERMISSION_DENIED",
    "RESOURCE_ALREADY_EXISTS", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "UNAUTHENTICATED",
)  # fmt: skip


def _without_signature() -> list[Case]:
    values = {
        "ints": [1, 2, 3], "string": "hello", "empty": [], "number": 5, "null": None, "true": True, "mixed": [1, "a", None],
        "dict": {"a": 1, "b": "x"}, "dict of lists": {"a": [1, 2], "b": ["x", "y"]}, "dicts": [{"a": 1}, {"a": [1, 2]}],
        "2-d": [[1, 2], [3, 4.5]], "ragged": [[1], [1, 2]], "strings": ["é", "zz"], "big": [12345678901234567890123],
        "uint64": [2**63], "bools": [True, False], "floats and null": [1.5, None], "list with a dict": [1, {"a": 1}],
        "empty dict": {}, "nested": {"a": {"b": [1]}},
    }  # fmt: skip
    cases = [as_json("E", f"inputs {name}", {"inputs": value}) for name, value in values.items()]
    rows = {
        "ints": [1, 2, 3], "dicts": [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}], "dict": {"a": [1, 2]}, "empty": [],
        "dict of scalars": {"a": 1}, "dict then number": [{"a": 1}, 2], "lengths": {"a": [1], "b": [1, 2]}, "number": 5,
        "ragged": [{"a": [1]}, {"a": [1, 2]}], "strings": [{"a": "x"}, {"a": "yy"}], "null": [{"a": None}, {"a": 1}],
    }  # fmt: skip
    cases += [as_json("E", f"instances {name}", {"instances": value}) for name, value in rows.items()]
    frames = {
        "types": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]},
        "index": {"columns": ["a"], "index": [5, 6], "data": [[1], [2]]},
        "no columns": {"data": [[1, 2.5]]},
        "equal names": {"columns": ["a", "a"], "data": [[1, 2]]},
        "null": {"columns": ["a", "b"], "data": [[1, None], [None, "y"]]},
        "dict": {"columns": ["a"], "data": [[{"k": 1}]]},
        "flat": {"columns": ["a"], "data": [1, 2]},
        "scalar": {"columns": ["a"], "data": 5},
        "columns is a string": {"columns": "ab", "data": [[1, 2]]},
    }
    cases += [as_json("E", f"split {name}", {"dataframe_split": value}) for name, value in frames.items()]
    cases += [
        as_json("E", "records with gaps", {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3}]}),
        as_json("E", "records empty", {"dataframe_records": []}),
        as_json("E", "bare NaN and Infinity", b'{"inputs": [1, NaN, Infinity, -Infinity]}'),
        as_json("E", "equal names in JSON", b'{"inputs": [1], "inputs": [2]}'),
        as_json("E", "params without a schema", {"inputs": [1], "params": {"x": 1}}),
        Case("F", "predict raises", b'{"inputs": [1]}'),
        *(as_json("R", f"predict raises {code}", {"inputs": [code]}) for code in (*CODES, "NO_SUCH_CODE")),
    ]
    return cases


def _columns() -> list[Case]:
    split = {
        "columns in another order": {"columns": ["s", "a"], "data": [["q", 1.0]]},
        "an extra column": {"columns": ["a", "s", "zz"], "data": [[1.0, "q", 9]]},
        "a missing column": {"columns": ["zz", "a"], "data": [[9, 1.0]]},
        "all columns missing": {"columns": ["zz"], "data": [[9]]},
        "optional column absent": {"columns": ["a", "s"], "data": [[1.0, "q"]]},
        "optional column present": {"columns": ["a", "s", "o"], "data": [[1.0, "q", 3]]},
        "index kept": {"columns": ["a", "s"], "index": ["r1", "r2"], "data": [[1.0, "q"], [2.0, "r"]]},
    }
    cases = [as_json("S", name, {"dataframe_split": value}) for name, value in split.items()]
    twice = {"columns": ["a", "a", "s"], "data": [[1, 2, "x"]]}
    null = {"dataframe_split": {"columns": ["a", "s", "o"], "data": [[1.0, "q", None]]}}
    cases += [
        as_json("S", "two columns of one name", {"dataframe_split": twice}, is_status_enough=True),
        as_json("S", "optional column null", null, ours=(200, "nan")),
        as_json("S", "a record without a required key", {"dataframe_records": [{"a": 1, "s": "q"}, {"a": 2}]}),
        as_json("S", "inputs of scalars", {"inputs": {"a": 1, "s": "x"}}),
        as_json("S", "inputs of lists", {"inputs": {"a": [1, 2], "s": ["x", "y"]}}),
        as_json("S", "inputs of several lengths", {"inputs": {"a": [1, 2], "s": ["x"]}}),
        as_json("S", "inputs list of dicts", {"inputs": [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}]}),
        as_json("S", "instances", {"instances": [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}]}),
        as_json("S", "inputs of 2-d lists", {"inputs": {"a": [[1, 2]], "s": ["x"]}}),
        as_json("A", "inputs of scalars", {"inputs": {"a": 1.0, "b": 0.5}}),
        as_json("Text", "list", {"inputs": ["a", "b"]}),
        as_json("Text", "scalar", {"inputs": "a"}),
        as_json("Text", "dict", {"inputs": {"text": "a"}}),
        as_json("Text", "dict of a list", {"inputs": {"text": ["a", "b"]}}),
        as_json("Text", "numbers", {"inputs": [1, 2]}),
        as_json("Text", "instances", {"instances": ["a", "b"]}),
        as_json("Text", "null", {"inputs": ["a", None]}),
    ]
    unnamed = {
        "one of two": {"dataframe_split": {"data": [[1]]}},
        "three of two": {"dataframe_split": {"data": [[1, 2, 3]]}},
        "named frame": {"dataframe_split": {"columns": ["p", "q"], "data": [[1, 2]]}},
        "list of lists": {"inputs": [[1, 2], [3, 4]]},
        "flat list": {"inputs": [1, 2]},
        "dict": {"inputs": {"a": [1]}},
        "scalar": {"inputs": 5},
        "records": {"dataframe_records": [{"a": 1, "b": 2}]},
        "text": {"dataframe_split": {"data": [["x", 2]]}},
    }
    for model in ("U1", "U2"):
        cases += [as_json(model, name, body) for name, body in unnamed.items()]
    cases += [as_json("Us", name, {"inputs": value}) for name, value in {"list": ["a"], "scalar": "a", "int": 5}.items()]
    return cases


def _params() -> list[Case]:
    given: dict[str, Any] = {
        "none": None, "empty": {}, "int for double": {"temp": 1}, "text for long": {"n": "5"}, "float for long": {"n": 1.5},
        "bool for long": {"n": True}, "null": {"n": None}, "list": {"stop": ["x", "y"]}, "text for list": {"stop": "x"},
        "list of numbers": {"stop": [1]}, "nested list": {"stop": [["x"]]}, "empty list": {"stop": []},
        "list for scalar": {"temp": [1.0]}, "dict for scalar": {"temp": {"a": 1}}, "flag": {"flag": True},
        "int for flag": {"flag": 1},
        "date": {"when": "2024-02-03"}, "datetime": {"when": "2024-02-03T04:05:06"}, "no date": {"when": "xx"},
        "number for date": {"when": 5}, "unknown": {"zzz": 1}, "several": {"temp": 2.5, "n": 3, "stop": ["q"]},
        "object": {"opts": {"k": "w", "n": 2}}, "object without a property": {"opts": {"n": 2}},
        "object is text": {"opts": "x"},
        "big int for double": {"temp": 2**60}, "text for double": {"temp": "0.5"},
    }  # fmt: skip
    cases = [as_json("P", f"params {name}", {"inputs": [1], "params": value}) for name, value in given.items()]
    return [
        *cases,
        as_json("P", "no params", {"inputs": [1]}),
        as_json("P", "params is a list", {"inputs": [1], "params": [1]}),
        as_json("P", "params is text", {"inputs": [1], "params": "x"}),
        as_json("P", "unified body with a param", {"messages": [{"role": "user"}], "temp": 0.1, "other": 1}),
    ]


def _unified_and_hints() -> list[Case]:
    return [
        as_json("E", "messages", {"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}),
        as_json("E", "prompt", {"prompt": "hi"}),
        as_json("E", "input", {"input": ["a"]}),
        as_json("E", "prompt beside inputs", {"prompt": "hi", "inputs": [1], "params": {"a": 1}}),
        as_json("A", "unified body for columns", {"input": [1]}),
        as_json("Hs", "inputs", {"inputs": ["a", "b"]}),
        as_json("Hs", "numbers", {"inputs": [1, "a"]}),
        as_json("Hs", "text", {"inputs": "a"}),
        as_json("Hs", "null", {"inputs": None}),
        as_json("Hf", "ints", {"inputs": [1]}),
        as_json("Hf", "texts", {"inputs": ["1.5"]}),
        as_json("Hs", "split", {"dataframe_split": {"data": [["a"]]}}),
        as_json("Hs", "two fields", {"inputs": ["a"], "instances": ["b"]}),
        as_json("Hs", "nothing", {}),
        as_json("Hs", "empty", {"inputs": []}),
        as_json("Hf", "inputs", {"inputs": [1.5, 2.5]}),
        as_json("Hf", "instances", {"instances": [1.5]}),
    ]


def _outputs() -> list[Case]:
    same = [
        "float32", "float64", "int8", "uint64", "bool", "text", "frame", "frame with an index",
        "frame with numbered columns", "frame with categories", "frame with missing values", "frame of text with None",
        "frame of datetimes", "empty frame",
        "series", "unnamed series", "nan", "python nan", "timestamp", "datetimes", "time", "datetime64 ns", "datetime64 s",
        "datetime64 scalar", "timedelta64 array", "bytes", "array of bytes", "array of objects", "dict of arrays", "nested",
        "none", "scalar", "numpy scalar", "float32 scalar", "str", "tuple", "true", "list", "empty list", "empty array",
        "0-d array", "int keys", "frame with equal names",
    ]  # fmt: skip
    instead = {
        "timedelta": (200, '{"predictions": ["P1DT0H0M0S", "P0DT0H1M30S"]}'),
        "decimal": (200, '{"predictions": [1.5]}'),
        "set": (200, '{"predictions": [1, 2, 3]}'),
        "numpy keys": (200, '{"predictions": {"1": "a"}}'),
        "frame in a dict": (200, '{"predictions": {"f": [{"a": 1}]}}'),
        "series in a dict": (200, '{"predictions": {"s": [1, 2]}}'),
        "complex": (500, "type complex"),
        "object": (500, "Point"),
        "tuple keys": (500, "not tuple"),
        "generator": (500, "type generator"),
    }
    body = {name: {"inputs": {"kind": name}} for name in (*same, *instead)}
    return [as_json("O", name, body[name], ours=instead.get(name)) for name in body]


def _csv() -> list[Case]:
    bodies: dict[str, tuple[str, bytes]] = {
        "two rows": ("A", b"a,b\n1,2\n3,4\n"),
        "no rows": ("A", b"a,b\n"),
        "no body": ("A", b""),
        "not UTF-8": ("A", b"a,b\n\xff,1\n"),
        "too many cells": ("A", b"a,b\n1,2\n1,2,3\n"),
        "text for a number": ("A", b"a,b\nx,2\n"),
        "missing value": ("A", b"a,b\n,2\n"),
        "missing column": ("A", b"a\n1\n"),
        "extra column": ("A", b"a,b,c\n1,2,3\n"),
        "text": ("S", b"a,s\n1,q\n"),
        "text that looks like a number": ("S", b"a,s\n1,007\n"),
        "optional whole number": ("S", b"a,s,o\n1,q,5\n"),
        "without a signature": ("E", b"p,q\n1,x\n2.5,\n"),
        "a long": ("X long", b"x\n5\n"),
        "a float for a long": ("X long", b"x\n5.5\n"),
        "a boolean": ("X boolean", b"x\nfalse\nTrue\n"),
        "an integer": ("X integer", b"x\n5\n"),
        "binary": ("X binary", b"x\naGkA\n"),
        "an unnamed column": ("U1", b"p\n1\n"),
        "columns of arrays": ("C", b"arr\n1\n"),
        "named tensors": ("T2", b"x,y\n1,2\n"),
        "unnamed tensor": ("T", b"a,b,c\n1,2,3\n"),
    }
    cases = [Case(model, f"CSV {name}", body, CSV) for name, (model, body) in bodies.items()]
    instead = [
        ("X datetime", "datetime", b"x\n2024-01-02T03:04:05\n", (200, "2024-01-02 03:04:05")),
        ("X datetime", "datetime in UTC", b"x\n2024-01-02T03:04:05Z\n", (200, "2024-01-02 03:04:05")),
        ("S", "optional whole number missing", b"a,s,o\n1,q,5\n2,r,\n", (200, "float:nan")),
    ]
    return [*cases, *(Case(model, f"CSV {name}", body, CSV, ours=ours) for model, name, body, ours in instead)]


def _parquet_bodies() -> list[Case]:
    frame = pd.DataFrame
    return [
        as_parquet("A", "Parquet floats", frame({"a": [1.0, 3.0], "b": [2.0, 4.0]})),
        as_parquet("A", "Parquet int32", frame({"a": [5, 7], "b": [1, 2]}).astype("int32")),
        as_parquet("A", "Parquet zeros and ones", frame({"a": [0, 1], "b": [1, 1]})),
        as_parquet("A", "Parquet int64 for double", frame({"a": [5, 7], "b": [1, 2]}), ours=(200, "[6.0, 9.0]")),
        as_parquet("A", "Parquet too big for double", frame({"a": [2**53 + 1, 7], "b": [1.0, 2.0]})),
        as_parquet("A", "Parquet text for double", frame({"a": ["x"], "b": [1.0]})),
        as_parquet("X long", "Parquet double for long", frame({"x": [1.0]})),
        as_parquet("X long", "Parquet double with NaN for long", frame({"x": [1.0, None]})),
        as_parquet("X long", "Parquet int32 for long", frame({"x": [1]}).astype("int32")),
        as_parquet("X integer", "Parquet int64 for integer", frame({"x": [1]})),
        as_parquet("X float", "Parquet double for float", frame({"x": [1.5]})),
        as_parquet("X string", "Parquet text", frame({"x": ["a", None]})),
        as_parquet("X binary", "Parquet bytes", frame({"x": [b"a"]})),
        as_parquet("X boolean", "Parquet booleans", frame({"x": [True, False]})),
        as_parquet("X datetime", "Parquet datetime", frame({"x": pd.to_datetime(["2024-01-02"])})),
        as_parquet(
            "X datetime", "Parquet datetime in a zone", frame({"x": pd.to_datetime(["2024-01-02"]).tz_localize("UTC")}),
            ours=(200, "2024-01-02 00:00:00"),
        ),
        as_parquet("T", "Parquet float32 for a tensor", frame({"a": [1.0], "b": [2.0], "c": [3.0]}).astype("float32")),
        as_parquet("T", "Parquet float64 for a tensor", frame({"a": [1.0], "b": [2.0], "c": [3.0]})),
        as_parquet("E", "Parquet without a signature", frame({"a": [1], "b": ["x"]})),
        Case("A", "not Parquet", b"xx", PARQUET),
    ]  # fmt: skip
