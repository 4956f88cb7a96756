"""Small models with one or several named inputs, served together; for whoever asks them by the Open Inference Protocol."""

import json
from pathlib import Path
from typing import Any

CODE = {
    "iris": """
        def predict(model_input):
            x = model_input["x"]
            return {"y": (x[:, 2] > 2.5).astype("int64")}
    """,
    "add": """
        def predict(model_input):
            a, b = model_input["a"], model_input["b"]
            return {"sum": a + b, "difference": a - b}
    """,
    "echo": """
        def predict(model_input):
            return model_input
    """,
    "table": """
        def predict(model_input):
            return model_input
    """,
    "words": """
        def predict(model_input):
            return ["many" if x > 1 else "few" for x in model_input["x"]]
    """,
    "marks": """
        def predict(model_input):
            return 2 * model_input["x"].to_numpy()
    """,
    "moody": """
        def predict(model_input):
            return [["yes", "no"] if x > 1 else "yes" for x in model_input["x"]]
    """,
    "fails": """
        def predict(model_input):
            raise RuntimeError("a secret of the model's")
    """,
    "scaled": """
        class Model(PythonModel):
            def predict(self, context, model_input, params=None):
                return model_input * params["factor"]
    """,
}


def tensor(name: str | None, dtype: str, *shape: int) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {**named, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def columns(**kinds: str) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind, "required": True} for name, kind in kinds.items()]


_TABLE = columns(f="double", n="long", t="string", b="boolean")
SIGNATURES: dict[str, tuple[Any, Any, Any]] = {
    "iris": ([tensor("x", "float64", -1, 4)], [tensor("y", "int64", -1)], None),
    "add": (
        [tensor("a", "int32", -1, 2), tensor("b", "int32", -1, 2)],
        [tensor("sum", "int32", -1, 2), tensor("difference", "int32", -1, 2)],
        None,
    ),
    "echo": (None, None, None),
    "words": (columns(x="double"), None, None),
    "marks": (columns(x="double"), columns(mark="double"), None),
    "moody": (columns(x="double"), None, None),
    "table": (_TABLE, _TABLE, None),
    "fails": ([tensor("x", "float64", -1, 1)], None, None),
    "scaled": (
        [tensor(None, "float64", -1, 2)],
        [tensor(None, "float64", -1, 2)],
        [{"name": "factor", "type": "double", "default": 1.0, "shape": None}],
    ),
}


def make_models(folder: Path) -> dict[str, str]:
    """Write a folder for each; their places by name."""
    places = {}
    for name, code in CODE.items():
        place = folder / name
        place.mkdir(parents=True)
        lines = code.strip("\n").split("\n")
        text = "\n".join(line[8:] for line in lines)
        named = "Model()" if "class Model" in text else "predict"
        begin = "from podium.flavors.python_model import PythonModel, set_model\n"
        (place / "model.py").write_text(f"{begin}{text}\nset_model({named})\n")
        inputs, outputs, params = (each and json.dumps(each) for each in SIGNATURES[name])
        mlmodel: dict[str, Any] = {
            "flavors": {"python_function": {"loader_module": "mlflow.pyfunc.model", "model_code_path": "model.py"}},
            "metadata": {"podium.row_independent": True},
        }
        if inputs or outputs:
            mlmodel["signature"] = {"inputs": inputs, "outputs": outputs, "params": params}
        (place / "MLmodel").write_text(json.dumps(mlmodel))
        places[name] = str(place)
    return places
