"""Runs where the real MLflow is: `save ROOT` writes a model of every kind, `score ROOT` scores what is there.

Beside each folder goes NAME.expected.json: how MLflow's own server code answers the model's serving example.
"""

import io
import json
import logging
import os
import shutil
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
import mlflow  # noqa: E402

logging.disable(logging.CRITICAL)

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import yaml  # noqa: E402
from mlflow.models import infer_signature  # noqa: E402
from mlflow.pyfunc.scoring_server import _parse_json_data, predictions_to_json  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402

FRAME, TARGET = load_iris(return_X_y=True, as_frame=True)


def _logistic():
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TARGET)


class Scaled(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.offset = float(Path(context.artifacts["offset"]).read_text())
        self.alpha = (context.model_config or {}).get("alpha", 1.0)

    def predict(self, context, model_input, params=None):
        from interop_code_module import double

        return double(model_input["x"]) * self.alpha + self.offset


class WithParams(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [row * params["scale"] + len(params["words"]) for row in model_input["x"]]


class NoContext(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str], params=None) -> list[str]:
        return [text.upper() for text in model_input]


def shout(model_input: list[str]) -> list[str]:
    return [text + "!" for text in model_input]


def total(model_input):
    return model_input.sum(axis=1)


CODE = """
import mlflow
from mlflow.models import ModelConfig, set_model

config = ModelConfig(development_config={"factor": 1})

class FromCode(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"] * config.get("factor")

set_model(FromCode())
"""


CHAT = """
import mlflow
from mlflow.types.llm import ChatChoice, ChatCompletionResponse, ChatMessage

class Echo(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        content = messages[-1].content.upper()
        message = ChatMessage(role="assistant", content=content)
        return ChatCompletionResponse(choices=[ChatChoice(index=0, message=message)], id="1", created=1)

mlflow.models.set_model(Echo())
"""


# Said for all but one of each flavor: MLflow finds out by loading the model in one more process.
NEEDS = {"pip_requirements": ["mlflow", "scikit-learn", "pandas", "onnx", "onnxruntime"]}


def save(root):
    numbers = pd.DataFrame({"x": [1.5, 2.5]})
    sample = FRAME.head(3)
    for kind in ("skops", "cloudpickle", "pickle"):
        needs = {} if kind == "pickle" else NEEDS
        mlflow.sklearn.save_model(
            _logistic(), root / f"sklearn-{kind}", serialization_format=kind, input_example=sample, **needs
        )
    mlflow.sklearn.save_model(
        _logistic(),
        root / "sklearn-proba",
        serialization_format="pickle",
        pyfunc_predict_fn="predict_proba",
        input_example=sample,
        **NEEDS,
    )
    mlflow.sklearn.save_model(
        RandomForestClassifier(5, random_state=0).fit(FRAME.to_numpy(), TARGET),
        root / "sklearn-trusted",
        skops_trusted_types=["sklearn.tree._tree.Tree"],
        input_example=FRAME.to_numpy()[:2],
        **NEEDS,
    )
    _as_old(root, "sklearn-pickle", "sklearn-1x")
    _only_flavors(root, "sklearn-cloudpickle", "sklearn-only-flavors")
    mlflow.sklearn.save_model(
        make_pipeline(FunctionTransformer(lambda x: x * 2), LogisticRegression()).fit(FRAME, TARGET),
        root / "sklearn-lambda",
        serialization_format="cloudpickle",
        input_example=sample,
        **NEEDS,
    )
    work = root / "work"
    work.mkdir()
    (work / "offset.txt").write_text("0.25")
    (work / "interop_code_module.py").write_text("def double(x):\n    return x * 2\n")
    (work / "from_code.py").write_text(CODE)
    sys.path.insert(0, str(work))
    mlflow.pyfunc.save_model(
        root / "python-artifacts",
        python_model=Scaled(),
        artifacts={"offset": str(work / "offset.txt")},
        code_paths=[str(work / "interop_code_module.py")],
        model_config={"alpha": 2.0},
        input_example=numbers,
    )
    for kind in ("gzip", "bzip2", "lzma"):
        os.environ["MLFLOW_LOG_MODEL_COMPRESSION"] = kind
        mlflow.pyfunc.save_model(root / f"python-{kind}", python_model=NoContext(), input_example=["a", "b"], **NEEDS)
    del os.environ["MLFLOW_LOG_MODEL_COMPRESSION"]
    params = {"scale": 2.0, "words": ["a", "b"]}
    mlflow.pyfunc.save_model(root / "python-params", python_model=WithParams(), input_example=(numbers, params), **NEEDS)
    mlflow.pyfunc.save_model(
        root / "python-signature",
        python_model=total,
        signature=infer_signature(numbers, pd.Series([1.0])),
        input_example=numbers,
        **NEEDS,
    )
    mlflow.pyfunc.save_model(root / "python-function", python_model=shout, input_example=["a"], **NEEDS)
    mlflow.pyfunc.save_model(
        root / "python-code",
        python_model=str(work / "from_code.py"),
        model_config={"factor": 3},
        input_example=numbers,
        **NEEDS,
    )
    (work / "from_code.py").unlink()
    (work / "interop_loader.py").write_text(
        "from pathlib import Path\n\nclass Model:\n    def __init__(self, text):\n        self.text = text\n\n"
        "    def predict(self, data):\n        return [self.text] * len(data)\n\n"
        "def _load_pyfunc(path):\n    return Model(Path(path).read_text())\n"
    )
    mlflow.pyfunc.save_model(
        root / "python-loader",
        loader_module="interop_loader",
        data_path=str(work / "offset.txt"),
        code_paths=[str(work / "interop_loader.py")],
        input_example=numbers,
        **NEEDS,
    )
    (work / "chat.py").write_text(CHAT)
    mlflow.pyfunc.save_model(
        root / "python-chat",
        python_model=str(work / "chat.py"),
        input_example={"messages": [{"role": "user", "content": "hi"}]},
        **NEEDS,
    )
    _save_onnx(root)
    shutil.rmtree(work)


def _save_onnx(root):
    import onnx
    from skl2onnx import to_onnx

    data = FRAME.to_numpy().astype(np.float32)
    proto = to_onnx(_logistic().fit(data, TARGET), data[:1], options={"zipmap": False})
    mlflow.onnx.save_model(proto, root / "onnx-tensor", input_example=data[:2], signature=infer_signature(data[:2]))
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> sums (float[N] a, float[N] b) => (float[N] y) { y = Add(a, b) }'
    )
    sample = pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]})
    mlflow.onnx.save_model(graph, root / "onnx-columns", input_example=sample, **NEEDS)


