"""What each path needs before it is answered. A path that stands in no line here needs the scope `admin`.

Whoever adds a path adds its line. `{name}` in a path is the endpoint that the need is for; a path of a model without it is
for the default one.
"""

from collections.abc import Mapping

from podium.domain.clients.access import Need

NEEDS: Mapping[str, Need | Mapping[str, Need]] = {
    # Whether it lives and takes traffic: orchestrators and balancers ask, and have no key.
    "/": Need.OPEN,
    "/ping": Need.OPEN,
    "/health": Need.OPEN,
    "/livez": Need.OPEN,
    "/readyz": Need.OPEN,
    "/v2/health/live": Need.OPEN,
    "/v2/health/ready": Need.OPEN,
    # The server as a whole.
    "/version": Need.KNOWN,
    "/v2": Need.KNOWN,
    "/v2/": Need.KNOWN,
    "/execution-parameters": Need.KNOWN,
    "/status": Need.READ,
    "/metrics": Need.READ,
    "/docs": Need.READ,
    "/openapi.json": Need.READ,
    "/v2/models": Need.READ,
    "/v2/repository/index": Need.READ,
    "/v1/models": Need.READ,
    "/models": {"GET": Need.READ, "HEAD": Need.READ},
    # One model.
    "/models/{name}": {"GET": Need.DESCRIBE, "HEAD": Need.DESCRIBE},
    "/models/{name}/ready": Need.DESCRIBE,
    "/v1/models/{name}": Need.DESCRIBE,
    "/v2/models/{name}": Need.DESCRIBE,
    "/v2/models/{name}/ready": Need.DESCRIBE,
    "/v2/models/{name}/versions/{version}": Need.DESCRIBE,
    "/v2/models/{name}/versions/{version}/ready": Need.DESCRIBE,
    # What answers were worth: whoever may ask a model may say it, and so move traffic.
    "/models/{name}/feedback": Need.SCORE,
    # Predictions.
    "/invocations": Need.SCORE,
    "/models/{name}/invocations": Need.SCORE,
    "/endpoints/{name}/invocations": Need.SCORE,
    "/models/{name}/invoke": Need.SCORE,
    "/v1/models/{name}:predict": Need.SCORE,
    "/v2/models/{name}/infer": Need.SCORE,
    "/v2/models/{name}/versions/{version}/infer": Need.SCORE,
    "/v2/models/{name}/generate": Need.SCORE,
    "/v2/models/{name}/generate_stream": Need.SCORE,
    "/v2/models/{name}/versions/{version}/generate": Need.SCORE,
    "/v2/models/{name}/versions/{version}/generate_stream": Need.SCORE,
    "/v2/models/{name}/infer_stream": Need.SCORE,
    "/v2/models/{name}/versions/{version}/infer_stream": Need.SCORE,
}

SWITCHED = {"version": "/version", "status": "/status", "metrics": "/metrics", "docs": "/docs", "openapi": "/openapi.json"}
"""Pages that a setting opens to everybody, by the word for each."""


METHOD_NEEDS: Mapping[str, Need] = {
    "ServerLive": Need.OPEN,
    "ServerReady": Need.OPEN,
    "ServerMetadata": Need.KNOWN,
    "ModelReady": Need.DESCRIBE,
    "ModelMetadata": Need.DESCRIBE,
    "ModelInfer": Need.SCORE,
    "ModelStreamInfer": Need.SCORE,
    "RepositoryIndex": Need.READ,
    "RepositoryModelLoad": Need.ADMIN,
    "RepositoryModelUnload": Need.ADMIN,
}
"""What each method needs, as its path does over HTTP."""
METHODS_PREFIX = "/inference.GRPCInferenceService/"


def need_of(method: str, path: str, opened: frozenset[str] = frozenset()) -> Need:
    """What a request needs.

    Args:
        method: Of the request.
        path: The route that was found for it, as the table has it: not what the client wrote.
        opened: Words of `SWITCHED`.
    """
    if any(SWITCHED[word] == path for word in opened):
        return Need.OPEN
    found = NEEDS.get(path, Need.ADMIN)
    return found if isinstance(found, Need) else found.get(method, Need.ADMIN)
