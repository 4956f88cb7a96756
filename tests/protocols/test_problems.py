"""Which status and body an error is answered with."""

import json
from typing import Any

import pytest

from podium import errors
from podium.protocols.mlflow.problems import problem


def failed(cause: BaseException) -> errors.PredictFailed:
    try:
        raise errors.PredictFailed("Encountered an unexpected error.") from cause
    except errors.PredictFailed as error:
        return error


@pytest.mark.parametrize(
    ("error", "status", "code", "error_class"),
    [
        (errors.MalformedBody("m"), 400, "BAD_REQUEST", "INVALID_PARAMETER_VALUE"),
        (errors.SchemaMismatch("m"), 400, "INVALID_PARAMETER_VALUE", "SCHEMA_ENFORCEMENT_FAILED"),
        (errors.HintMismatch("m"), 400, "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE"),
        (errors.InvalidParams("m"), 400, "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE"),
        (errors.InvalidInput("m"), 400, "INVALID_PARAMETER_VALUE", "INVALID_PARAMETER_VALUE"),
        (failed(ValueError("m")), 400, "BAD_REQUEST", "INVALID_PARAMETER_VALUE"),
        (errors.BodyTooLarge(1000), 413, "REQUEST_TOO_LARGE", "INVALID_PARAMETER_VALUE"),
        (errors.NotFound("m"), 404, "RESOURCE_DOES_NOT_EXIST", "RESOURCE_NOT_FOUND"),
        (errors.Overloaded("m", 2), 429, "REQUEST_LIMIT_EXCEEDED", "CP_REQUEST_RATE_LIMITED"),
        (errors.Unavailable("m", 3), 503, "TEMPORARILY_UNAVAILABLE", "CP_TEMPORARILY_UNAVAILABLE"),
        (errors.WorkerCrashed("m"), 500, "INTERNAL_ERROR", "CLIENT_INTERNAL_ERROR"),
        (errors.UnencodableOutput("m"), 500, "INTERNAL_ERROR", "CLIENT_INTERNAL_ERROR"),
        (errors.MissingDependency("pandas", "A CSV request", "pandas"), 500, "INTERNAL_ERROR", "CLIENT_INTERNAL_ERROR"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_error_has_its_status_and_mlflows_shape(error: Any, status: int, code: str, error_class: str) -> None:
    """The four fields of MLflow's bodies, and the message in the error's own words."""
    answer = problem(error)

    body = json.loads(answer.body)
    assert (status, "application/json", code, error_class) == (
        answer.status,
        answer.content_type,
        body["error_code"],
        body["error_class"],
    )
    assert list(body) == ["error_code", "message", "sqlstate", "error_class"]
    assert error.message in body["message"]


def test_only_refusals_for_want_of_room_say_when_to_come_back() -> None:
    """Their Retry-After is the error's."""
    assert problem(errors.Overloaded("m", 2)).retry_after_s == 2
    assert problem(errors.Unavailable("m", 3)).retry_after_s == 3
    assert None is problem(errors.WorkerCrashed("m")).retry_after_s


def test_a_content_type_that_nobody_reads_is_answered_in_plain_text() -> None:
    """As MLflow does."""
    answer = problem(errors.UnsupportedContentType("The scoring server only supports UTF-8"))

    assert (
        answer.status,
        answer.content_type,
        answer.body,
    ) == (415, "text/plain; charset=utf-8", b"The scoring server only supports UTF-8")


def test_a_timeout_is_answered_with_mlflows_bytes() -> None:
    """Though they are no JSON."""
    answer = problem(errors.DeadlineExceeded("m"))

    assert (answer.status, answer.body) == (504, b"Request processing time exceeded limit")


@pytest.mark.parametrize("error", [failed(ValueError("a secret")), ValueError("a secret"), errors.ModelError("a secret")])
def test_what_an_exception_says_stays_in_the_log(error: Exception) -> None:
    """The request's id is how the client's report finds it there."""
    body = problem(error, request_id="r-1").body

    assert b"secret" not in body
    assert json.loads(body)["request_id"] == "r-1"


class LikeMlflows(Exception):
    error_code = "RESOURCE_DOES_NOT_EXIST"
    message = "no such customer"

    def get_http_status_code(self) -> int:
        return 404


def test_an_exception_of_mlflows_kind_keeps_its_status_and_words() -> None:
    """Models raise it to answer their clients."""
    answer = problem(failed(LikeMlflows()))

    body = json.loads(answer.body)
    assert (answer.status, body["error_code"], body["error_class"]) == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
        "RESOURCE_NOT_FOUND",
    )
    assert body["message"] == "Failed to predict data. \nError: no such customer"
