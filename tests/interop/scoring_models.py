"""The models that MLflow's server and podium are both asked, and what a case is."""

import io
import json
from dataclasses import dataclass
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


def as_json(model: str, name: str, body: Any, **more: Any) -> Case:
    text = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Case(model, name, text, **more)


def as_parquet(model: str, name: str, frame: pd.DataFrame, **more: Any) -> Case:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return Case(model, name, buffer.getvalue(), PARQUET, **more)
