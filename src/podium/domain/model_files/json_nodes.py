"""Objects within JSON that a file brings, however deep; no recursion, for the file is not trusted."""

from collections.abc import Iterator, Mapping
from typing import Any


def nodes_with(key: str, part: Any) -> Iterator[Mapping[str, Any]]:
    """All objects that have this key, at any depth."""
    pending = [part]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if key in part:
                yield part
            pending.extend(part.values())
        elif isinstance(part, list):
            pending.extend(part)
