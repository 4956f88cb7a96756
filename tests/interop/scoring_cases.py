"""The requests that MLflow's server and podium are both asked, and where podium answers otherwise on purpose."""

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


@dataclass(frozen=True)
class Model:
    """A model of both sides: a function of scoring_functions.py and a signature in MLflow's JSON."""

    function: str = "describe"
    inputs: list[dict[str, Any]] | None = None
    params: list[dict[str, Any]] | None = None
    hint: str | None = None

    @property
    def signature(self) -> dict[str, Any] | None:
        if self.inputs is None and self.params is None:
            return None
        parts = {"inputs": self.inputs, "outputs": None, "params": self.params}
        return {name: None if part is None else json.dumps(part) for name, part in parts.items()}


@dataclass(frozen=True)
class Case:
    """One request. `ours` is what podium answers where that differs on purpose: status and a part of the body."""

    model: str
    name: str
    body: bytes
    content_type: str | None = JSON
    ours: tuple[int, str] | None = None
    is_status_enough: bool = False
    tags: frozenset[str] = field(default=frozenset())

    @property
    def title(self) -> str:
        return f"{self.model}: {self.name}"


def column(kind: str, name: str | None = None, required: bool = True, **more: Any) -> dict[str, Any]:
    entry = {"type": kind, **more}
    if name is not None:
        entry["name"] = name
    return {**entry, "required": required}


def tensor(dtype: str, shape: list[int], name: str | None = None) -> dict[str, Any]:
    entry = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return entry if name is None else {"name": name, **entry}


def param(name: str, kind: str, default: Any, shape: list[int] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "default": default, "shape": shape, "type": kind, **more}


SCALARS = ("boolean", "integer", "long", "float", "double", "string", "binary", "datetime")
OBJECT = {"k": {"type": "string", "required": True}, "n": {"type": "long", "required": False}}

MODELS = {
    "E": Model(),
    "A": Model("add", [column("double", "a"), column("double", "b")]),
    "S": Model(inputs=[column("double", "a"), column("string", "s"), column("long", "o", required=False)]),
    "C": Model(
        inputs=[
            column("array", "arr", items={"type": "long"}),
            column("object", "obj", properties=OBJECT),
            column("map", "m", values={"type": "double"}),
            column("any", "any", required=False),
        ]
    ),
    "Opt": Model(
        inputs=[
            column("long", "id"),
            column("array", "arr", required=False, items={"type": "string"}),
            column("object", "obj", required=False, properties=OBJECT),
            column("map", "m", required=False, values={"type": "string"}),
            *(column(kind, kind, required=False) for kind in SCALARS),
        ]
    ),
    "Text": Model(inputs=[column("string", "text")]),
    "U1": Model(inputs=[column("double")]),
    "U2": Model(inputs=[column("double"), column("double")]),
    "Us": Model(inputs=[column("string")]),
    "T": Model(inputs=[tensor("float32", [-1, 3])]),
    "T1": Model(inputs=[tensor("float64", [-1])]),
    "T3": Model(inputs=[tensor("float64", [-1, 2, 2])]),
    "Ti": Model(inputs=[tensor("int32", [-1, 2])]),
    "Ts": Model(inputs=[tensor("str", [-1])]),
    "To": Model(inputs=[tensor("object", [-1])]),
    "Tn": Model(inputs=[tensor("float64", [-1, 2], "only")]),
    "T2": Model(inputs=[tensor("float32", [-1, 2], "x"), tensor("int64", [-1], "y")]),
    "P": Model(
        params=[
            param("temp", "double", 0.5),
            param("n", "long", 1),
            param("stop", "string", ["a"], [-1]),
            param("flag", "boolean", False),
            param("when", "datetime", "2024-01-01"),
            param("opts", "object", {"k": "v"}, properties=OBJECT),
        ]
    ),
    "F": Model("fail"),
    "R": Model("refuse"),
    "O": Model("output"),
    "Hs": Model(hint="list[str]", inputs=[column("string")]),
    "Hf": Model(hint="list[float]", inputs=[column("double")]),
    **{f"X {kind}": Model(inputs=[column(kind, "x")]) for kind in SCALARS},
}


