"""Runs where the real MLflow is: `save ROOT` writes models of every kind, `answer ROOT` asks MLflow's own scoring app.

Beside each folder go NAME.requests.json, which both sides are asked, and NAME.theirs.json, what MLflow answered.
"""

import asyncio
import base64
import datetime
import functools
import json
import logging
import os
import random
import sys
import typing
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
import mlflow  # noqa: E402

logging.disable(logging.CRITICAL)

import httpx  # noqa: E402
import mlflow.onnx  # noqa: E402
import mlflow.sklearn  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pydantic  # noqa: E402
import wide  # noqa: E402
import yaml  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import ModelSignature, infer_signature  # noqa: E402
from mlflow.pyfunc import scoring_server  # noqa: E402
from scoring_models import Model as Asked  # noqa: E402
from sklearn.cluster import KMeans  # noqa: E402
from sklearn.compose import ColumnTransformer  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor  # noqa: E402
from sklearn.impute import SimpleImputer  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: E402

FRAME, TARGET = load_iris(return_X_y=True, as_frame=True)
ROWS = FRAME.head(3)
MIXED = pd.DataFrame(
    {
        "age": [20, 35, 50, 64], "income": [1.5, 2.5, 3.5, 0.5], "city": ["a", "b", "a", "c"],
        "member": [True, False, True, True],
        "since": pd.to_datetime(["2024-01-02", "2023-05-06", "2020-01-01", "2021-01-01"]),
    }
)  # fmt: skip
REQUESTS_EACH = 40
# Told what it needs, MLflow does not load each model once more to find out.
SAVE_PYTHON, SAVE_SKLEARN, SAVE_ONNX = (
    functools.partial(flavor.save_model, pip_requirements=["mlflow"])
    for flavor in (mlflow.pyfunc, mlflow.sklearn, mlflow.onnx)
)


def _seen(value: Any) -> str:
    if isinstance(value, pd.DataFrame):
        cells = {str(name): [repr(cell) for cell in value[name].tolist()] for name in value.columns}
        return f"frame {[str(dtype) for dtype in value.dtypes]} {cells} {value.index.tolist()}"
    if isinstance(value, pd.Series):
        return f"series {value.dtype} {value.name} {value.tolist()}"
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {value.tolist()}"
    if isinstance(value, dict):
        return "dict " + str({name: _seen(each) for name, each in value.items()})
    if isinstance(value, list):
        return "list " + str([_seen(each) for each in value])
    return f"{type(value).__name__} {value!r}"


class Seen(mlflow.pyfunc.PythonModel):
    """Answers with what it sees."""

    def predict(self, context, model_input, params=None):
        return {"data": _seen(model_input), "params": _seen(params), "context": type(context).__name__}


class SeenWithoutContext(mlflow.pyfunc.PythonModel):
    def predict(self, model_input, params=None):
        return [_seen(model_input), _seen(params)]


class SeenAlone(mlflow.pyfunc.PythonModel):
    def predict(self, model_input):
        return [_seen(model_input)]


