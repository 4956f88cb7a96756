"""A seeded generator of signatures and of requests for them: what nobody thought of asking."""

import io
import json
import random
from typing import Any

import pandas as pd
import pyarrow
from scoring_models import CSV, JSON, PARQUET, SCALARS, Case, Model, column, param, tensor

DTYPES = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint64", "bool", "str", "object",
          "datetime64[ns]", "bytes", "complex128")  # fmt: skip

GOOD: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, 1, -5, 2147483647],
    "long": [0, 7, -3, 2**53 + 1, 2**62],
    "float": [0.5, 1, -2.25, 0.1],
    "double": [0.5, 1, -2.25, 1e300, 0.1, 3],
    "string": ["a", "", "é", "7", "true", "2024-01-02", "x y,z"],
    "binary": ["aGkA", "", "aGk="],
    "datetime": ["2024-01-02", "2024-01-02T03:04:05", "2024-01-02T03:04:05.123456"],
}
ODD: list[Any] = [
    None, True, False, 0, 1, 2, 1.5, 1.0, "7", "1.5", "x", "", "true", "false", "nan", "NaN", [], [1], ["a"], {}, {"k": 1},
    2**31, 2**63, 2**64, -1, 1e20, 1e400, "2024-01-02", "2024-01-02T03:04:05Z", "aGkA", "é", [[1, 2]], "None", float("nan"),
    12345678901234567890123,
]  # fmt: skip


def models(seed: int, count: int) -> dict[str, Model]:
    """Models that describe what they get, each with a signature of its own."""
    chance = random.Random(seed)
    return {f"W{seed}-{i}": Model(inputs=_inputs(chance), params=_params(chance)) for i in range(count)}


def cases(seed: int, wide: dict[str, Model], each: int) -> list[Case]:
    """Requests for the models: most of them fit, in every form; the others are wrong in one place or two."""
    chance = random.Random(seed + 1)
    made = []
    for name, model in wide.items():
        for i in range(each):
            kind, body = request(chance, model)
            made.append(Case(name, f"{i} {_shown(kind, body)}", body, kind))
    return made


def _shown(kind: str, body: bytes) -> str:
    return repr(body)[:150] if kind == PARQUET else body.decode("utf-8", "replace")[:400]


def _inputs(chance: random.Random) -> list[dict[str, Any]] | None:
    shape = chance.random()
    if shape < 0.08:
        return None
    if shape < 0.3:
        named = chance.random() < 0.5
        count = chance.randint(1, 3) if named else 1
        return [tensor(chance.choice(DTYPES), _shape(chance), f"t{i}" if named else None) for i in range(count)]
    named = chance.random() < 0.85
    count = chance.choice([1, 1, 2, 2, 3, 4])
    kinds = [chance.choice(SCALARS)] * count if chance.random() < 0.25 else [None] * count
    entries = []
    for i in range(count):
        entry = {"type": kinds[i]} if kinds[i] else _type(chance, 2 if chance.random() < 0.35 else 0)
        required = not named or chance.random() < 0.75
        label = chance.choice(["a b", "x", "é", "0", "col"]) + str(i) if named else None
        entries.append(column(entry.pop("type"), label, required, **entry))
    return entries


def _shape(chance: random.Random) -> list[int]:
    return chance.choice([[-1], [-1, 2], [-1, 3], [-1, 1], [-1, 2, 2], [-1, -1], [2, 3], [-1, -1, 2], []])


def _type(chance: random.Random, depth: int) -> dict[str, Any]:
    if depth and chance.random() < 0.8:
        match chance.choice(["array", "object", "map", "any"]):
            case "array":
                return {"type": "array", "items": _type(chance, depth - 1)}
            case "map":
                return {"type": "map", "values": _type(chance, depth - 1)}
            case "object":
                names = chance.sample(["k", "n", "z z", "l"], chance.randint(1, 3))
                return {
                    "type": "object",
                    "properties": {
                        name: {**_type(chance, depth - 1), "required": chance.random() < 0.6} for name in sorted(names)
                    },
                }
            case _:
                return {"type": "any"}
    return {"type": chance.choice(SCALARS)}


def _params(chance: random.Random) -> list[dict[str, Any]] | None:
    if chance.random() < 0.7:
        return None
    defaults = {
        "boolean": True,
        "integer": 3,
        "long": 4,
        "float": 0.5,
        "double": 1.5,
        "string": "d",
        "datetime": "2024-01-01T05:06:07",
    }
    made = []
    for i in range(chance.randint(1, 3)):
        kind = chance.choice([*defaults, "object"])
        if kind == "object":
            properties = {"k": {"type": "string", "required": True}, "n": {"type": "long", "required": False}}
            made.append(param(f"p{i}", kind, {"k": "v"}, properties=properties))
            continue
        is_list = chance.random() < 0.35
        is_null = chance.random() < 0.1 and not is_list and kind != "datetime"
        default = [defaults[kind]] if is_list else defaults[kind]
        made.append(param(f"p{i}", kind, None if is_null else default, [-1] if is_list else None))
    return made