def _json(model: str, name: str, body: Any, **more: Any) -> Case:
    text = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Case(model, name, text, **more)


def _parquet(model: str, name: str, frame: pd.DataFrame, **more: Any) -> Case:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return Case(model, name, buffer.getvalue(), PARQUET, **more)


def all_cases() -> list[Case]:
    cases = [
        *_content_types(), *_bodies(), *_without_signature(), *_columns(), *_coercion(), *_nested(), *_optional(),
        *_tensors(), *_params(), *_unified_and_hints(), *_outputs(), *_csv(), *_parquet_bodies(),
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
    return [_json("A", name, body) for name, body in bodies.items()]


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
    cases = [_json("E", f"inputs {name}", {"inputs": value}) for name, value in values.items()]
    rows = {
        "ints": [1, 2, 3], "dicts": [{"a": 1, "b": [1, 2]}, {"a": 2, "b": [3, 4]}], "dict": {"a": [1, 2]}, "empty": [],
        "dict of scalars": {"a": 1}, "dict then number": [{"a": 1}, 2], "lengths": {"a": [1], "b": [1, 2]}, "number": 5,
        "ragged": [{"a": [1]}, {"a": [1, 2]}], "strings": [{"a": "x"}, {"a": "yy"}], "null": [{"a": None}, {"a": 1}],
    }  # fmt: skip
    cases += [_json("E", f"instances {name}", {"instances": value}) for name, value in rows.items()]
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
    cases += [_json("E", f"split {name}", {"dataframe_split": value}) for name, value in frames.items()]
    cases += [
        _json("E", "records with gaps", {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3}]}),
        _json("E", "records empty", {"dataframe_records": []}),
        _json("E", "bare NaN and Infinity", b'{"inputs": [1, NaN, Infinity, -Infinity]}'),
        _json("E", "equal names in JSON", b'{"inputs": [1], "inputs": [2]}'),
        _json("E", "params without a schema", {"inputs": [1], "params": {"x": 1}}),
        Case("F", "predict raises", b'{"inputs": [1]}'),
        *(_json("R", f"predict raises {code}", {"inputs": [code]}) for code in (*CODES, "NO_SUCH_CODE")),
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
    cases = [_json("S", name, {"dataframe_split": value}) for name, value in split.items()]
    twice = {"columns": ["a", "a", "s"], "data": [[1, 2, "x"]]}
    null = {"dataframe_split": {"columns": ["a", "s", "o"], "data": [[1.0, "q", None]]}}
    cases += [
        _json("S", "two columns of one name", {"dataframe_split": twice}, is_status_enough=True),
        _json("S", "optional column null", null, ours=(200, "nan")),
        _json("S", "a record without a required key", {"dataframe_records": [{"a": 1, "s": "q"}, {"a": 2}]}),
        _json("S", "inputs of scalars", {"inputs": {"a": 1, "s": "x"}}),
        _json("S", "inputs of lists", {"inputs": {"a": [1, 2], "s": ["x", "y"]}}),
        _json("S", "inputs of several lengths", {"inputs": {"a": [1, 2], "s": ["x"]}}),
        _json("S", "inputs list of dicts", {"inputs": [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}]}),
        _json("S", "instances", {"instances": [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}]}),
        _json("S", "inputs of 2-d lists", {"inputs": {"a": [[1, 2]], "s": ["x"]}}),
        _json("A", "inputs of scalars", {"inputs": {"a": 1.0, "b": 0.5}}),
        _json("Text", "list", {"inputs": ["a", "b"]}),
        _json("Text", "scalar", {"inputs": "a"}),
        _json("Text", "dict", {"inputs": {"text": "a"}}),
        _json("Text", "dict of a list", {"inputs": {"text": ["a", "b"]}}),
        _json("Text", "numbers", {"inputs": [1, 2]}),
        _json("Text", "instances", {"instances": ["a", "b"]}),
        _json("Text", "null", {"inputs": ["a", None]}),
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
        cases += [_json(model, name, body) for name, body in unnamed.items()]
    cases += [_json("Us", name, {"inputs": value}) for name, value in {"list": ["a"], "scalar": "a", "int": 5}.items()]
    return cases


