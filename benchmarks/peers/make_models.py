"""Train the models, save each once with MLflow's own `save_model`, and write the requests and the expected answers.

    python make_models.py FOLDER          # in an environment that holds MLflow

Every server gets the folder `FOLDER/<model>/model` and requests made of the same rows. The data is shipped with
scikit-learn or seeded here, so the models are the same on every machine.
"""

import json
import sys
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pandas as pd
import torch
from mlflow.models import ModelSignature, infer_signature
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SINGLE_ROWS = 1024
BIG_BODIES, BIG_ROWS = 8, 1000
_SEED = 20261121


def main() -> None:
    """Make what is asked for."""
    warnings.simplefilter("ignore")
    target = Path(sys.argv[1])
    _linear(target)
    _forest(target)
    _pipeline(target)
    _network(target)
    _torch_network(target)
    (target / "done").write_text("")


def _linear(target: Path) -> None:
    """The four lengths of an iris, near the measured ones, rounded as a ruler would."""
    rows, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(rows, labels)
    drawn = np.round(_near(rows, SINGLE_ROWS), 2)
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    _save_sklearn(target / "logistic-ndarray", model, _tensor_signature(rows, np.float64))
    _write(target / "logistic-ndarray", drawn, model.predict, None)
    framed = LogisticRegression(max_iter=500).fit(pd.DataFrame(rows, columns=names), labels)
    _save_sklearn(target / "logistic-dataframe", framed, _frame_signature(names))
    _write(target / "logistic-dataframe", pd.DataFrame(drawn, columns=names), framed.predict, None)


def _forest(target: Path) -> None:
    """One hundred trees over thirty measurements of a cell nucleus, in all their digits."""
    data = load_breast_cancer()
    model = RandomForestClassifier(n_estimators=100, random_state=_SEED).fit(data.data, data.target)
    drawn, big = _near(data.data, SINGLE_ROWS), _near(data.data, BIG_BODIES * BIG_ROWS)
    names = [name.replace(" ", "_") for name in data.feature_names]
    _save_sklearn(target / "forest-ndarray", model, _tensor_signature(data.data, np.float64))
    _write(target / "forest-ndarray", drawn, model.predict, big)
    framed = RandomForestClassifier(n_estimators=100, random_state=_SEED).fit(
        pd.DataFrame(data.data, columns=names), data.target
    )
    _save_sklearn(target / "forest-dataframe", framed, _frame_signature(names))
    frames = [pd.DataFrame(part, columns=names) for part in (drawn, big)]
    _write(target / "forest-dataframe", frames[0], framed.predict, frames[1])


def _pipeline(target: Path) -> None:
    """Numbers and texts side by side: impute and scale, one-hot, one hundred boosted trees."""
    rng = np.random.default_rng(_SEED)
    train, drawn = _customers(rng, 4000), _customers(rng, SINGLE_ROWS)
    numbers, texts = ["age", "income", "balance", "tenure"], ["country", "plan", "channel"]
    chance = 1 / (1 + np.exp(-(train["income"] / 4e4 - train["age"] / 40 + (train["plan"] == "free") - 0.5)))
    wanted = (rng.random(len(train)) < chance).astype(int)
    transform = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("texts", OneHotEncoder(handle_unknown="ignore"), texts),
        ]
    )
    model = make_pipeline(transform, GradientBoostingClassifier(n_estimators=100, random_state=_SEED))
    model.fit(train, wanted)
    _save_sklearn(target / "pipeline", model, infer_signature(train.head(), wanted[:5]))
    _write(target / "pipeline", drawn, model.predict, None)


