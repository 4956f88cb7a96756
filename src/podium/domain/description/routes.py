"""What is asked of any model by its name, and of the server as a whole, for the document of its API."""

from collections.abc import Mapping, Sequence

from podium.domain.description.answers import EMPTY, JSON, MLFLOW, V2, WORDS, Json, json_of, page

_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_CODE: Json = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_DETAIL: Json = {"$ref": "#/components/schemas/Detail"}
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
_RESULTS = ("matched", "duplicate", "unmatched", "late", "invalid", "full")
_COUNTS: Json = {
    "type": "object",
    "required": [*_RESULTS, "items"],
    "properties": {**{result: {"type": "integer"} for result in _RESULTS}, "items": {"type": "array", "items": _OBJECT}},
}
_ID: Json = {"type": "string", "minLength": 1, "maxLength": 128}
_REWARD: Json = {"type": "number", "minimum": 0, "maximum": 1}
_OF_LABEL: Json = {
    "row": {"type": ["integer", "null"], "minimum": 0, "maximum": 99_999},
    "weight": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1_000_000},
    "at": {"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 100_000_000_000},
}
# The label under each of its names, of which a report has one.
_REPORT: Json = {
    "anyOf": [
        {
            "type": "object",
            "required": ["request_id", "reward"],
            "properties": {"request_id": _ID, "reward": _REWARD, name: {}, **_OF_LABEL},
            "additionalProperties": False,
        }
        for name in ("label", "ground_truth", "actual")
    ]
}
_LIST: Json = {"type": "array", "items": _REPORT}
_ITEMS: Json = {"type": "object", "required": ["items"], "properties": {"items": _LIST}, "additionalProperties": False}
_REPORTS: Json = {"anyOf": [_REPORT, _LIST, _ITEMS]}
# Of the URIs that are taken, those that a registered version has.
_URI: Json = {"type": "string", "pattern": "^models:/[A-Za-z0-9_-]{1,64}/([1-9][0-9]{0,6}|production|staging|latest)$"}
_ADDRESS: Json = {
    "type": "object",
    "required": ["model_name", "url"],
    "properties": {"model_name": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"}, "url": _URI},
}
_PLACE: Json = {
    "type": "object",
    "properties": {
        "parameters": {"type": "object", "properties": {"uri": {"anyOf": [{"type": "null"}, _URI]}}},
    },
}
_ENTRIES: Json = {"type": "array", "items": {"type": "object", "required": ["name", "state"]}}


def paths_of_names(names: Sequence[str], versions: Sequence[str]) -> Json:
    """What is asked of any model, by its name in the path.

    Args:
        names: Of all models.
        versions: That serve now, of any of them.
    """
    schema: Json = {"type": "string", **({"enum": list(names)} if names else {})}
    name: Json = {"name": "name", "in": "path", "required": True, "schema": schema}
    answers = "Whether the model answers"
    late: Mapping[int, Json] = {503: {JSON: {}}}
    version: Json = {
        "name": "version",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(versions) or ["1"]},
    }
    return {
        "/models/{name}/ready": page("models", answers, EMPTY, MLFLOW, name, more={503: EMPTY}),
        "/models/{name}/feedback": {
            "post": _asked(
                "models", "Say what answers were worth", _COUNTS, _DETAIL, (404, 413, 503), name,
                body=_REPORTS, more={400: {JSON: {"schema": {"anyOf": [_COUNTS, _DETAIL]}}}},
            )
        },
        "/models/{name}": {
            "get": _asked("models", "The model, if it is loaded", _OBJECT, _CODE, (404, 503), name),
            "delete": _asked("models", "Unload the model", _OBJECT, _CODE, (400, 404, 409, 503), name),
        },
        "/v2/models/{name}": page("models", "The model's metadata", json_of(_OBJECT), V2, name),
        "/v2/models/{name}/versions/{version}": page(
            "models", "The metadata of a version that serves", json_of(_OBJECT), V2, name, version
        ),
        "/v2/models/{name}/ready": page("models", answers, json_of(_READY), V2, name, more=late),
        "/v2/models/{name}/versions/{version}/ready": page(
            "models", "Whether this version answers", json_of(_READY), V2, name, version, more=late
        ),
        "/v2/repository/models/{name}/load": {
            "post": _asked(
                "models", "Load the model, or another under its name", _OBJECT, V2, (400, 404, 409, 500, 503, 507), name,
                body=_PLACE, is_required=False,
            )
        },
        "/v2/repository/models/{name}/unload": {
            "post": _asked(
                "models", "Unload the model", _OBJECT, V2, (400, 404, 409, 503), name, body=_PLACE, is_required=False
            )
        },
        "/v1/models/{name}": page("models", answers, json_of(_READY), V2, name, more=late),
    }  # fmt: skip