VALUES: dict[str, list[Any]] = {
    "boolean": [True, 1, 0.5, "true", "false", "", None],
    "integer": [1, 1.0, 1.5, "7", True, None, "x", "1.5", -(2**31), 2**31, 2**31 - 0.5, 1e20, [1], {}],
    "long": [1, 1.0, 1.5, "7", True, None, "x", 2**53 + 1, 2**63, 2**70, 1e20, -1e20],
    "float": [1, 2.5, "2.5", True, None, "x", 1e300, 2**24 + 1],
    "double": [1, 2.5, "2.5", True, None, "x", 1e300, 2**53 + 1, "nan", "inf", 10**400, {"k": 1}],
    "string": ["a", 1, 1.5, None, True, {"k": 1}, [1, 2], ""],
    "binary": ["aGkA", "aGk", None, 5, "", "é", "!!"],
    "datetime": [
        "2024-01-02", "2024-01-02T03:04:05", "2024-01-02 03:04:05", "2024-01-02T03:04:05.123456789", 1704164645000, None,
        "xx", "", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05+02:00", "9999-01-01", "1066-10-14", True,
    ],
}  # fmt: skip

# (kind, value as JSON, form) -> what podium answers instead; form None is every form.
TOO_BIG = (400, "out of bounds")
COERCION_DIFFERENCES: dict[tuple[str, str, str | None], tuple[int, str]] = {
    ("integer", "2147483648", "split"): TOO_BIG,
    ("integer", "2147483647.5", "split"): TOO_BIG,
    ("integer", "1e+20", "split"): TOO_BIG,
    ("long", "9223372036854775808", "split"): TOO_BIG,
    ("long", "1e+20", "split"): TOO_BIG,
    ("long", "-1e+20", "split"): TOO_BIG,
    ("datetime", '"2024-01-02T03:04:05Z"', "split"): (200, "2024-01-02 03:04:05"),
    ("datetime", '"2024-01-02T03:04:05+02:00"', "split"): (200, "2024-01-02 01:04:05"),
    ("datetime", '"9999-01-01"', "inputs"): (400, "out of bounds"),
    ("datetime", '"1066-10-14"', "inputs"): (400, "out of bounds"),
    ("datetime", '"9999-01-01"', "instances"): (400, "out of bounds"),
    ("datetime", '"1066-10-14"', "instances"): (400, "out of bounds"),
}


def _coercion() -> list[Case]:
    cases = []
    for kind, values in VALUES.items():
        for value in values:
            shown = json.dumps(value)
            forms = {
                "split": {"dataframe_split": {"columns": ["x"], "data": [[value]]}},
                "inputs": {"inputs": {"x": [value]}},
                "instances": {"instances": [{"x": value}]},
            }
            for form, body in forms.items():
                ours = COERCION_DIFFERENCES.get((kind, shown, form))
                cases.append(_json(f"X {kind}", f"{form} {shown[:40]}", body, ours=ours))
    pairs = {"integer": [1, 2.5], "double": [1, None], "boolean": [True, None], "string": ["a", None], "long": [1, "2"]}
    for kind, values in pairs.items():
        rows = [[value] for value in values]
        cases.append(_json(f"X {kind}", f"split {values}", {"dataframe_split": {"columns": ["x"], "data": rows}}))
        cases.append(_json(f"X {kind}", f"records {values}", {"dataframe_records": [{"x": value} for value in values]}))
        cases.append(_json(f"X {kind}", f"inputs {values}", {"inputs": {"x": values}}))
    return cases


