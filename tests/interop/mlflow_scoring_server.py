"""Runs in MLflow's environment: sends the cases on stdin to MLflow's own scoring app, writes the responses to stdout."""

import asyncio
import base64
import json
import logging
import os
import sys
import tempfile
import warnings

os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{tempfile.mkdtemp()}/mlflow.db"
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

import httpx  # noqa: E402
import mlflow.pyfunc  # noqa: E402
import scoring_functions as functions  # noqa: E402
from mlflow.models import Model, ModelSignature  # noqa: E402
from mlflow.pyfunc import PyFuncModel, PythonModel, scoring_server  # noqa: E402


class Impl:
    def __init__(self, function):
        self._function = function

    def predict(self, data, params=None):
        return self._function(data, params)


class Texts(PythonModel):
    def predict(self, context, model_input: list[str], params=None) -> list[str]:
        return [text.upper() for text in model_input]


class Numbers(PythonModel):
    def predict(self, context, model_input: list[float], params=None) -> list[float]:
        return [number * 2 for number in model_input]


def load(name, entry):
    if entry["hint"]:
        folder = f"{tempfile.mkdtemp()}/{name}"
        python_model = {"list[str]": Texts, "list[float]": Numbers}[entry["hint"]]()
        mlflow.pyfunc.save_model(folder, python_model=python_model, pip_requirements=["mlflow"])
        return mlflow.pyfunc.load_model(folder)
    signature = None if entry["signature"] is None else ModelSignature.from_dict(entry["signature"])
    meta = Model(signature=signature, flavors={"python_function": {"loader_module": "compared"}})
    return PyFuncModel(model_meta=meta, model_impl=Impl(getattr(functions, entry["function"])))


async def answer(models, cases):
    clients = {}
    answers = []
    for case in cases:
        if case["model"] not in clients:
            app = scoring_server.init(load(case["model"], models[case["model"]]))
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            clients[case["model"]] = httpx.AsyncClient(transport=transport, base_url="http://mlflow")
        headers = {} if case["content_type"] is None else {"content-type": case["content_type"]}
        body = base64.b64decode(case["body"])
        response = await clients[case["model"]].post("/invocations", content=body, headers=headers)
        answers.append(
            {
                "status": response.status_code,
                "content_type": response.headers.get("content-type"),
                "body": base64.b64encode(response.content).decode(),
            }
        )
    return answers


def main():
    asked = json.load(sys.stdin)
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(asyncio.run(answer(asked["models"], asked["cases"])), output)
    output.close()


main()
