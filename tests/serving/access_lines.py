"""The access log of a gateway that is still writing it."""

import json
from pathlib import Path
from typing import Any


def whole_lines(log: Path) -> list[dict[str, Any]]:
    """The lines that were written to their end; none where there is no file yet."""
    text = log.read_text() if log.exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