def _nested() -> list[Case]:
    good = {"arr": [1, 2], "obj": {"k": "v", "n": 3}, "m": {"z": 1.5}, "any": {"free": [1, "x"]}}
    changes: dict[str, dict[str, Any]] = {
        "as declared": {},
        "optional property absent": {"obj": {"k": "v"}},
        "missing property": {"obj": {"n": 1}},
        "unknown property": {"obj": {"k": "v", "q": 1}},
        "property of another type": {"obj": {"k": 5}},
        "object is a list": {"obj": [1]},
        "map is a list": {"m": [1]},
        "map of text": {"m": {"z": "x"}},
        "map is empty": {"m": {}},
        "array is text": {"arr": "x"},
        "array of text": {"arr": ["x"]},
        "array is empty": {"arr": []},
        "array of floats": {"arr": [1.5]},
        "array is null": {"arr": None},
        "any is null": {"any": None},
        "any is a list": {"any": [1]},
    }
    cases = []
    for name, change in changes.items():
        row = {**good, **change}
        cases.append(_json("C", f"records, {name}", {"dataframe_records": [row]}))
        cases.append(_json("C", f"inputs, {name}", {"inputs": [row]}))
    whole = {**good, "m": {"z": 2}}
    cases.append(
        _json("C", "records, a map of doubles with a whole number", {"dataframe_records": [whole]}, ours=(200, "2.0"))
    )
    cases.append(_json("C", "inputs as a dict", {"inputs": good}))
    return cases


def _optional() -> list[Case]:
    texts = {
        "arr": None,
        "obj": None,
        "m": None,
        "double": None,
        "float": None,
        "string": None,
        "boolean": None,
        "datetime": None,
    }
    cases = [
        _json("Opt", "only the required", {"dataframe_records": [{"id": 1}]}),
        *(_json("Opt", f"{name} null in records", {"dataframe_records": [{"id": 1, name: None}]}) for name in texts),
    ]
    for kind, value in (("integer", 7), ("long", 7)):
        for form, body in (
            ("records", {"dataframe_records": [{"id": 1, kind: value}, {"id": 2, kind: None}]}),
            ("split", {"dataframe_split": {"columns": ["id", kind], "data": [[1, value], [2, None]]}}),
        ):
            cases.append(_json("Opt", f"{kind} null in {form}", body, ours=(200, "float:7.0")))
    binary = {"dataframe_records": [{"id": 1, "binary": None}]}
    array = {"dataframe_records": [{"id": 1, "arr": ["x"]}, {"id": 2}]}
    return [
        *cases,
        _json("Opt", "binary null in records", binary, ours=(200, "NoneType:None")),
        _json("Opt", "arr absent in one record", array, ours=(200, "NoneType:None")),
    ]


