"""What a worker writes down: one JSON line for each event, on standard error, which the supervisor keeps in a file."""

import contextlib
import json
import os
import time
import traceback

_STDERR = 2
_MOST = 64 * 1024


def log_event(event: str, **facts: object) -> None:
    """Write `{"time": ..., "event": ..., facts}` as one line; never raises, for nobody would hear it.

    Straight to the descriptor, in one call: models replace `sys.stderr`, and lines of two threads must not mix.
    """
    entry = {"time": round(time.time(), 3), "event": event, **facts}
    line = json.dumps(entry, default=str, ensure_ascii=True)
    with contextlib.suppress(OSError):
        os.write(_STDERR, line.encode("ascii") + b"\n")


def traceback_of(error: BaseException) -> str:
    """The whole traceback with causes; its middle is left out beyond 64 KiB."""
    text = "".join(traceback.format_exception(error))
    if len(text) <= _MOST:
        return text
    return f"{text[: _MOST // 2]}\n... {len(text) - _MOST} characters left out ...\n{text[-_MOST // 2 :]}"