def paths_of_server() -> Json:
    """What is asked of the server as a whole."""
    return {
        **_PAGES,
        "/models": {
            "get": _asked("server", "The models that are loaded, as SageMaker lists them", _OBJECT, _CODE, (503,)),
            "post": _asked(
                "server", "Load a model, as SageMaker does", _OBJECT, _CODE, (400, 404, 409, 500, 503, 507), body=_ADDRESS
            ),
        },
        "/execution-parameters": page("server", "What a batch transform may send", json_of(_OBJECT), MLFLOW),
        "/v2/repository/index": {
            "post": _asked(
                "server", "The models that there are, and how they are", _ENTRIES, V2, (400, 503),
                body={"type": "object", "properties": {"ready": {"type": "boolean"}}}, is_required=False,
            )
        },
    }  # fmt: skip


def _asked(
    tag: str,
    summary: str,
    answer: Json,
    error: Json,
    statuses: tuple[int, ...],
    *parameters: Json,
    body: Json | None = None,
    is_required: bool = True,
    more: Mapping[int, Json] | None = None,
) -> Json:
    """An operation with one answer and an error for each status; 401, 403 and 429 are the guard's."""
    responses: Json = {"200": {"description": "It is done.", "content": json_of(answer)}}
    for status in (401, 403, 429):
        responses[str(status)] = {"description": WORDS[status], "content": {JSON: {}}}
    for status in statuses:
        responses[str(status)] = {"description": WORDS[status], "content": json_of(error)}
    for status, content in (more or {}).items():
        responses[str(status)] = {"description": WORDS[status], "content": content}
    operation: Json = {"tags": [tag], "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": is_required, "content": json_of(body)}
    return operation


_PAGES: Json = {
    **{path: page("server", "Whether requests can be answered", EMPTY, None, more={503: EMPTY}) for path in
       ("/ping", "/health", "/readyz")},
    "/": page("server", "Whether a gateway runs, as KServe's V1 clients ask", json_of(_OBJECT), None),
    "/livez": page("server", "Whether a gateway runs", EMPTY, None),
    "/version": page("server", "podium's version", {JSON: {}}, MLFLOW),
    "/status": page("server", "What runs, and how it is", json_of(_OBJECT), MLFLOW),
    "/metrics": page("server", "Prometheus' page", {_METRICS: {"schema": {"type": "string"}}}, MLFLOW),
    "/openapi.json": page("server", "This document", json_of(_OBJECT), MLFLOW, more={503: EMPTY}),
    "/docs": page("server", "This document, to be read", {"text/html; charset=utf-8": {}}, MLFLOW, more={503: EMPTY}),
    **{path: page("server", "The server's metadata", json_of(_OBJECT), V2) for path in ("/v2", "/v2/")},
    "/v2/health/live": page("server", "Whether a gateway runs", json_of(_OBJECT), None),
    "/v2/health/ready": page("server", "Whether requests can be answered", json_of(_OBJECT), None, more={503: EMPTY}),
    "/v2/models": page("server", "The models' names", json_of(_NAMES), V2),
    "/v1/models": page("server", "The models' names", json_of(_NAMES), V2),
}  # fmt: skip