def _tensors() -> list[Case]:
    one = {
        "two rows": {"inputs": [[1, 2, 3], [4, 5, 6]]},
        "too narrow": {"inputs": [[1, 2]]},
        "flat": {"inputs": [1, 2, 3]},
        "3-d": {"inputs": [[[1, 2, 3]]]},
        "null inside": {"inputs": [[1, None, 3]]},
        "text": {"inputs": [["x", 2, 3]]},
        "numbers as text": {"inputs": [["1", "2", "3"]]},
        "ragged": {"inputs": [[1, 2, 3], [1]]},
        "dict": {"inputs": {"a": [1, 2, 3]}},
        "dicts": {"inputs": [{"a": 1}]},
        "empty": {"inputs": []},
        "scalar": {"inputs": 5},
        "instances": {"instances": [[1, 2, 3]]},
        "split": {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}},
        "split of lists": {"dataframe_split": {"columns": ["a"], "data": [[[1, 2, 3]], [[4, 5, 6]]]}},
        "split too narrow": {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}},
        "split of text": {"dataframe_split": {"columns": ["a", "b", "c"], "data": [["x", 2, 3]]}},
        "split of one scalar": {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
        "split empty": {"dataframe_split": {"columns": ["a", "b", "c"], "data": []}},
        "records": {"dataframe_records": [{"a": 1, "b": 2, "c": 3}]},
    }
    cases = [_json("T", name, body, is_status_enough=name == "split empty") for name, body in one.items()]
    two = {
        "dict": {"inputs": {"x": [[1, 2], [3, 4]], "y": [1, 2]}},
        "instances": {"instances": [{"x": [1, 2], "y": 1}, {"x": [3, 4], "y": 2}]},
        "missing": {"inputs": {"x": [[1, 2]]}},
        "extra": {"inputs": {"x": [[1, 2]], "y": [1], "z": [5]}},
        "wrong shape": {"inputs": {"x": [[1, 2, 3]], "y": [1]}},
        "list": {"inputs": [[1, 2]]},
        "split": {"dataframe_split": {"columns": ["x", "y"], "data": [[[1, 2], 3], [[4, 5], 6]]}},
        "instances of several lengths": {"instances": [{"x": [1, 2], "y": 1}, {"x": [3, 4]}]},
    }
    cases += [_json("T2", name, body) for name, body in two.items()]
    cases += [
        _json("T1", "flat", {"inputs": [1, 2, 3]}),
        _json("T1", "2-d", {"inputs": [[1, 2]]}),
        _json("T1", "split", {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}),
        _json("T3", "3-d", {"inputs": [[[1, 2], [3, 4]]]}),
        _json("T3", "split of lists", {"dataframe_split": {"columns": ["a"], "data": [[[1, 2, 3, 4]]]}}),
        _json("T3", "split of short lists", {"dataframe_split": {"columns": ["a"], "data": [[[1, 2, 3]]]}}),
        _json("T3", "split of nested lists", {"dataframe_split": {"columns": ["a"], "data": [[[[1, 2], [3, 4]]]]}}),
        _json("Ti", "floats", {"inputs": [[1.5, 2]]}),
        _json("Ti", "too big", {"inputs": [[2**31, 2]]}),
        _json("Ti", "null", {"inputs": [[None, 2]]}),
        _json("Ti", "split too big", {"dataframe_split": {"columns": ["a", "b"], "data": [[2**31, 2]]}}, ours=TOO_BIG),
        _json("Ts", "texts", {"inputs": ["a", "bcd"]}),
        _json("Ts", "numbers", {"inputs": [1, None]}),
        _json("Ts", "split", {"dataframe_split": {"columns": ["a"], "data": [["x"], ["yy"]]}}),
        _json("To", "mixed", {"inputs": [1, "a", None]}),
        _json("To", "split", {"dataframe_split": {"columns": ["a"], "data": [["x"], [1]]}}),
        _json("Tn", "list for the only name", {"inputs": [[1, 2]]}),
        _json("Tn", "dict", {"inputs": {"only": [[1, 2]]}}),
        _json("Tn", "another name", {"inputs": {"other": [[1, 2]]}}),
    ]
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
    cases = [_json("P", f"params {name}", {"inputs": [1], "params": value}) for name, value in given.items()]
    return [
        *cases,
        _json("P", "no params", {"inputs": [1]}),
        _json("P", "params is a list", {"inputs": [1], "params": [1]}),
        _json("P", "params is text", {"inputs": [1], "params": "x"}),
        _json("P", "unified body with a param", {"messages": [{"role": "user"}], "temp": 0.1, "other": 1}),
    ]


