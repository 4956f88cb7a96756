"""What answers hold and what each status means, for the document of a server's API."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

JSON, TEXT, CSV, PARQUET = "application/json", "text/plain; charset=utf-8", "text/csv", "application/vnd.apache.parquet"
EVENTS = "text/event-stream"
WORDS = {
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
SCORING = (400, 401, 403, 404, 413, 429, 500, 503)
ERROR: Json = {
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
DETAIL: Json = {"type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}}}
PROBLEM: Json = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
MLFLOW: Json = {"oneOf": [{"$ref": "#/components/schemas/Error"}, {"$ref": "#/components/schemas/Detail"}]}
V2: Json = {"$ref": "#/components/schemas/Problem"}
EMPTY: Json = {JSON: {}}


def responses_of(schema: Json, statuses: tuple[int, ...], error: Json, *, is_binary: bool = False) -> Json:
    """The responses of an operation.

    Args:
        schema: Of the answer with 200.
        statuses: That it has besides; with `SCORING` come 415 and 504, whose bodies are others.
        error: The schema of their bodies.
        is_binary: The answer may also come as bytes.
    """
    told = {JSON: {"schema": schema}, **({"application/octet-stream": {}} if is_binary else {})}
    given: Json = {"200": {"description": WORDS[200], "content": told}}
    for status in statuses:
        given[str(status)] = {"description": WORDS[status], "content": {JSON: {"schema": error}}}
    is_scoring = statuses is SCORING
    if is_scoring:
        # MLflow's own sentence is no JSON, whatever its type says.
        given["504"] = {"description": WORDS[504], "content": {JSON: {}}}
        is_mlflow = error is MLFLOW
        given["415"] = {
            "description": WORDS[415],
            "content": {TEXT: {}, JSON: {}} if is_mlflow else {JSON: {"schema": error}},
        }
    return given


def json_of(schema: Json) -> Json:
    """Content that is JSON of this schema."""
    return {JSON: {"schema": schema}}


def page(
    tag: str, summary: str, content: Json, error: Json | None, *parameters: Json, more: Mapping[int, Json] | None = None
) -> Json:
    """A page with GET and HEAD.

    Args:
        tag: Under which it stands.
        summary: In a few words.
        content: Of the answer with 200.
        error: The schema of errors; None where everybody may ask it, always.
        parameters: Of its path; one that names a model may name one that there is not.
        more: Further statuses and their content.
    """
    responses: Json = {"200": {"description": "It is so.", "content": content}}
    for status in (401, 403, 429) if error is not None else ():
        responses[str(status)] = {"description": WORDS[status], "content": {JSON: {}}}
    if parameters and error is not None:
        responses["404"] = {"description": WORDS[404], "content": {JSON: {"schema": error}}}
        responses["503"] = {"description": WORDS[503], "content": {JSON: {"schema": error}}}
    for status, given in (more or {}).items():
        responses[str(status)] = {"description": WORDS[status], "content": given}
    operation: Json = {"tags": [tag], "summary": summary, "responses": responses}
    if error is None:
        operation["security"] = []
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation, "head": {**operation, "summary": f"{summary}: the head alone"}}
