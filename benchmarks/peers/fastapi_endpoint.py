"""The endpoint that a good engineer writes by hand: typed, validated, async, no batching.

    MODEL_FOLDER=... uvicorn fastapi_endpoint:app

The body is a typed parameter, as FastAPI's documentation teaches; the answer goes out by orjson without another pass;
the model is called on the event loop, which for calls this short beats a thread pool. `LEAN=1` leaves even FastAPI's
parameters out: the body is validated by pydantic straight from its bytes, as somebody does who has profiled it.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import yaml
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, ValidationError

_FOLDER = Path(os.environ["MODEL_FOLDER"])
_IS_LEAN = os.environ.get("LEAN") == "1"
_MLMODEL = yaml.safe_load((_FOLDER / "MLmodel").read_text())
_FIELDS = orjson.loads(_MLMODEL["signature"]["inputs"])

app = FastAPI()


class Rows(BaseModel):
    """`{"inputs": [[...], ...]}`."""

    inputs: list[list[float]]


class NamedRows(BaseModel):
    """`{"inputs": {"x": [[...], ...]}}`."""

    inputs: dict[str, list[list[float]]]


class Table(BaseModel):
    """Columns and rows, as pandas' `orient="split"`."""

    columns: list[str]
    data: list[list[float | str]]


class NumberTable(BaseModel):
    """The same where all columns are numbers."""

    columns: list[str]
    data: list[list[float]]


class Frame(BaseModel):
    """`{"dataframe_split": {...}}`."""

    dataframe_split: Table


class NumberFrame(BaseModel):
    """The same where all columns are numbers."""

    dataframe_split: NumberTable


def _answer(predictions: Any) -> Response:
    return Response(
        orjson.dumps({"predictions": predictions}, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json"
    )


if "onnx" in _MLMODEL["flavors"]:
    import onnxruntime

    _options = onnxruntime.SessionOptions()
    _options.intra_op_num_threads = _options.inter_op_num_threads = 1
    _session = onnxruntime.InferenceSession(
        _FOLDER / _MLMODEL["flavors"]["onnx"]["data"], _options, providers=["CPUExecutionProvider"]
    )
    Body: Any = NamedRows

    def _predict(body: Any) -> Response:
        feed = {name: np.asarray(rows, dtype=np.float32) for name, rows in body.inputs.items()}
        return _answer({"scores": _session.run(["scores"], feed)[0]})

else:
    import joblib

    _model = joblib.load(_FOLDER / _MLMODEL["flavors"]["sklearn"]["pickled_model"])
    if _FIELDS[0]["type"] == "tensor":
        Body = Rows

        def _predict(body: Any) -> Response:
            return _answer(_model.predict(np.asarray(body.inputs)))

    else:
        import pandas as pd

        _names = [field["name"] for field in _FIELDS]
        _is_numeric = all(field["type"] == "double" for field in _FIELDS)
        Body = NumberFrame if _is_numeric else Frame

        def _predict(body: Any) -> Response:
            table = body.dataframe_split
            if table.columns != _names:
                raise HTTPException(422, f"expected the columns {_names}")
            return _answer(_model.predict(pd.DataFrame(table.data, columns=table.columns)))


if _IS_LEAN:

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        try:
            body = Body.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_input=False)) from None
        return _predict(body)

else:

    @app.post("/invocations")
    async def invocations(body: Body) -> Response:
        return _predict(body)
