"""One side of a flavor's definition (`flavors/NAME.py`), run as a script in that side's own interpreter.

    python -P flavor_sides.py mlflow DEFINITION OWN PODIUM   saves into OWN; answers OWN and PODIUM
    python -P flavor_sides.py podium DEFINITION OWN          saves into OWN; answers OWN
    python -P flavor_sides.py podium DEFINITION "" ROOT ...  answers every ROOT

Beside each model's folder go NAME.requests.json (what is asked) and NAME.SIDE.json (what this side answered): the
statuses and bodies of MLflow's own scoring app or of podium's predictor and codec, and what the definition's `native`
made of what the library's own load_model returned.
"""

import asyncio
import base64
import importlib.util
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any


def main(side: str, definition_file: str, own: str, *others: str) -> None:
    definition = read(Path(definition_file))
    if own:
        asked = getattr(definition, f"saved_by_{side}")(Path(own))
        for name, requests in asked.items():
            written = [written_request(each) for each in requests]
            (Path(own) / f"{name}.requests.json").write_text(json.dumps(written))
    for root in map(Path, filter(None, (own, *others))):
        for requests in sorted(root.glob("*.requests.json")):
            name = requests.name.removesuffix(".requests.json")
            found = answered(side, definition, root / name, json.loads(requests.read_text()))
            (root / f"{name}.{side}.json").write_text(json.dumps(found))


def read(path: Path) -> Any:
    """The definition as a module of another name than its library's; classes of it are pickled by value."""
    spec = importlib.util.spec_from_file_location(f"definition_of_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    if importlib.util.find_spec("cloudpickle"):
        import cloudpickle

        cloudpickle.register_pickle_by_value(module)
    return module


def written_request(request: Any) -> dict[str, Any]:
    """A dict is a JSON body; a tuple is a body, its content type and, where MLflow fails, podium's answer."""
    body, kind, *answer = request if isinstance(request, tuple) else (request, "application/json")
    if isinstance(body, dict):
        body = json.dumps(body)
    content = body if isinstance(body, bytes) else body.encode()
    wanted = {"answer": answer[0]} if answer else {}
    return {"content_type": kind, "body": base64.b64encode(content).decode(), **wanted}


def answered(side: str, definition: Any, folder: Path, requests: list[dict[str, Any]]) -> dict[str, Any]:
    path, modules = list(sys.path), set(sys.modules)
    found: dict[str, Any] = {}
    asks = by_mlflow if side == "mlflow" else by_podium
    try:
        found["answers"] = asks(folder, [(base64.b64decode(each["body"]), each["content_type"]) for each in requests])
    except Exception as error:
        found["failure"] = f"{type(error).__name__}: {error}"
    if hasattr(definition, "native"):
        try:
            library = importlib.import_module(f"{side}.{Path(definition.__file__).stem}")
            found["native"] = json.loads(json.dumps(definition.native(library, folder)))
        except Exception as error:
            found["native"] = f"{type(error).__name__}: {error}"
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    return found


def by_mlflow(folder: Path, requests: list[tuple[bytes, str]]) -> list[Any]:
    import fastapi
    from mlflow.pyfunc import scoring_server

    if not hasattr(fastapi.FastAPI, "route"):
        # MLflow 2 asks FastAPI for what it had of Starlette's, which the FastAPI that pip gives it now has no more.
        fastapi.FastAPI.route = _route
    app = scoring_server.init(scoring_server.load_model_with_mlflow_config(str(folder)))
    return asyncio.run(_posted(app, requests))


def _route(app: Any, path: str, methods: list[str]) -> Any:
    return lambda function: app.add_api_route(path, function, methods=methods) or function


async def _posted(app: Any, requests: list[tuple[bytes, str]]) -> list[Any]:
    import httpx

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    answers = []
    async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
        for body, kind in requests:
            response = await client.post("/invocations", content=body, headers={"content-type": kind})
            answers.append((response.status_code, response.text))
    return answers


def by_podium(folder: Path, requests: list[tuple[bytes, str]]) -> list[Any]:
    """As a worker answers: its loader, its codec, its predictor."""
    from podium.errors import PodiumError
    from podium.models.load import load_predictor
    from podium.models.mlmodel import read_mlmodel
    from podium.protocols.mlflow.codec import decode, encode
    from podium.protocols.mlflow.problems import problem

    predictor = load_predictor(folder, read_mlmodel(folder))
    answers = []
    for body, kind in requests:
        try:
            decoded = decode(body, kind, predictor.signature)
            prediction = predictor.predict(decoded.data, decoded.params)
            answers.append((200, encode(prediction, decoded.is_enveloped).decode()))
        except PodiumError as error:
            found = problem(error)
            cause = "" if error.__cause__ is None else f" <- {error.__cause__!r}"
            answers.append((found.status, found.body.decode() + cause))
    return answers


if __name__ == "__main__":
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{tempfile.mkdtemp()}/mlflow.db"
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    main(*sys.argv[1:])
