"""A server's OpenAPI 3.1 document, made from what its models' signatures say. Pure: facts in, document out."""

import json
from collections.abc import Mapping
from typing import Any

from podium.domain.inputs.request_schemas import Json, csv_schema, instances_schema, invocation_schema, tensors_schema
from podium.domain.signature import Signature
from podium.errors import PodiumError

_JSON, _TEXT, _CSV, _PARQUET = "application/json", "text/plain; charset=utf-8", "text/csv", "application/vnd.apache.parquet"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_ABOUT = (
    "Requests are checked against each model's signature; what JSON Schema cannot say is said in words. "
    "`x-request-id` names a request in the server's logs, and is made up where it is missing; `x-podium-timeout-ms` says "
    "how long the client waits. Bodies may be compressed with gzip. Columns may come in any order in `dataframe_split`, "
    "and others than the signature's are ignored unless the server is strict."
)
_WORDS = {
    200: "A prediction.",
    400: "The body cannot be read, does not fit the signature, or the model's own code raised on it.",
    401: "The server wants to know who asks.",
    403: "Who asks may not do this.",
    404: "No such model, or no such version of it.",
    405: "Not with this method.",
    409: "Not in the state that it is in.",
    413: "The body is larger than the server takes.",
    415: "A Content-Type or Content-Encoding that nobody reads here.",
    429: "A queue is full, or a limit is reached; Retry-After says when to come back.",
    500: "The worker died twice while it ran this request, or podium is at fault.",
    501: "This server does not know how to do it.",
    503: "Nothing is ready to answer; Retry-After says when to come back.",
    504: "The time ran out. The body is MLflow's sentence.",
    507: "There is not enough memory for it.",
}
_SCORING = (400, 401, 403, 404, 413, 429, 500, 503)
_ERROR: Json = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {
        "error_code": {"type": "string"},
        "message": {"type": "string"},
        "error_class": {"type": "string"},
        "sqlstate": {"type": "string"},
        "request_id": {"type": "string"},
    },
}
_DETAIL: Json = {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}
_PROBLEM: Json = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def describe(models: Mapping[str, Mapping[str, Any]], default: str, version: str) -> Json:
    """The document.

    Args:
        models: By name, as `fleet/telling/describing.py` tells them.
        default: The model that `/invocations` is for.
        version: podium's.
    """
    paths: Json = {}
    for name, facts in models.items():
        paths |= _paths_of(name, facts, is_default=name == default)
    return {
        "openapi": "3.1.0",
        "info": {"title": "podium", "version": version, "description": _ABOUT},
        "tags": [{"name": name} for name in (*models, "models", "server")],
        "paths": {**paths, **_paths_of_names(list(models)), **_PATHS_OF_SERVER},
        "components": {
            "schemas": {"Error": _ERROR, "Detail": _DETAIL, "Problem": _PROBLEM},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _paths_of(name: str, facts: Mapping[str, Any], *, is_default: bool) -> Json:
    signature, is_strict = _signature(facts), facts.get("mode") == "strict"
    example = _example(facts)
    words = _about(name, facts, signature)
    body = _json_body(invocation_schema(signature, is_strict), example)
    table = csv_schema(signature)
    body["content"] |= {_CSV: {"schema": table}} if table is not None else {}
    body["content"] |= {_PARQUET: {}}
    score = {"tags": [name], "requestBody": body, "responses": _responses(_PREDICTIONS, _SCORING, _MLFLOW)}
    segment = _escaped(name)
    paths = {
        f"/models/{segment}/invocations": {"post": {**score, "summary": f"Predict with {name}", "description": words}},
        f"/v2/models/{segment}/infer": {
            "post": {
                "tags": [name],
                "summary": f"Predict with {name}, as tensors",
                "description": "The Open Inference Protocol. The schema is of one row; several have `[rows, …]` as shape.",
                "requestBody": _json_body(tensors_schema(signature), None),
                "responses": _responses(_TENSORS, _SCORING, _V2, is_binary=True),
            }
        },
        f"/v1/models/{segment}:predict": {
            "post": {
                "tags": [name],
                "summary": f"Predict with {name}, as KServe's V1 protocol",
                "requestBody": _json_body(instances_schema(signature, is_strict), None),
                "responses": _responses(_PREDICTIONS, _SCORING, _V2),
            }
        },
    }
    if is_default:
        paths["/invocations"] = {"post": {**score, "summary": f"Predict with {name}, the default model"}}
    return paths


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
    return {"required": True, "content": {_JSON: media}}


_MLFLOW: Json = {"oneOf": [{"$ref": "#/components/schemas/Error"}, {"$ref": "#/components/schemas/Detail"}]}
_V2: Json = {"$ref": "#/components/schemas/Problem"}
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
_NAMED: Json = {"name": "name", "in": "path", "required": True}


def _responses(schema: Json, statuses: tuple[int, ...], error: Json, *, is_binary: bool = False) -> Json:
    told = {_JSON: {"schema": schema}, **({"application/octet-stream": {}} if is_binary else {})}
    given: Json = {"200": {"description": _WORDS[200], "content": told}}
    for status in statuses:
        given[str(status)] = {"description": _WORDS[status], "content": {_JSON: {"schema": error}}}
    is_scoring = statuses is _SCORING
    if is_scoring:
        # MLflow's own sentence is no JSON, whatever its type says.
        given["504"] = {"description": _WORDS[504], "content": {_JSON: {}}}
        is_mlflow = error is _MLFLOW
        given["415"] = {
            "description": _WORDS[415],
            "content": {_TEXT: {}, _JSON: {}} if is_mlflow else {_JSON: {"schema": error}},
        }
    return given  # fmt: skip


def _paths_of_names(names: list[str]) -> Json:
    """What is asked of any model, by its name in the path."""
    name = {**_NAMED, "schema": {"type": "string", **({"enum": names} if names else {})}}
    return {
        "/models/{name}/ready": _get("models", "Whether the model answers", _EMPTY, _MLFLOW, name, more={503: _EMPTY}),
        "/v2/models/{name}": _get("models", "The model's metadata", _json_of({"type": "object"}), _V2, name),
        "/v2/models/{name}/ready": _get(
            "models", "Whether the model answers", _json_of(_READY), _V2, name, more={503: {_JSON: {}}}
        ),
        "/v1/models/{name}": _get(
            "models", "Whether the model answers", _json_of(_READY), _V2, name, more={503: {_JSON: {}}}
        ),
    }


def _json_of(schema: Json) -> Json:
    return {_JSON: {"schema": schema}}


def _get(
    tag: str, summary: str, content: Json, error: Json | None, *parameters: Json, more: Mapping[int, Json] | None = None
) -> Json:
    responses: Json = {"200": {"description": "It is so.", "content": content}}
    for status in (401, 403, 429) if error is not None else ():
        responses[str(status)] = {"description": _WORDS[status], "content": {_JSON: {}}}
    if parameters and error is not None:
        responses["404"] = {"description": _WORDS[404], "content": {_JSON: {"schema": error}}}
        responses["503"] = {"description": _WORDS[503], "content": {_JSON: {"schema": error}}}
    for status, given in (more or {}).items():
        responses[str(status)] = {"description": _WORDS[status], "content": given}
    operation: Json = {"tags": [tag], "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation, "head": {**operation, "summary": f"{summary}: the head alone"}}


_EMPTY: Json = {_JSON: {}}
_READY: Json = {
    "type": "object",
    "required": ["name", "ready"],
    "properties": {"name": {"type": "string"}, "ready": {"type": "boolean"}},
}
_NAMES: Json = {
    "type": "object",
    "required": ["models"],
    "properties": {"models": {"type": "array", "items": {"type": "string"}}},
}
_OBJECT: Json = {"type": "object"}
_PATHS_OF_SERVER: Json = {
    **{path: _get("server", "Whether requests can be answered", _EMPTY, None, more={503: _EMPTY}) for path in
       ("/ping", "/health", "/readyz")},
    "/livez": _get("server", "Whether a gateway runs", _EMPTY, None),
    "/version": _get("server", "podium's version", {_JSON: {}}, _MLFLOW),
    "/status": _get("server", "What runs, and how it is", _json_of(_OBJECT), _MLFLOW),
    "/metrics": _get("server", "Prometheus' page", {_METRICS: {"schema": {"type": "string"}}}, _MLFLOW),
    "/openapi.json": _get("server", "This document", _json_of(_OBJECT), _MLFLOW, more={503: _EMPTY}),
    "/docs": _get("server", "This document, to be read", {"text/html; charset=utf-8": {}}, _MLFLOW, more={503: _EMPTY}),
    "/v2": _get("server", "The server's metadata", _json_of(_OBJECT), _V2),
    "/v2/health/live": _get("server", "Whether a gateway runs", _json_of(_OBJECT), None),
    "/v2/health/ready": _get("server", "Whether requests can be answered", _json_of(_OBJECT), None, more={503: _EMPTY}),
    "/v2/models": _get("server", "The models' names", _json_of(_NAMES), _V2),
    "/v1/models": _get("server", "The models' names", _json_of(_NAMES), _V2),
}  # fmt: skip


def _escaped(name: str) -> str:
    """A name as a path has it. Names are letters, digits, `_`, `-` and `.`, whoever gave them; this asks nobody."""
    return "".join(
        c if c.isalnum() and c.isascii() else c if c in "_-." else "".join(f"%{b:02X}" for b in c.encode()) for c in name
    )
