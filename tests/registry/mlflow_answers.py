"""What an MLflow server answers, and how a server fails, in tests."""

import json
import os

from hosts import Handler, Host

from podium.settings.mlflow import MlflowSettings


def answered(value: object, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def settings_of(host: Host) -> MlflowSettings:
    """With time enough for a busy machine; a look at the registry itself is given up after 5 s whatever is said here."""
    return MlflowSettings(host.url, None, "a test", timeout_s=60.0, retries=0)


def hang(handler: Handler) -> None:
    handler.host.over.wait(60)


FAILURES = {
    "500": (500, {}, b""),
    "500 that says it is absent": answered({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"}, 500),
    "503": (503, {"Retry-After": "1"}, b"busy"),
    "401": answered({"error_code": "UNAUTHENTICATED", "message": "who?"}, 401),
    "403": (403, {}, b"no"),
    "a 404 of some other server": (404, {}, b"<html>Not Found</html>"),
    "a page": (200, {"Content-Type": "text/html"}, b"<html>Log in</html>"),
    "nothing at all": (200, {}, b""),
    "an empty object": answered({}),
    "a list": answered([]),
    "null": answered(None),
    "a version without a number": answered({"model_versions": [{"name": "fraud"}], "model_version": {}}),
    "numbers of no sense": answered({"model_versions": [{"version": "9" * 5000, "name": "fraud"}]}),
    "JSON without end": (200, {}, b"[" * 100_000),
    "noise": lambda handler: handler.raw(os.urandom(500)),
    "a closed connection": lambda handler: handler.raw(),
    "half an answer": lambda handler: handler.raw(b'HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{"model_ver'),
    "a redirect": (302, {"Location": "/login"}, b""),
    "no answer": hang,
}
