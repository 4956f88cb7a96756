"""Telling people what they should know while their call goes on: a warning that points at their own line."""

import sys
import warnings
from pathlib import Path

_PODIUM = f"{Path(__file__).resolve().parents[1]}/"


def note(message: str) -> None:
    """Warn, as if the first line outside of podium had: Python shows that line, and once for each."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PODIUM):
        frame = frame.f_back
        level += 1
    warnings.warn(message, UserWarning, stacklevel=level)