def _as_old(root, source, target):
    shutil.copytree(root / source, root / target)
    mlmodel = yaml.safe_load((root / target / "MLmodel").read_text())
    flavor = mlmodel["flavors"]["sklearn"]
    old = {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "data": "model.pkl",
                "env": "conda.yaml",
                "loader_module": "mlflow.sklearn",
                "python_version": "3.6.10",
            },
            "sklearn": {"pickled_model": "model.pkl", "sklearn_version": flavor["sklearn_version"]},
        },
        "run_id": "b2a0f7f0a0a04c5d8a6c6b7a1f2d3e4f",
        "utc_time_created": "2020-01-02 03:04:05.678900",
        "signature": mlmodel["signature"],
        "saved_input_example_info": {"artifact_path": "input_example.json", "pandas_orient": "split", "type": "dataframe"},
        "some_later_key": {"kept": True},
    }
    (root / target / "MLmodel").write_text(yaml.safe_dump(old))
    (root / target / "python_env.yaml").unlink()
    (root / target / "requirements.txt").unlink()


def _only_flavors(root, source, target):
    shutil.copytree(root / source, root / target)
    mlmodel = yaml.safe_load((root / target / "MLmodel").read_text())
    (root / target / "MLmodel").write_text(yaml.safe_dump({"flavors": mlmodel["flavors"]}))


def score(root):
    for folder in sorted(each for each in root.iterdir() if (each / "MLmodel").exists()):
        try:
            answer = _score(folder)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        (root / f"{folder.name}.expected.json").write_text(json.dumps(answer))


def _score(folder):
    before = list(sys.path)
    model = mlflow.pyfunc.load_model(str(folder))
    example = folder / "serving_input_example.json"
    parsed = _parse_json_data(example.read_text(), model.metadata, model.metadata.get_input_schema())
    out = io.StringIO()
    answer = model.predict(parsed.data, params=parsed.params)
    if "messages" in json.loads(example.read_text()):
        # The server answers an LLM's request with the prediction alone.
        out.write(json.dumps(answer))
    else:
        predictions_to_json(answer, out)
    sys.path[:] = before
    for name in [name for name, module in sys.modules.items() if str(folder) in str(getattr(module, "__file__", None))]:
        del sys.modules[name]
    meta = model.metadata
    return {
        "refusal": _refusal(model),
        "answer": json.loads(out.getvalue()),
        "podium": "podium" in sys.modules,
        "signature": None if meta.signature is None else meta.signature.to_dict(),
        "native": _native(folder, meta.flavors),
    }


def _refusal(model):
    """What a model says to input that fits no hint."""
    try:
        model.predict([object()])
    except Exception as error:
        return str(error)
    return None


def _native(folder, flavors):
    if "sklearn" in flavors:
        return type(mlflow.sklearn.load_model(str(folder))).__name__
    if "onnx" in flavors:
        return type(mlflow.onnx.load_model(str(folder))).__name__
    return None


if __name__ == "__main__":
    {"save": save, "score": score}[sys.argv[1]](Path(sys.argv[2]))
