"""Cases about types: scalars, nested and missing values, tensors."""

import json
from typing import Any

from scoring_models import Case, as_json

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


def coercion_cases() -> list[Case]:
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
                cases.append(as_json(f"X {kind}", f"{form} {shown[:40]}", body, ours=ours))
    pairs = {"integer": [1, 2.5], "double": [1, None], "boolean": [True, None], "string": ["a", None], "long": [1, "2"]}
    for kind, values in pairs.items():
        rows = [[value] for value in values]
        cases.append(as_json(f"X {kind}", f"split {values}", {"dataframe_split": {"columns": ["x"], "data": rows}}))
        cases.append(as_json(f"X {kind}", f"records {values}", {"dataframe_records": [{"x": value} for value in values]}))
        cases.append(as_json(f"X {kind}", f"inputs {values}", {"inputs": {"x": values}}))
    return cases


def nested_cases() -> list[Case]:
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
        cases.append(as_json("C", f"records, {name}", {"dataframe_records": [row]}))
        cases.append(as_json("C", f"inputs, {name}", {"inputs": [row]}))
    whole = {**good, "m": {"z": 2}}
    cases.append(as_json("C", "records, a map of doubles with a whole number", {"dataframe_records": [whole]}))
    cases.append(as_json("C", "inputs as a dict", {"inputs": good}))
    return cases


def optional_cases() -> list[Case]:
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
        as_json("Opt", "only the required", {"dataframe_records": [{"id": 1}]}),
        *(as_json("Opt", f"{name} null in records", {"dataframe_records": [{"id": 1, name: None}]}) for name in texts),
    ]
    for kind, value in (("integer", 7), ("long", 7)):
        for form, body in (
            ("records", {"dataframe_records": [{"id": 1, kind: value}, {"id": 2, kind: None}]}),
            ("split", {"dataframe_split": {"columns": ["id", kind], "data": [[1, value], [2, None]]}}),
        ):
            cases.append(as_json("Opt", f"{kind} null in {form}", body, ours=(200, "float:7.0")))
    binary = {"dataframe_records": [{"id": 1, "binary": None}]}
    array = {"dataframe_records": [{"id": 1, "arr": ["x"]}, {"id": 2}]}
    return [
        *cases,
        as_json("Opt", "binary null in records", binary, ours=(200, "NoneType:None")),
        as_json("Opt", "arr absent in one record", array, ours=(200, "NoneType:None")),
    ]


def tensors_cases() -> list[Case]:
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
    cases = [as_json("T", name, body, is_status_enough=name == "split empty") for name, body in one.items()]
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
    cases += [as_json("T2", name, body) for name, body in two.items()]
    cases += [
        as_json("T1", "flat", {"inputs": [1, 2, 3]}),
        as_json("T1", "2-d", {"inputs": [[1, 2]]}),
        as_json("T1", "split", {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}),
        as_json("T3", "3-d", {"inputs": [[[1, 2], [3, 4]]]}),
        as_json("T3", "split of lists", {"dataframe_split": {"columns": ["a"], "data": [[[1, 2, 3, 4]]]}}),
        as_json("T3", "split of short lists", {"dataframe_split": {"columns": ["a"], "data": [[[1, 2, 3]]]}}),
        as_json("T3", "split of nested lists", {"dataframe_split": {"columns": ["a"], "data": [[[[1, 2], [3, 4]]]]}}),
        as_json("Ti", "floats", {"inputs": [[1.5, 2]]}),
        as_json("Ti", "too big", {"inputs": [[2**31, 2]]}),
        as_json("Ti", "null", {"inputs": [[None, 2]]}),
        as_json("Ti", "split too big", {"dataframe_split": {"columns": ["a", "b"], "data": [[2**31, 2]]}}, ours=TOO_BIG),
        as_json("Ts", "texts", {"inputs": ["a", "bcd"]}),
        as_json("Ts", "numbers", {"inputs": [1, None]}),
        as_json("Ts", "split", {"dataframe_split": {"columns": ["a"], "data": [["x"], ["yy"]]}}),
        as_json("To", "mixed", {"inputs": [1, "a", None]}),
        as_json("To", "split", {"dataframe_split": {"columns": ["a"], "data": [["x"], [1]]}}),
        as_json("Tn", "list for the only name", {"inputs": [[1, 2]]}),
        as_json("Tn", "dict", {"inputs": {"only": [[1, 2]]}}),
        as_json("Tn", "another name", {"inputs": {"other": [[1, 2]]}}),
    ]
    return cases
