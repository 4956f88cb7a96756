"""PyTorch: graphs, pickles of a script's own classes and TorchScript, on tables and tensors, with params."""

NEEDS = ("torch", "pandas")
# MLflow 2 has no graphs.
REFUSED = {"2": {"graph": "pickle_module_info.txt"}}
SPLIT = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0], [-3.5, 0.25]]}}
TABLES = [
    SPLIT,
    {"dataframe_records": [{"a": 1, "b": 2.5}]},
    ("a,b\n1.5,2.5\n-2.0,0.0\n", "text/csv"),
    {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}},
]
TENSORS = [
    {"inputs": [[1.0, 2.0], [0.5, -1.0]]},
    {"instances": [[1, 2]]},
    {"inputs": [[1.0, 2.0, 3.0]]},
    {"inputs": [["a", "b"]]},
    SPLIT,
]
# MLflow 2 leaves params out, so that they say here what forward takes without them.
PARAMS = [*TENSORS[:2], {"inputs": [[1.0, 2.0]], "params": {"scale": 2.0}}]


def modules():
    import numpy as np
    import pandas as pd
    import torch

    class Scaled(torch.nn.Module):
        """A class that nothing can import: its pickle takes it along."""

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 3)

        def forward(self, x, scale: float = 2.0):
            return self.layer(x) * scale

    torch.manual_seed(7)
    layers = [torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)]
    net, array = torch.nn.Sequential(*layers), np.array([[1.0, 2.0], [0.5, 4.0]], np.float32)
    frame = pd.DataFrame(array, columns=["a", "b"]).astype("float64")
    script = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()))
    return {
        "table": (net, frame, "pickle", TABLES),
        "tensor": (net, array, "pickle", TENSORS),
        "graph": (net.eval(), array, "pt2", TENSORS),
        "params": (Scaled(), (array, {"scale": 2.0}), "pickle", PARAMS),
        "script": (script, array, "pickle", TENSORS),
        "no-example": (net, None, "pickle", [{"inputs": [[1.0, 2.0]]}]),
    }


def saved(save, root):
    import warnings

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch's, of TorchScript
    asked = {}
    for name, (module, example, written, requests) in modules().items():
        save(module, root / name, input_example=example, serialization_format=written)
        asked[name] = requests
    return asked


def saved_by_mlflow(root):
    import mlflow.pytorch
    from mlflow.models import infer_signature

    is_old = mlflow.__version__.startswith("2.")

    def save(module, path, input_example, serialization_format):
        options = {} if is_old else {"serialization_format": serialization_format}
        data, params = input_example if isinstance(input_example, tuple) else (input_example, None)
        # Told what it needs, MLflow does not load each model once more to find out.
        signature = None if data is None else infer_signature(data, None, params)
        kept = {"pip_requirements": ["mlflow"], "signature": signature, **options}
        mlflow.pytorch.save_model(module, path, input_example=input_example, **kept)

    return saved(save, root)


def saved_by_podium(root):
    import podium.pytorch

    return saved(podium.pytorch.save_model, root)


def native(library, folder):
    import numpy as np
    import torch

    module = library.load_model(str(folder))
    with torch.no_grad():
        return module(torch.from_numpy(np.array([[0.5, -1.0], [2.0, 0.1]], np.float32))).tolist()