def _network(target: Path) -> None:
    """A perceptron 30-64-32-2 in float32 with seeded weights: the servers are compared, not what it has learned."""
    rng = np.random.default_rng(_SEED)
    sizes, nodes, weights, name = (30, 64, 32, 2), [], [], "x"
    for layer, (wide, narrow) in enumerate(pairwise(sizes)):
        matrix = rng.normal(0, wide**-0.5, (wide, narrow)).astype(np.float32)
        weights += [numpy_helper.from_array(matrix, f"w{layer}")]
        weights += [numpy_helper.from_array(np.zeros(narrow, np.float32), f"b{layer}")]
        last = layer == len(sizes) - 2
        out = "scores" if last else f"h{layer}"
        nodes.append(helper.make_node("Gemm", [name, f"w{layer}", f"b{layer}"], [out if last else f"g{layer}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"g{layer}"], [out]))
        name = out
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [None, n]) for end, n in (("x", 30), ("scores", 2))]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    spec = [TensorSpec(np.dtype(np.float32), (-1, n), end) for end, n in (("x", 30), ("scores", 2))]
    mlflow.onnx.save_model(
        model,
        target / "onnx-mlp" / "model",
        signature=ModelSignature(Schema(spec[:1]), Schema(spec[1:])),
        onnx_execution_providers=["CPUExecutionProvider"],
    )
    drawn = rng.normal(0, 1, (SINGLE_ROWS, 30)).astype(np.float32)
    loaded = mlflow.pyfunc.load_model(str(target / "onnx-mlp" / "model"))
    _write(target / "onnx-mlp", drawn, lambda rows: loaded.predict({"x": rows})["scores"], None, tensor="x")


def _torch_network(target: Path) -> None:
    """The same perceptron in PyTorch, as a graph; of an example of two rows, for one would make MLflow's graph for one."""
    rng = np.random.default_rng(_SEED)
    torch.manual_seed(_SEED)
    layers = [torch.nn.Linear(30, 64), torch.nn.ReLU(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2)]
    model = torch.nn.Sequential(*layers).eval()
    drawn = rng.normal(0, 1, (SINGLE_ROWS, 30)).astype(np.float32)
    spec = [TensorSpec(np.dtype(np.float32), (-1, wide)) for wide in (30, 2)]
    mlflow.pytorch.save_model(
        model,
        target / "torch-mlp" / "model",
        signature=ModelSignature(Schema(spec[:1]), Schema(spec[1:])),
        input_example=drawn[:2],
        serialization_format="pt2",
    )
    loaded = mlflow.pyfunc.load_model(str(target / "torch-mlp" / "model"))
    _write(target / "torch-mlp", drawn, loaded.predict, None)


def _near(rows: np.ndarray, count: int) -> np.ndarray:
    """Distinct rows near the measured ones, so that a tree's branches are not learned by heart by the processor."""
    rng = np.random.default_rng(_SEED)
    drawn = rows[rng.integers(0, len(rows), count)]
    return np.abs(drawn + rng.normal(0, 0.15, drawn.shape) * rows.std(axis=0))


def _customers(rng: np.random.Generator, count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": rng.uniform(18, 90, count).round(1),
            "income": rng.normal(4e4, 1.5e4, count).round(2),
            "balance": rng.exponential(5e3, count).round(2),
            "tenure": rng.integers(0, 240, count),
            "country": rng.choice(["DE", "FR", "IT", "ES", "PL", "NL"], count),
            "plan": rng.choice(["free", "basic", "pro"], count),
            "channel": rng.choice(["web", "shop", "phone", "partner"], count),
        }
    )


def _tensor_signature(rows: np.ndarray, dtype: type) -> ModelSignature:
    return ModelSignature(Schema([TensorSpec(np.dtype(dtype), (-1, rows.shape[1]))]), Schema([ColSpec("long")]))


def _frame_signature(names: list[str]) -> ModelSignature:
    return ModelSignature(Schema([ColSpec("double", name) for name in names]), Schema([ColSpec("long")]))


def _save_sklearn(folder: Path, model: Any, signature: ModelSignature) -> None:
    # cloudpickle and not skops, MLflow's newer default: MLServer's scikit-learn runtime reads nothing else.
    mlflow.sklearn.save_model(model, folder / "model", signature=signature, serialization_format="cloudpickle")


def _write(folder: Path, rows: Any, predict: Callable[[Any], Any], big: Any, tensor: str = "") -> None:
    """The requests in each protocol, one a line, and the model's own answers."""
    cuts = {"single": [rows[i : i + 1] for i in range(len(rows))]}
    if big is not None:
        cuts["big"] = [big[i : i + BIG_ROWS] for i in range(0, len(big), BIG_ROWS)]
    for load, parts in cuts.items():
        for protocol, body in (("mlflow", _mlflow), ("v2", _v2), ("bento", _bento)):
            lines = [json.dumps(body(part, tensor), separators=(",", ":")) for part in parts]
            (folder / f"{load}.{protocol}.jsonl").write_text("\n".join(lines) + "\n")
        answers = [np.asarray(predict(part)).tolist() for part in parts[:16]]
        (folder / f"{load}.expected.json").write_text(json.dumps(answers))


def _mlflow(part: Any, tensor: str) -> Any:
    if isinstance(part, pd.DataFrame):
        return {"dataframe_split": {"columns": list(part.columns), "data": part.values.tolist()}}
    return {"inputs": {tensor: part.tolist()} if tensor else part.tolist()}


def _v2(part: Any, tensor: str) -> Any:
    """The Open Inference Protocol: one flat tensor, or one for each column."""
    if not isinstance(part, pd.DataFrame):
        kind = "FP32" if part.dtype == np.float32 else "FP64"
        flat = {"name": tensor or "x", "shape": list(part.shape), "datatype": kind, "data": part.ravel().tolist()}
        return {"inputs": [flat]}
    kinds = {"f": "FP64", "i": "INT64"}
    columns = []
    for name in part.columns:
        values = part[name].tolist()
        kind = kinds.get(part[name].dtype.kind, "BYTES")
        column = {"name": name, "shape": [len(values), 1], "datatype": kind, "data": values}
        columns.append(column | ({"parameters": {"content_type": "str"}} if kind == "BYTES" else {}))
    return {"parameters": {"content_type": "pd"}, "inputs": columns}


def _bento(part: Any, _: str) -> Any:
    return {"rows": part.to_dict(orient="records") if isinstance(part, pd.DataFrame) else part.tolist()}


if __name__ == "__main__":
    main()
