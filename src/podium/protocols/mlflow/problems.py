"""The one place where an error becomes a status and a body, in MLflow's shape; for workers and gateways alike.

A body never holds the request's data, the text of an exception that podium did not raise, or a traceback: those are in
the log, under the request's id. An exception of MLflow's own kind is the exception: its text is written for clients.
"""

import json
from dataclasses import dataclass
from typing import Any

from podium import errors
from podium.domain.error_codes import STATUSES

_JSON = "application/json"

# A code that is not listed has no class, and its body neither class nor sqlstate.
_CLASSES = {
    "INTERNAL_ERROR": "CLIENT_INTERNAL_ERROR",
    "INVALID_STATE": "CLIENT_INTERNAL_ERROR",
    "TEMPORARILY_UNAVAILABLE": "CLIENT_INTERNAL_ERROR",
    "BAD_REQUEST": "INVALID_PARAMETER_VALUE",
    "INVALID_PARAMETER_VALUE": "INVALID_PARAMETER_VALUE",
    "REQUEST_TOO_LARGE": "INVALID_PARAMETER_VALUE",
    "CUSTOMER_UNAUTHORIZED": "PERMISSION_DENIED",
    "PERMISSION_DENIED": "PERMISSION_DENIED",
    "ENDPOINT_NOT_FOUND": "RESOURCE_NOT_FOUND",
    "NOT_FOUND": "RESOURCE_NOT_FOUND",
    "RESOURCE_DOES_NOT_EXIST": "RESOURCE_NOT_FOUND",
    "RESOURCE_ALREADY_EXISTS": "RESOURCE_ALREADY_EXISTS",
}
_SQLSTATES = {
    "SCHEMA_ENFORCEMENT_FAILED": "KAM01",
    "CLIENT_INTERNAL_ERROR": "XXM00",
    "CP_REQUEST_RATE_LIMITED": "KAMC3",
    "CP_TEMPORARILY_UNAVAILABLE": "XXMC1",
}
_USER_ERROR = "KAM00"
_INTERNAL = "Internal Server Error"


@dataclass(frozen=True, slots=True)
class Problem:
    """A response for an error. `retry_after_s` belongs into a Retry-After header, rounded up."""

    status: int
    content_type: str
    body: bytes
    retry_after_s: float | None = None


def problem(error: BaseException, request_id: str | None = None) -> Problem:
    """The response that an error is answered with.

    Args:
        error: Any; one that podium does not know is a 500 that says nothing of it.
        request_id: Put into JSON bodies as `request_id`, by which the log has the rest.
    """
    match error:
        case errors.UnsupportedContentType():
            return Problem(415, "text/plain; charset=utf-8", error.message.encode())
        case errors.DeadlineExceeded():
            # MLflow's own body and type for a timeout, though it is no JSON: clients compare it.
            return Problem(504, _JSON, b"Request processing time exceeded limit")
        case errors.InvalidParams() | errors.HintMismatch():
            return _problem("INVALID_PARAMETER_VALUE", f"Failed to predict data. \nError: {error.message}", request_id)
        case errors.SchemaMismatch():
            message = f"Failed to predict data. \nError: {error.message}"
            return _problem("INVALID_PARAMETER_VALUE", message, request_id, error_class="SCHEMA_ENFORCEMENT_FAILED")
        case errors.PredictFailed():
            return _predict_failed(error, request_id)
        case errors.Overloaded():
            return _problem(
                error.code, error.message, request_id, "CP_REQUEST_RATE_LIMITED", retry_after_s=error.retry_after_s
            )
        case errors.Unavailable():
            return _problem(
                error.code, error.message, request_id, "CP_TEMPORARILY_UNAVAILABLE", retry_after_s=error.retry_after_s
            )
        case errors.InvalidInput() | errors.NotFound() | errors.AlreadyExists() | errors.OutOfDeviceMemory():
            return _problem(error.code, error.message, request_id)
        case errors.Unauthenticated() | errors.PermissionDenied():
            return _problem(error.code, error.message, request_id)
        case errors.UnencodableOutput() | errors.WorkerCrashed() | errors.MissingDependency():
            return _problem("INTERNAL_ERROR", error.message, request_id)
        case _:
            return _problem("INTERNAL_ERROR", _INTERNAL, request_id)


def _predict_failed(error: errors.PredictFailed, request_id: str | None) -> Problem:
    cause = error.__cause__
    code = getattr(cause, "error_code", None)
    if not isinstance(code, str) or not callable(getattr(cause, "get_http_status_code", None)):
        return _problem("BAD_REQUEST", error.message, request_id)
    message = f"Failed to predict data. \nError: {getattr(cause, 'message', '')}"
    return _problem(code, message, request_id, error_class=_text(cause, "error_class"), sqlstate=_text(cause, "sqlstate"))


def _text(cause: Any, name: str) -> str | None:
    value = getattr(cause, name, None)
    # MLflow's are members of str enumerations; their value is what it writes.
    value = getattr(value, "value", value)
    return value if isinstance(value, str) else None


def _problem(
    code: str,
    message: str,
    request_id: str | None,
    error_class: str | None = None,
    sqlstate: str | None = None,
    retry_after_s: float | None = None,
) -> Problem:
    status = STATUSES.get(code, 500)
    error_class = error_class or _CLASSES.get(code)
    body = {"error_code": code, "message": message}
    if error_class is not None:
        body |= {"sqlstate": sqlstate or _SQLSTATES.get(error_class, _USER_ERROR), "error_class": error_class}
    if request_id is not None:
        body["request_id"] = request_id
    return Problem(status, _JSON, json.dumps(body).encode(), retry_after_s)