def value(chance: random.Random, entry: dict[str, Any], odd: float) -> Any:
    """A value for a type; with this probability another one, anywhere in it."""
    if chance.random() < odd:
        return chance.choice(ODD)
    match entry["type"]:
        case "array":
            return [value(chance, entry["items"], odd) for _ in range(chance.randint(0, 3))]
        case "map":
            return {
                name: value(chance, entry["values"], odd) for name in chance.sample(["p", "q", "r"], chance.randint(0, 2))
            }
        case "object":
            made = {
                name: value(chance, each, odd)
                for name, each in entry["properties"].items()
                if (each["required"] and chance.random() > odd) or (not each["required"] and chance.random() < 0.6)
            }
            return made | ({"unknown": 1} if chance.random() < odd else {})
        case "any":
            return chance.choice([1, "a", None, [1, "b"], {"free": [1.5]}])
        case kind:
            return chance.choice(GOOD[kind])


def _tensor(chance: random.Random, dtype: str, shape: list[int], odd: float) -> Any:
    if chance.random() < odd:
        return chance.choice(ODD)
    if not shape:
        return _element(chance, dtype, odd)
    size = shape[0] if shape[0] >= 0 else chance.randint(1, 3)
    rest = [each if each >= 0 else 2 for each in shape[1:]]
    return [_tensor(chance, dtype, rest, odd / 3) for _ in range(size)]


def _element(chance: random.Random, dtype: str, odd: float) -> Any:
    if chance.random() < odd:
        return chance.choice(ODD)
    if dtype.startswith(("int", "uint")):
        return chance.choice([0, 1, 100])
    if dtype.startswith(("float", "complex")):
        return chance.choice([0.5, 1, -2.5, 0.1])
    return {"bool": True, "str": "ab", "bytes": "xyz", "object": "o", "datetime64[ns]": "2024-01-02"}[dtype]


def request(chance: random.Random, model: Model) -> tuple[str, bytes]:
    odd = chance.choice([0.0, 0.0, 0.05, 0.25])
    entries = model.inputs or [column("double", "a"), column("string", "s")]
    is_named = "name" in entries[0]
    names = [entry.get("name", i) for i, entry in enumerate(entries)]
    rows = chance.choice([1, 1, 2, 3])
    cells = {}
    for name, entry in zip(names, entries, strict=True):
        if entry["type"] == "tensor":
            spec = entry["tensor-spec"]
            made = _tensor(chance, spec["dtype"], [rows, *spec["shape"][1:]] if spec["shape"] else [], odd)
            cells[name] = made if isinstance(made, list) else [made]
        else:
            cells[name] = [value(chance, entry, odd) for _ in range(rows)]
    if odd and chance.random() < 0.15:
        cells.pop(chance.choice(names))
    if not entries[-1].get("required", True) and chance.random() < 0.5:
        cells.pop(names[-1], None)
    if chance.random() < 0.1:
        cells["extra"] = [1] * rows
    if chance.random() < 0.15:
        cells = dict(chance.sample(list(cells.items()), len(cells)))
    form = chance.choice(["split", "split", "records", "inputs", "inputs rows", "inputs one", "inputs list", "instances",
                          "instances dict", "instances list", "csv", "parquet"])  # fmt: skip
    params = {}
    if model.params and chance.random() < 0.7:
        params = {"params": {each["name"]: _param(chance, each, odd) for each in model.params if chance.random() < 0.7}}
    elif chance.random() < 0.05:
        params = {"params": chance.choice([{}, None, {"zz": 1}, [1], "x"])}
    return _body(chance, form, cells, rows, is_named, params)


def _param(chance: random.Random, entry: dict[str, Any], odd: float) -> Any:
    if entry["shape"]:
        return (
            chance.choice(ODD)
            if chance.random() < odd
            else [value(chance, entry, odd) for _ in range(chance.randint(0, 2))]
        )
    return value(chance, entry, odd)


def _body(
    chance: random.Random, form: str, cells: dict[Any, list[Any]], rows: int, is_named: bool, params: dict[str, Any]
) -> tuple[str, bytes]:
    records = [{str(name): column[i] for name, column in cells.items() if i < len(column)} for i in range(rows)]
    table = [[column[i] if i < len(column) else None for column in cells.values()] for i in range(rows)]
    named = {str(name): column for name, column in cells.items()}
    first = next(iter(cells.values()), [])
    if form in {"csv", "parquet"}:
        try:
            return _typed(form, table, list(cells), records)
        except (ValueError, TypeError, OverflowError, pyarrow.ArrowException):
            # What neither can hold is asked as JSON.
            form = "records"
    bodies: dict[str, dict[str, Any]] = {
        "split": {"dataframe_split": {"columns": list(cells), "data": table}},
        "records": {"dataframe_records": records},
        "inputs": {"inputs": named if is_named else table},
        "inputs rows": {"inputs": records},
        "inputs one": {"inputs": records[0] if is_named else (first[0] if first else None)},
        "inputs list": {"inputs": first},
        "instances": {"instances": records if is_named else first},
        "instances dict": {"instances": named},
        "instances list": {"instances": first},
    }
    body = bodies[form]
    if form == "split":
        if not is_named and chance.random() < 0.7:
            del body["dataframe_split"]["columns"]
        if chance.random() < 0.1:
            body["dataframe_split"]["index"] = [f"r{i}" for i in range(rows)]
    return JSON, json.dumps({**body, **params}).encode()


def _typed(form: str, table: list[list[Any]], names: list[Any], records: list[dict[str, Any]]) -> tuple[str, bytes]:
    if form == "csv":
        return CSV, pd.DataFrame(table, columns=names).to_csv(index=False).encode()
    buffer = io.BytesIO()
    pd.DataFrame(records).to_parquet(buffer)
    return PARQUET, buffer.getvalue()
