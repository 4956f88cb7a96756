"""A script, as people have it: saves a model of every kind with podium into the folder that it is given."""

import functools
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import podium
from podium import pyfunc

FRAME, TARGET = load_iris(return_X_y=True, as_frame=True)
NUMBERS = pd.DataFrame({"x": [1.5, 2.5]})


class Scaled(pyfunc.PythonModel):
    """With artifacts, code, config, a context of a hinted type, and super()."""

    def load_context(self, context: pyfunc.PythonModelContext) -> None:
        super().load_context(context)
        self.offset = float(Path(context.artifacts["offset"]).read_text())

    def predict(self, context: pyfunc.PythonModelContext, model_input, params=None):
        from podium_interop_code import double

        return double(model_input["x"]) * context.model_config["alpha"] + self.offset


class Hinted(pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, float]], params=None) -> list[float]:
        return [sum(row.values()) for row in model_input]


def times(factor, frame):
    return frame["x"] * factor


class WithParams(pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"] * params["scale"] + len(params["words"])


class Clipped(LogisticRegression):
    """A class of the user's own, which skops does not know."""

    def predict(self, X):
        return np.minimum(super().predict(X), 1)


def shout(texts: list[str]) -> list[str]:
    return [text + "!" for text in texts]


def row_sums(frame):
    return np.asarray(frame.sum(axis=1))


CODE = """
import mlflow
from mlflow.models import ModelConfig, set_model
from podium_interop_code import double

config = ModelConfig(development_config={"factor": 1})

class FromCode(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return double(model_input["x"]) * config.get("factor")

set_model(FromCode())
"""


def main(root: Path) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TARGET)
    sample = FRAME.head(3)
    for kind in ("skops", "cloudpickle", "pickle"):
        podium.sklearn.save_model(model, root / f"sklearn-{kind}", serialization_format=kind, input_example=sample)
    podium.sklearn.save_model(model, root / "sklearn-proba", pyfunc_predict_fn="predict_proba", input_example=sample)
    forest = RandomForestClassifier(5, random_state=0).fit(FRAME, TARGET)
    podium.sklearn.save_model(forest, root / "sklearn-forest", input_example=sample)
    podium.sklearn.save_model(
        Clipped(max_iter=1000).fit(FRAME, TARGET),
        root / "sklearn-own",
        serialization_format="cloudpickle",
        input_example=FRAME.tail(3),
    )
    podium.save_model(
        LogisticRegression(max_iter=1000).fit(FRAME.to_numpy(), TARGET),
        root / "sklearn-tensor",
        input_example=FRAME.to_numpy()[:2],
    )

    work = root.parent / f"{root.name}-work"
    work.mkdir()
    (work / "offset.txt").write_text("0.25")
    (work / "podium_interop_code.py").write_text("def double(x):\n    return x * 2\n")
    (work / "from_code.py").write_text(CODE)
    (work / "podium_interop_loader.py").write_text(
        "from pathlib import Path\n\nclass Model:\n    def __init__(self, text):\n        self.text = text\n\n"
        "    def predict(self, data):\n        return [self.text] * len(data)\n\n"
        "def _load_pyfunc(path):\n    return Model(Path(path).read_text())\n"
    )
    code = [work / "podium_interop_code.py"]
    pyfunc.save_model(
        root / "model",
        python_model=Scaled(),
        artifacts={"offset": work / "offset.txt"},
        code_paths=code,
        model_config={"alpha": 2.0},
        input_example=NUMBERS,
        row_independent=True,
    )
    pyfunc.save_model(root / "hinted", python_model=Hinted(), input_example=[{"a": 1.0, "b": 2.0}])
    pyfunc.save_model(
        root / "params", python_model=WithParams(), input_example=(NUMBERS, {"scale": 2.0, "words": ["a", "b"]})
    )
    pyfunc.save_model(root / "partial", python_model=functools.partial(times, 3), input_example=NUMBERS)
    pyfunc.save_model(root / "function", python_model=shout, input_example=["a"])
    pyfunc.save_model(root / "compressed", python_model=row_sums, compression="lzma", input_example=NUMBERS)
    pyfunc.save_model(
        root / "code",
        python_model=work / "from_code.py",
        code_paths=code,
        model_config={"factor": 3},
        input_example=NUMBERS,
    )
    pyfunc.save_model(
        root / "loader",
        loader_module="podium_interop_loader",
        data_path=work / "offset.txt",
        code_paths=[work / "podium_interop_loader.py"],
        input_example=NUMBERS,
    )
    data = FRAME.to_numpy().astype(np.float32)
    proto = to_onnx(make_pipeline(LogisticRegression(max_iter=1000)).fit(data, TARGET), data[:1], options={"zipmap": False})
    podium.onnx.save_model(proto, root / "onnx", input_example=data[:2])
    graph = '<ir_version: 8, opset_import: ["" : 17]> sums (float[N] a, float[N] b) => (float[N] y) { y = Add(a, b) }'
    podium.onnx.save_model(
        onnx.parser.parse_model(graph), root / "onnx-table", input_example=pd.DataFrame({"a": [1.0, 2.0], "b": [0.5, 0.25]})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
