"""The bare model in one process: microseconds of one call, on what a server would hand it, without any server.

python bare.py MODELS NAME...        # prints one line of JSON
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

_SECONDS = 0.25
_ROWS = (1, 64)


def main() -> None:
    """Measure each model at one row and at 64."""
    warnings.simplefilter("ignore")
    found = []
    for name in sys.argv[2:]:
        folder = Path(sys.argv[1]) / name
        predict, rows = _loaded(folder)
        for count in _ROWS:
            parts = [rows[i : i + count] for i in range(0, len(rows) - count + 1, count)]
            found.append({"model": name, "rows": count, "us": round(_microseconds(predict, parts), 2)})
    print(json.dumps(found))


def _loaded(folder: Path) -> tuple[Callable[[Any], Any], Any]:
    mlmodel = yaml.safe_load((folder / "model" / "MLmodel").read_text())
    bodies = [json.loads(line) for line in (folder / "single.mlflow.jsonl").read_text().splitlines()]
    if "onnx" in mlmodel["flavors"]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(folder / "model" / "model.onnx", options, providers=["CPUExecutionProvider"])
        rows = np.array([body["inputs"]["x"][0] for body in bodies], dtype=np.float32)
        return lambda part: session.run(["scores"], {"x": part}), rows
    if "pytorch" in mlmodel["flavors"]:
        import torch

        torch.set_num_threads(1)
        module = torch.export.load(str(folder / "model" / "data" / "model.pt2")).module()
        return _without_gradients(torch, module), np.array([body["inputs"][0] for body in bodies], dtype=np.float32)
    import joblib

    model = joblib.load(folder / "model" / "model.pkl")
    if "inputs" in bodies[0]:
        return model.predict, np.array([body["inputs"][0] for body in bodies])
    first = bodies[0]["dataframe_split"]
    return model.predict, pd.DataFrame([b["dataframe_split"]["data"][0] for b in bodies], columns=first["columns"])


def _without_gradients(torch: Any, module: Any) -> Callable[[Any], Any]:
    def call(part: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(part)).numpy()

    return call


def _microseconds(predict: Callable[[Any], Any], parts: list[Any]) -> float:
    """The median over calls on distinct rows."""
    took: list[float] = []
    predict(parts[0])
    until = time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        part = parts[len(took) % len(parts)]
        began = time.perf_counter()
        predict(part)
        took.append(time.perf_counter() - began)
    return 1e6 * float(np.median(took))


if __name__ == "__main__":
    main()