class Config(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.config = context.model_config

    def predict(self, context, model_input, params=None):
        return {"kept": self.config, "now": context.model_config, "artifacts": sorted(context.artifacts)}


class Person(pydantic.BaseModel):
    name: str
    age: int
    tags: list[str] = []
    nick: str | None = None


def _hinted(hint: Any) -> mlflow.pyfunc.PythonModel:
    def predict(self, model_input, params=None):
        return [each.model_dump() if isinstance(each, pydantic.BaseModel) else _seen(each) for each in model_input]

    # Before there is a class: MLflow looks at the hint when it makes one.
    predict.__annotations__["model_input"] = hint
    return type("Hinted", (mlflow.pyfunc.PythonModel,), {"predict": predict})()


class FrameHint(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: pd.DataFrame, params=None):
        return [_seen(model_input)]


class ArrayHint(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: np.ndarray, params=None):
        return [_seen(model_input)]


class Raises(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        kind = str(model_input["kind"].iloc[0])
        if kind == "value":
            raise ValueError("a secret")
        if kind == "key":
            return {}[kind]
        if kind == "object":
            return object()
        if kind == "invalid":
            raise MlflowException.invalid_parameter_value("not so")
        raise MlflowException("no", error_code=int(kind) if kind.isdigit() else 1)


class Centred(mlflow.pyfunc.PythonModel):
    """Not row by row."""

    def predict(self, context, model_input, params=None):
        return model_input["x"] - model_input["x"].mean()


class Outputs(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return {
            "frame": lambda: pd.DataFrame({"a": [1, 2], "b": ["x", None]}),
            "series": lambda: pd.Series([1.5, float("nan")], name="s"),
            "text": lambda: "hello",
            "none": lambda: None,
            "nested": lambda: {"a": np.arange(3), "b": [np.float32(0.1), (1, "x")], "t": datetime.date(2024, 1, 2)},
            "pydantic": lambda: Person(name="x", age=1),
            "pydantics": lambda: [Person(name="x", age=1)],
            "bytes": lambda: [b"hi"],
        }[str(model_input["kind"].iloc[0])]()


def function(model_input: list[str]) -> list[str]:
    return [text.upper() for text in model_input]


def plain(model_input):
    return [_seen(model_input)]


CODE = """
import mlflow
from mlflow.models import ModelConfig, set_model
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

config = ModelConfig(development_config={"factor": 1, "names": ["a"]})

class FromCode(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.context_config = context.model_config

    def predict(self, context, model_input, params=None):
        if (model_input["x"] < 0).any():
            raise MlflowException("no such thing", error_code=RESOURCE_DOES_NOT_EXIST)
        return {"y": (model_input["x"] * config.get("factor")).tolist(), "config": self.context_config, "params": params}

set_model(FromCode())
"""
HINTED_CODE = """
import mlflow

class FromCode(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, float]], params=None) -> list[float]:
        return [sum(row.values()) for row in model_input]

mlflow.models.set_model(FromCode())
"""
FUNCTION_CODE = """
import mlflow

def predict(model_input: list[str]) -> list[str]:
    return [each[::-1] for each in model_input]

mlflow.models.set_model(predict)
"""
LOADER = """
from pathlib import Path

class Model:
    def __init__(self, text):
        self.text = text

    def predict(self, data, params=None):
        return [self.text + str(sorted(params or {}))] * len(data)

def _load_pyfunc(path):
    return Model(Path(path).read_text())
"""


def save(root: Path) -> None:
    _save_sklearn(root)
    _save_seen(root)
    _save_hinted(root)
    _save_code(root)
    _save_onnx(root)


def _save_sklearn(root: Path) -> None:
    classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TARGET)
    for kind in ("skops", "cloudpickle", "pickle"):
        SAVE_SKLEARN(classifier, root / f"sk-{kind}", serialization_format=kind, input_example=ROWS)
    pickled: dict[str, Any] = {"serialization_format": "cloudpickle"}
    SAVE_SKLEARN(classifier, root / "sk-proba", pyfunc_predict_fn="predict_proba", input_example=ROWS, **pickled)
    SAVE_SKLEARN(classifier, root / "sk-unsigned", **pickled)
    array = LogisticRegression(max_iter=500).fit(FRAME.to_numpy(), TARGET)
    SAVE_SKLEARN(array, root / "sk-tensor", input_example=FRAME.to_numpy()[:2], **pickled)
    names = np.array(["setosa", "versi", "virgi"])[TARGET]
    forest = RandomForestClassifier(5, random_state=0).fit(FRAME, names)
    SAVE_SKLEARN(forest, root / "sk-labels", input_example=ROWS, **pickled)
    several = RandomForestRegressor(3, random_state=0).fit(FRAME, FRAME.iloc[:, :2])
    SAVE_SKLEARN(several, root / "sk-several", input_example=ROWS.astype("float32"), **pickled)
    clusters = KMeans(2, n_init=1, random_state=0).fit(FRAME)
    SAVE_SKLEARN(clusters, root / "sk-clusters", input_example=ROWS, **pickled)
    whole = LinearRegression().fit(MIXED[["age"]], MIXED["income"])
    SAVE_SKLEARN(whole, root / "sk-whole", input_example=MIXED[["age"]], **pickled)
    columns = ["age", "income", "city", "member"]
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = [("n", numbers, ["age", "income"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["city", "member"])]
    mixed = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(MIXED[columns], [0, 1, 0, 1])
    SAVE_SKLEARN(mixed, root / "sk-mixed", input_example=MIXED[columns], **pickled)
    gaps = infer_signature(MIXED[columns].assign(income=[1.5, None, 2.0, 3.0], city=["a", None, "b", "c"]))
    SAVE_SKLEARN(mixed, root / "sk-gaps", signature=gaps, **pickled)
    _old(root, "sk-pickle", "sk-old")


def _old(root: Path, source: str, target: str) -> None:
    """As MLflow 1 wrote it: env as text, no serialization_format, no model_uuid, params with dtype."""
    import shutil

    shutil.copytree(root / source, root / target)
    path = root / target / "MLmodel"
    entry = yaml.safe_load(path.read_text())
    entry["flavors"]["python_function"] |= {"env": "conda.yaml", "data": "model.pkl"}
    entry["flavors"]["python_function"].pop("model_path")
    entry["flavors"]["sklearn"].pop("serialization_format")
    entry["signature"]["params"] = json.dumps([{"name": "n", "dtype": "long", "default": 1, "shape": None}])
    inputs = json.loads(entry["signature"]["inputs"])
    for each in inputs:
        each.pop("required")
    entry["signature"]["inputs"] = json.dumps(inputs)
    for name in ("model_uuid", "mlflow_version", "model_size_bytes", "prompts", "is_signature_from_type_hint"):
        entry.pop(name, None)
    path.write_text(yaml.safe_dump(entry))


def _save_seen(root: Path) -> None:
    nested = {"q": "a", "n": {"k": "v", "l": [1.5]}, "rows": [{"z": 1}, {"z": 2, "w": "x"}], "tags": ["a"]}
    signatures: dict[str, Any] = {
        "mixed": infer_signature(MIXED),
        "nested": infer_signature(nested),
        "records": infer_signature([nested, {**nested, "more": 1}]),
        "texts": infer_signature(["a", "b"]),
        "tensors": infer_signature({"x": np.zeros((2, 2), np.float32), "y": np.zeros(2, np.int64)}),
        "tensor": infer_signature(np.zeros((2, 3), np.float32)),
        "images": infer_signature(np.zeros((2, 2, 2), np.uint8)),
        "params": infer_signature(
            pd.DataFrame({"x": [1.5]}),
            params={"t": 0.5, "n": 3, "s": "x", "b": True, "l": [1, 2], "w": ["a"],
                    "d": np.datetime64("2024-01-02T03:04:05"), "o": {"k": "v", "n": 1}},
        ),
        "any": None,
    }  # fmt: skip
    for name, signature in signatures.items():
        SAVE_PYTHON(root / f"seen-{name}", python_model=Seen(), signature=signature)
    SAVE_PYTHON(root / "seen-example", python_model=Seen(), input_example={"a": [1, 2], "b": "x"})
    SAVE_PYTHON(root / "seen-nocontext", python_model=SeenWithoutContext(), input_example=[1, 2])
    SAVE_PYTHON(root / "seen-alone", python_model=SeenAlone(), input_example="text")
    SAVE_PYTHON(root / "seen-function", python_model=plain, input_example=pd.DataFrame({"a": [1]}))
    SAVE_PYTHON(
        root / "config", python_model=Config(), model_config={"alpha": 1, "beta": {"x": [1]}}, artifacts={"f": __file__}
    )
    kinds = infer_signature(pd.DataFrame({"kind": ["a"]}))
    SAVE_PYTHON(root / "raises", python_model=Raises(), signature=kinds)
    SAVE_PYTHON(root / "outputs", python_model=Outputs(), signature=kinds)
    SAVE_PYTHON(root / "centred", python_model=Centred(), input_example=pd.DataFrame({"x": [1.5, 2.5]}))


# Spelled as people do, old ways included.
HINTS: dict[str, Any] = {
    "str": list[str],
    "old": typing.List[str],  # noqa: UP006
    "int": list[int],
    "float": list[float],
    "bool": list[bool],
    "bytes": list[bytes],
    "datetime": list[datetime.datetime],
    "dict": list[dict[str, float]],
    "texts": list[dict[str, str]],
    "dicts": list[dict[str, list[str]]],
    "lists": list[list[int]],
    "union": list[typing.Union[int, str]],  # noqa: UP007
    "any": list[Any],
    "optional": list[dict[str, typing.Optional[int]]],  # noqa: UP045
    "or_none": list[dict[str, int | None]],
    "pydantic": list[Person],
}


def _save_hinted(root: Path) -> None:
    for name, hint in HINTS.items():
        SAVE_PYTHON(root / f"hint-{name}", python_model=_hinted(hint))
    SAVE_PYTHON(root / "hint-function", python_model=function)
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    SAVE_PYTHON(root / "hint-frame", python_model=FrameHint(), input_example=frame)
    SAVE_PYTHON(root / "hint-array", python_model=ArrayHint(), input_example=np.array([[1.5, 2.5]]))


def _save_code(root: Path) -> None:
    work = root / "work"
    work.mkdir()
    for name, text in (
        ("code", CODE),
        ("code_hinted", HINTED_CODE),
        ("code_function", FUNCTION_CODE),
        ("a_loader", LOADER),
    ):
        (work / f"{name}.py").write_text(text)
    frame = pd.DataFrame({"x": [1.5]})
    signature = infer_signature(frame, params={"p": 1})
    config = {"factor": 3, "names": ["b"]}
    SAVE_PYTHON(root / "code", python_model=str(work / "code.py"), signature=signature, model_config=config)
    SAVE_PYTHON(root / "code-hinted", python_model=str(work / "code_hinted.py"))
    SAVE_PYTHON(root / "code-function", python_model=str(work / "code_function.py"))
    (work / "data.txt").write_text("loaded")
    SAVE_PYTHON(
        root / "loader", loader_module="a_loader", data_path=str(work / "data.txt"), code_paths=[str(work / "a_loader.py")],
        signature=ModelSignature(inputs=signature.inputs, params=signature.params),
    )  # fmt: skip


def _save_onnx(root: Path) -> None:
    import onnx
    from skl2onnx import to_onnx

    data = FRAME.to_numpy().astype(np.float32)
    graph = to_onnx(LogisticRegression(max_iter=500).fit(data, TARGET), data[:1], options={"zipmap": False})
    SAVE_ONNX(graph, root / "onnx-tensor", input_example=data[:2])
    text = '<ir_version: 8, opset_import: ["" : 17]> sums (float[N] a, float[N] b) => (float[N] y) { y = Add(a, b) }'
    two = onnx.parser.parse_model(text)
    SAVE_ONNX(two, root / "onnx-columns", input_example=pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]}))
    SAVE_ONNX(two, root / "onnx-named", input_example={"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)})


def requests(folder: Path, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """What a model is asked: its example, what belongs to its kind, what chance makes of its signature."""
    made: list[tuple[str, bytes]] = []
    example = folder / "serving_input_example.json"
    if example.exists():
        made.append(("application/json", example.read_bytes()))
    asked: list[Any] = [
        {}, {"inputs": []}, {"inputs": None}, {"messages": [{"role": "user", "content": "hi"}]},
        {"prompt": "x", "inputs": [1]},
        {"dataframe_split": {"columns": ["x"], "data": [[-1.5]]}}, {"dataframe_records": [{"x": 1.5}, {"x": 2}]},
        {"inputs": {"x": [1.5]}, "params": {"p": 2, "other": 1}}, {"inputs": [1, 2]}, {"inputs": "text"},
        {"instances": [{"x": 1.5}]},
    ]  # fmt: skip
    name = folder.name
    if name in {"raises", "outputs"}:
        kinds = ["value", "key", "object", "invalid", "1", "2", "4", "1000", "3001", "3002", "9", "1007", "14", "99999",
                 "x", "frame", "series", "text", "none", "nested", "pydantic", "pydantics", "bytes"]  # fmt: skip
        asked += [{"dataframe_records": [{"kind": kind}]} for kind in kinds]
    if name.startswith(("hint-", "code-")):
        items: list[Any] = [
            "a", "aGk=", "2024-01-02T03:04:05", 1, 1.5, True, None, [1, 2], ["a", "b"], [[1]], {"a": 1.5}, {"a": 1},
            {"a": None}, {"a": ["x"]}, {"name": "n", "age": 3}, {"name": "n", "age": "3"}, {"name": "n"}, {}, [],
            "tomorrow",
            {"name": "n", "age": 3, "tags": ["t"], "nick": None, "extra": 1}, {"name": 5, "age": 3, "tags": [1]},
        ]  # fmt: skip
        asked += [{"inputs": [item]} for item in items]
        asked += [{"inputs": [item, item]} for item in items[:8]]
        asked += [{"instances": ["a"]}, {"inputs": {"a": 1}}, {"dataframe_split": {"data": [["a"]]}}, {"inputs": [1] * 7}]
    made += [("application/json", json.dumps(body).encode()) for body in asked]
    made += [("text/csv", b"x\n1.5\n"), ("text/csv", b"a,b\n1,x\n"), ("text/plain", b"x"), ("application/json", b"{bad")]
    parts = entry.get("signature") or {}
    read = {part: json.loads(parts[part]) if parts.get(part) else None for part in ("inputs", "params")}
    chance = random.Random(name)
    params = [{"type": each.get("dtype"), **each} for each in read["params"] or []]
    model = Asked(inputs=read["inputs"], params=params or None)
    made += [wide.request(chance, model) for _ in range(REQUESTS_EACH)]
    return [{"content_type": kind, "body": base64.b64encode(body).decode()} for kind, body in made]


def answer(root: Path) -> None:
    for folder in sorted(each for each in root.iterdir() if (each / "MLmodel").exists()):
        before = list(sys.path)
        asked = requests(folder, yaml.safe_load((folder / "MLmodel").read_text()))
        (root / f"{folder.name}.requests.json").write_text(json.dumps(asked))
        app = scoring_server.init(scoring_server.load_model_with_mlflow_config(str(folder)))
        (root / f"{folder.name}.theirs.json").write_text(json.dumps(asyncio.run(_ask(app, asked))))
        sys.path[:] = before


async def _ask(app: Any, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    answers = []
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        for each in asked:
            response = await client.post(
                "/invocations", content=base64.b64decode(each["body"]), headers={"content-type": each["content_type"]}
            )
            answers.append(
                {
                    "status": response.status_code,
                    "content_type": response.headers.get("content-type"),
                    "body": base64.b64encode(response.content).decode(),
                }
            )
    return answers


if __name__ == "__main__":
    os.environ["SERVING_MODEL_CONFIG"] = '{"alpha": 0.9, "factor": 5, "zzz": 1}'
    {"save": save, "answer": answer}[sys.argv[1]](Path(sys.argv[2]))