def _unified_and_hints() -> list[Case]:
    return [
        _json("E", "messages", {"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}),
        _json("E", "prompt", {"prompt": "hi"}),
        _json("E", "input", {"input": ["a"]}),
        _json("E", "prompt beside inputs", {"prompt": "hi", "inputs": [1], "params": {"a": 1}}),
        _json("A", "unified body for columns", {"input": [1]}),
        _json("Hs", "inputs", {"inputs": ["a", "b"]}),
        _json("Hs", "numbers", {"inputs": [1, "a"]}),
        _json("Hs", "text", {"inputs": "a"}),
        _json("Hs", "null", {"inputs": None}),
        _json("Hf", "ints", {"inputs": [1]}),
        _json("Hf", "texts", {"inputs": ["1.5"]}),
        _json("Hs", "split", {"dataframe_split": {"data": [["a"]]}}),
        _json("Hs", "two fields", {"inputs": ["a"], "instances": ["b"]}),
        _json("Hs", "nothing", {}),
        _json("Hs", "empty", {"inputs": []}),
        _json("Hf", "inputs", {"inputs": [1.5, 2.5]}),
        _json("Hf", "instances", {"instances": [1.5]}),
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
    return [_json("O", name, body[name], ours=instead.get(name)) for name in body]


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
    }
    cases = [Case(model, f"CSV {name}", body, CSV) for name, (model, body) in bodies.items()]
    instead = [
        ("X datetime", "datetime", b"x\n2024-01-02T03:04:05\n", (200, "2024-01-02 03:04:05")),
        ("X datetime", "datetime in UTC", b"x\n2024-01-02T03:04:05Z\n", (200, "2024-01-02 03:04:05")),
        ("S", "optional whole number missing", b"a,s,o\n1,q,5\n2,r,\n", (200, "float:nan")),
        ("C", "columns of arrays", b"arr\n1\n", (400, "have no form in CSV")),
        ("T2", "named tensors", b"x,y\n1,2\n", (400, "have no form in CSV")),
        ("T", "unnamed tensor", b"a,b,c\n1,2,3\n", (200, "float32")),
    ]
    return [*cases, *(Case(model, f"CSV {name}", body, CSV, ours=ours) for model, name, body, ours in instead)]


def _parquet_bodies() -> list[Case]:
    frame = pd.DataFrame
    return [
        _parquet("A", "Parquet floats", frame({"a": [1.0, 3.0], "b": [2.0, 4.0]})),
        _parquet("A", "Parquet int32", frame({"a": [5, 7], "b": [1, 2]}).astype("int32")),
        _parquet("A", "Parquet zeros and ones", frame({"a": [0, 1], "b": [1, 1]})),
        _parquet("A", "Parquet int64 for double", frame({"a": [5, 7], "b": [1, 2]}), ours=(200, "[6.0, 9.0]")),
        _parquet("A", "Parquet too big for double", frame({"a": [2**53 + 1, 7], "b": [1.0, 2.0]})),
        _parquet("A", "Parquet text for double", frame({"a": ["x"], "b": [1.0]})),
        _parquet("X long", "Parquet double for long", frame({"x": [1.0]})),
        _parquet("X long", "Parquet double with NaN for long", frame({"x": [1.0, None]})),
        _parquet("X long", "Parquet int32 for long", frame({"x": [1]}).astype("int32")),
        _parquet("X integer", "Parquet int64 for integer", frame({"x": [1]})),
        _parquet("X float", "Parquet double for float", frame({"x": [1.5]})),
        _parquet("X string", "Parquet text", frame({"x": ["a", None]})),
        _parquet("X binary", "Parquet bytes", frame({"x": [b"a"]})),
        _parquet("X boolean", "Parquet booleans", frame({"x": [True, False]})),
        _parquet("X datetime", "Parquet datetime", frame({"x": pd.to_datetime(["2024-01-02"])})),
        _parquet(
            "X datetime", "Parquet datetime in a zone", frame({"x": pd.to_datetime(["2024-01-02"]).tz_localize("UTC")}),
            ours=(200, "2024-01-02 00:00:00"),
        ),
        _parquet("T", "Parquet float32 for a tensor", frame({"a": [1.0], "b": [2.0], "c": [3.0]}).astype("float32")),
        _parquet("T", "Parquet float64 for a tensor", frame({"a": [1.0], "b": [2.0], "c": [3.0]})),
        _parquet("E", "Parquet without a signature", frame({"a": [1], "b": ["x"]})),
        Case("A", "not Parquet", b"xx", PARQUET),
    ]  # fmt: skip
