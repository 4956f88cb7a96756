"""Unified request bodies: those of chat, completion and embedding models, which have no envelope round their data.

A body with one of these names at its top is the model's input as it stands, its params beside it, and is answered with
the prediction alone; every other body names an input form (`inputs`, `dataframe_split`, ...), and has `predictions` back.
"""

from typing import Any

FIELDS = ("messages", "prompt", "input")


def is_unified(body: Any) -> bool:
    """Whether a JSON value is such a body, as a request or as a model's example."""
    return isinstance(body, dict) and any(name in body for name in FIELDS)
