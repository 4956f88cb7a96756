"""What converting is worth, one call in one process: each flavor's model by itself or by its exact shortcut, and as ONNX.

    python benchmarks/conversions.py [--out FILE]

One model of each flavor, one thread. Networks need `podium[accelerate]`, Keras `podium[accelerate-keras]`.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from podium.domain.worth import is_worth_taking
from podium.errors import PodiumError
from podium.models.infer import infer_signature
from podium.models.mlmodel import read_mlmodel
from podium.models.save import save_model
from podium.worker.priority import limit_threads
from podium.worker.proofs.convert import conversions

ROWS, COLUMNS = 2000, 10


def models(table: pd.DataFrame, labels: Any) -> Iterator[tuple[str, Callable[[], Any], Any]]:
    """Name, how to make it, and its inputs."""
    matrix = table.to_numpy(np.float32)

    def xgboost() -> Any:
        from xgboost import XGBClassifier

        return XGBClassifier(n_estimators=100).fit(table, labels)

    def lightgbm() -> Any:
        from lightgbm import LGBMClassifier

        return LGBMClassifier(n_estimators=100, verbose=-1).fit(table, labels)

    def catboost() -> Any:
        from catboost import CatBoostClassifier

        return CatBoostClassifier(iterations=100, verbose=0, allow_writing_files=False).fit(table, labels)

    def torch() -> Any:
        from torch import nn

        return nn.Sequential(nn.Linear(COLUMNS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)).eval()

    def keras() -> Any:
        from keras import Input, Sequential, layers

        parts = [layers.Dense(64, activation="relu"), layers.Dense(64, activation="relu"), layers.Dense(1)]
        return Sequential([Input((COLUMNS,)), *parts])

    yield from (("xgboost", xgboost, table), ("lightgbm", lightgbm, table), ("catboost", catboost, table))
    yield from (("torch-mlp", torch, matrix), ("keras-mlp", keras, matrix))


def measured(name: str, make: Callable[[], Any], data: Any) -> dict[str, Any]:
    """What came of converting one model."""
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        folder = Path(place) / "model"
        save_model(make(), folder, signature=infer_signature(data), input_example=data[:3])
        order = {"folder": str(folder), "mlmodel": read_mlmodel(folder), "forms": ["whole"], "out": place}
        try:
            *_, last = conversions({**order, "precisions": ["double", "float"], "tolerance": 1e-5, "allows_code": True})
        except PodiumError as error:
            return {"model": name, "is_accepted": False, "reason": error.message}
    speed = last.get("speed")
    found = {key: last.get(key) for key in ("is_accepted", "reason", "largest", "seconds")}
    return {"model": name, **found, "most": last["spec"]["most"], "us": speed, "is_worth_taking": is_worth_taking(speed)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    limit_threads(1)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(ROWS, COLUMNS)), columns=[f"x{i}" for i in range(COLUMNS)])
    labels = (table["x0"] + table["x1"] * table["x2"] > 0).astype(int)
    found = {"python": platform.python_version(), "machine": platform.machine(), "processors": os.cpu_count(), "models": []}
    found["models"] = [measured(*each) for each in models(table, labels)]
    text = json.dumps(found, indent=1) + "\n"
    print(text, end="")
    if out is not None:
        out.write_text(text)


if __name__ == "__main__":
    main()
