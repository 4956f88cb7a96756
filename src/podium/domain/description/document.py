"""A server's OpenAPI 3.1 document, made from what its models' signatures say. Pure: facts in, document out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from podium.domain.description.answers import (
    CSV,
    DETAIL,
    ERROR,
    EVENTS,
    JSON,
    MLFLOW,
    PARQUET,
    PROBLEM,
    SCORING,
    V2,
    Json,
    responses_of,
)
from podium.domain.description.routes import paths_of_names, paths_of_server
from podium.domain.inputs.request_schemas import csv_schema, instances_schema, invocation_schema
from podium.domain.inputs.tensor_schemas import generate_schema, tensors_schema
from podium.domain.inputs.unified import FIELDS
from podium.domain.signature import ColumnSchema, Signature
from podium.errors import PodiumError

_ABOUT = (
    "Requests are checked against each model's signature; what JSON Schema cannot say is said in words. "
    "`x-request-id` names a request in the server's logs, and is made up where it is missing; `x-podium-timeout-ms` says "
    "how long the client waits. Bodies may be compressed with gzip. Columns may come in any order in `dataframe_split`, "
    "and others than the signature's are ignored unless the server is strict."
)
_BROKEN = "What goes wrong after the first has an event of its own: an object with `error`."
_SCHEMES: Mapping[str, Json] = {
    "key": {"type": "http", "scheme": "bearer", "description": "An API key, or a token."},
    "certificate": {"type": "mutualTLS"},
}
_PREDICTIONS: Json = {"type": "object", "required": ["predictions"], "properties": {"predictions": {}}}
_TENSORS: Json = {
    "type": "object",
    "required": ["model_name", "outputs"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype", "data"],
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    "datatype": {"type": "string"},
                    "data": {"type": "array"},
                },
            },
        },
    },
}


def describe(models: Mapping[str, Mapping[str, Any]], default: str, version: str, credentials: Sequence[str] = ()) -> Json:
    """The document.

    Args:
        models: By name, as `fleet/telling/describing.py` tells them.
        default: The model that `/invocations` is for.
        version: podium's.
        credentials: What the server asks for, any one of it: `key`, `certificate`; nothing where everybody may ask.
    """
    paths: Json = {}
    for name, facts in models.items():
        paths |= _paths_of(name, facts, is_default=name == default)
    return {
        "openapi": "3.1.0",
        "info": {"title": "podium", "version": version, "description": _ABOUT},
        "tags": [{"name": name} for name in (*models, "models", "server")],
        "paths": {**paths, **paths_of_names(list(models), _versions(models)), **paths_of_server()},
        "components": {
            "schemas": {"Error": ERROR, "Detail": DETAIL, "Problem": PROBLEM},
            "securitySchemes": dict(_SCHEMES),
        },
        "security": [{each: []} for each in credentials] or [{}, {"key": []}],
    }


def _paths_of(name: str, facts: Mapping[str, Any], *, is_default: bool) -> Json:
    signature, is_strict = _signature(facts), facts.get("mode") == "strict"
    example = _example(facts)
    words = _about(name, facts, signature)
    body = _json_body(invocation_schema(signature, is_strict), example)
    table = csv_schema(signature)
    body["content"] |= {CSV: {"schema": table}} if table is not None else {}
    body["content"] |= {PARQUET: {}}
    told: Json = {} if _may_be_unified(signature) else _PREDICTIONS
    score = {"tags": [name], "requestBody": body, "responses": responses_of(told, SCORING, MLFLOW)}
    infer = {"tags": [name], "requestBody": _json_body(tensors_schema(signature), None)}
    segment = _escaped(name)
    paths: Json = {
        f"/models/{segment}/invocations": {"post": {**score, "summary": f"Predict with {name}", "description": words}},
        f"/models/{segment}/invoke": {"post": {**score, "summary": f"Predict with {name}, as SageMaker asks"}},
        f"/endpoints/{segment}/invocations": {
            "post": {**score, "summary": f"Predict with {name}, as MLflow's deployments ask"}
        },
        f"/v2/models/{segment}/infer": {
            "post": {
                **infer,
                "summary": f"Predict with {name}, as tensors",
                "description": "The Open Inference Protocol. The schema is of one row; several have `[rows, …]` as shape.",
                "responses": responses_of(_TENSORS, SCORING, V2, is_binary=True),
            }
        },
        f"/v2/models/{segment}/infer_stream": {
            "post": {
                **infer,
                "summary": f"Predict with {name}, as tensors in events",
                "responses": _events(f"Each event is an answer of infer. {_BROKEN}"),
            }
        },
        f"/v1/models/{segment}:predict": {
            "post": {
                "tags": [name],
                "summary": f"Predict with {name}, as KServe's V1 protocol",
                "requestBody": _json_body(instances_schema(signature, is_strict), None),
                "responses": responses_of(told, SCORING, V2),
            }
        },
    }
    if facts.get("is_streaming") is True:
        paths |= _generating(name, segment, signature)
    if facts.get("version") is not None:
        paths |= _of_version(paths, f"/v2/models/{segment}/", str(facts["version"]))
    if is_default:
        paths["/invocations"] = {"post": {**score, "summary": f"Predict with {name}, the default model"}}
    return paths


def _of_version(paths: Mapping[str, Json], start: str, version: str) -> Json:
    """The paths of tensors, asked of one version."""
    wanted = {"name": "version", "in": "path", "required": True, "schema": {"type": "string", "enum": [version]}}
    return {
        f"{start}versions/{{version}}/{path.removeprefix(start)}": {
            "post": {**each["post"], "summary": f"{each['post']['summary']}, by this version", "parameters": [wanted]}
        }
        for path, each in paths.items()
        if path.startswith(start)
    }


def _may_be_unified(signature: Signature | None) -> bool:
    """Whether a body without an envelope fits: then the answer is the prediction alone."""
    inputs = signature.inputs if signature is not None else None
    if inputs is None:
        return True
    return isinstance(inputs, ColumnSchema) and not set(FIELDS).isdisjoint(inputs.names if inputs.is_named else ())


def _generating(name: str, segment: str, signature: Signature | None) -> Json:
    asked = {"tags": [name], "requestBody": _json_body(generate_schema(signature), None)}
    return {
        f"/v2/models/{segment}/generate": {
            "post": {
                **asked,
                "summary": f"Generate with {name}",
                "responses": responses_of({"type": "object", "required": ["model_name"]}, (*SCORING, 501), V2),
            }
        },
        f"/v2/models/{segment}/generate_stream": {
            "post": {
                **asked,
                "summary": f"Generate with {name}, in parts",
                "responses": _events(f"Each event is a part, as of generate. {_BROKEN}"),
            }
        },
    }


def _events(words: str) -> Json:
    given = responses_of({}, (*SCORING, 501), V2)
    return {**given, "200": {"description": words, "content": {EVENTS: {}}}}


def _versions(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(facts["version"]) for facts in models.values() if facts.get("version") is not None))


def _signature(facts: Mapping[str, Any]) -> Signature | None:
    parts = facts.get("signature")
    if not isinstance(parts, Mapping):
        return None
    try:
        return Signature.from_dict(parts, is_from_type_hint=facts.get("is_from_type_hint") is True)
    except PodiumError:
        return None


def _example(facts: Mapping[str, Any]) -> Any:
    try:
        return json.loads(facts.get("example") or "null")
    except ValueError:
        return None


def _about(name: str, facts: Mapping[str, Any], signature: Signature | None) -> str:
    version = facts.get("version")
    if version is None:
        return f"No version of {name} serves now."
    inputs = "nothing: any input is taken" if signature is None or signature.inputs is None else str(signature.inputs)
    outputs = "" if signature is None or signature.outputs is None else f" Outputs: {signature.outputs}."
    return f"Version {version}, {facts.get('flavor')}. The signature says of inputs: {inputs}.{outputs}"


def _json_body(schema: Json, example: Any) -> Json:
    media: Json = {"schema": schema}
    if example is not None:
        media["example"] = example
    return {"required": True, "content": {JSON: media}}


def _escaped(name: str) -> str:
    """A name as a path has it. Names are letters, digits, `_`, `-` and `.`, whoever gave them; this asks nobody."""
    return "".join(
        c if c.isalnum() and c.isascii() else c if c in "_-." else "".join(f"%{b:02X}" for b in c.encode()) for c in name
    )
