"""What goes wrong, in the words of the Open Inference Protocol: a status and `{"error": text}`, whoever said it first."""

from typing import Any

import msgspec

_PREFIX = "Failed to predict data. \nError: "
"""What MLflow's clients look for in a message, and nobody else."""


_MOST_TEXT = 2000


def error_body(text: str) -> bytes:
    """The body for a sentence; of what a client sent as a name it does not repeat whatever length that has."""
    return msgspec.json.encode({"error": _bounded(text)})


def speaks(path: str) -> bool:
    """Whether who asks for this path expects the protocol's errors: V2's clients, and KServe's of V1."""
    return path.startswith(("/v2/", "/v1/")) or path == "/v2"


def as_error(body: bytes | memoryview) -> bytes:
    """The same problem as `{"error": text}`.

    Args:
        body: MLflow's `{"error_code", "message"}`, a `{"detail"}`, plain text, or one that is right already.
    """
    try:
        told: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return error_body(str(body, "utf-8", "replace").strip() or "The request could not be answered.")
    text = told.get("error") or told.get("message") or told.get("detail")
    if text is None and told:
        return bytes(body)  # a page's own document, such as that a model is not ready
    named = {"request_id": told["request_id"]} if isinstance(told.get("request_id"), str) else {}
    told_text = str(text or "The request could not be answered.").removeprefix(_PREFIX)
    return msgspec.json.encode({"error": _bounded(told_text), **named})


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} …"
