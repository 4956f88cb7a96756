"""Runs in a worker's environment: how podium's loader, codec and predictor answer what `saved_models.py` asked MLflow."""

import base64
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from podium.errors import PodiumError, PredictFailed  # noqa: E402
from podium.models.load import load_predictor  # noqa: E402
from podium.models.mlmodel import read_mlmodel  # noqa: E402
from podium.protocols.mlflow.codec import decode, encode  # noqa: E402
from podium.protocols.mlflow.problems import problem  # noqa: E402


def main(root: Path) -> None:
    for folder in sorted(each for each in root.iterdir() if (each / "MLmodel").exists()):
        before = list(sys.path)
        asked = json.loads((root / f"{folder.name}.requests.json").read_text())
        try:
            predictor = load_predictor(folder, read_mlmodel(folder))
        except PodiumError as error:
            answers: Any = {"failure": error.message}
        else:
            answers = [_answer(predictor, base64.b64decode(each["body"]), each["content_type"]) for each in asked]
        (root / f"{folder.name}.ours.json").write_text(json.dumps(answers))
        sys.path[:] = before


def _answer(predictor: Any, body: bytes, content_type: str) -> dict[str, Any]:
    try:
        decoded = decode(body, content_type, predictor.signature)
        status, kind = 200, "application/json"
        text = encode(predictor.predict(decoded.data, decoded.params), decoded.is_enveloped)
    except PodiumError as error:
        found = problem(error)
        status, kind, text = found.status, found.content_type, found.body
        if isinstance(error, PredictFailed):
            cause = error.__cause__
            return {"status": status, "content_type": kind, "body": base64.b64encode(text).decode(), "cause": repr(cause)}
    return {"status": status, "content_type": kind, "body": base64.b64encode(text).decode()}


if __name__ == "__main__":
    os.environ["SERVING_MODEL_CONFIG"] = '{"alpha": 0.9, "factor": 5, "zzz": 1}'
    main(Path(sys.argv[1]))
