"""What a worker writes down: one JSON line for each event, on standard error, which the supervisor keeps in a file."""

import contextlib
import json
import os
import time
import traceback
import warnings

_STDERR = 2
_MOST = 64 * 1024
_MOST_WARNINGS = 200


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


def warn_once() -> None:
    """Write each different Python warning down once, the first 200 of them.

    Python's own once-per-line rule does not hold: whoever enters `warnings.catch_warnings`, as scikit-learn does in every
    prediction, makes it forget, and one line for every request fills any log.
    """
    seen: set[tuple[str, str]] = set()

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        entry = (category.__name__, str(message)[:2000])
        if entry not in seen and len(seen) < _MOST_WARNINGS:
            seen.add(entry)
            log_event("warning", category=entry[0], message=entry[1])

    warnings.showwarning = show  # type: ignore[assignment]
