"""Whether a booster's file is whole: LightGBM and XGBoost end the process on some files that were cut off."""

import mmap
import re
from pathlib import Path

from podium.errors import InvalidModel

_SIZES = {b"Z": 0, b"T": 0, b"F": 0, b"i": 1, b"U": 1, b"C": 1, b"I": 2, b"l": 4, b"d": 4, b"L": 8, b"D": 8}
_DEEPEST = 100


def check_lightgbm(path: Path) -> None:
    """See that each tree stands where a LightGBM text says, and that its parameters end.

    LightGBM reads trees in several threads, where an error ends the process (signal 6); since version 2.1 the head says
    how long each tree is.

    Raises:
        InvalidModel: Something is missing.
    """
    doubt = _lightgbm_doubt(_content(path))
    if doubt is not None:
        raise InvalidModel(f"{path} is damaged or no LightGBM model ({doubt}). {_WAY_OUT}")


def check_xgboost(path: Path) -> None:
    """See that a file in Universal Binary JSON has all that its lengths announce: XGBoost reads on behind its end.

    Raises:
        InvalidModel: It ends too early. Files in other formats are left to XGBoost.
    """
    content = _content(path)
    if content[:1] != b"{" or content[1:2] not in {*_SIZES, b"}", b"$", b"#"}:
        return
    try:
        _past(content, 1, b"{", 0)
    except _EndedError:
        raise InvalidModel(f"{path} is damaged: it ends before what it announces. {_WAY_OUT}") from None
    except _UnknownError:
        return


_WAY_OUT = "Copy the model's folder anew, or save it again."


class _EndedError(Exception):
    """The file ends inside of a value."""


class _UnknownError(Exception):
    """Nothing that is known here: XGBoost may know it."""


def _content(path: Path) -> "bytes | mmap.mmap":
    """The file, without reading it: models may be large."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def _lightgbm_doubt(content: "bytes | mmap.mmap") -> str | None:
    first = re.search(rb"(?m)^Tree=", content)
    if first is None:
        return "it has no tree"
    sizes = re.search(rb"(?m)^tree_sizes=([\d ]*)", content[: first.start()])
    place = first.start()
    for number, size in enumerate(sizes[1].split() if sizes else ()):
        if content[place : place + 5] != b"Tree=":
            return f"tree {number} is not where its head says"
        place += int(size)
    if place > len(content):
        return "it ends inside of a tree"
    has_parameters = re.compile(rb"(?m)^parameters:").search(content, place)
    if has_parameters and not re.compile(rb"(?m)^end of parameters").search(content, has_parameters.end()):
        return "it ends inside of its parameters"
    return None


def _past(content: "bytes | mmap.mmap", at: int, kind: bytes, depth: int) -> int:
    """Where a value that begins at `at`, behind its marker, ends."""
    if depth > _DEEPEST:
        raise _UnknownError
    if kind == b"{":
        while (marker := _byte(content, at)) != b"}":
            at = _past_text(content, at)
            marker = _byte(content, at)
            at = _past(content, at + 1, marker, depth + 1)
        return at + 1
    if kind == b"[":
        return _past_list(content, at, depth)
    if kind == b"S":
        return _past_text(content, at)
    if kind not in _SIZES:
        raise _UnknownError
    return _within(content, at + _SIZES[kind])


def _past_list(content: "bytes | mmap.mmap", at: int, depth: int) -> int:
    same = b""
    if _byte(content, at) == b"$":
        same, at = _byte(content, at + 1), at + 2
    if _byte(content, at) != b"#":
        while (marker := _byte(content, at)) != b"]":
            at = _past(content, at + 1, marker, depth + 1)
        return at + 1
    count, at = _whole_number(content, at + 1)
    if same in _SIZES:
        return _within(content, at + count * _SIZES[same])
    for _ in range(count):
        at = _past(content, at, same, depth + 1) if same else _past(content, at + 1, _byte(content, at), depth + 1)
    return at


def _past_text(content: "bytes | mmap.mmap", at: int) -> int:
    size, at = _whole_number(content, at)
    return _within(content, at + size)


def _whole_number(content: "bytes | mmap.mmap", at: int) -> tuple[int, int]:
    kind = _byte(content, at)
    if kind not in {b"i", b"U", b"I", b"l", b"L"}:
        raise _UnknownError
    end = _within(content, at + 1 + _SIZES[kind])
    number = int.from_bytes(content[at + 1 : end], "big", signed=kind != b"U")
    if number < 0:
        raise _EndedError
    return number, end


def _byte(content: "bytes | mmap.mmap", at: int) -> bytes:
    return content[at : _within(content, at + 1)]


def _within(content: "bytes | mmap.mmap", end: int) -> int:
    if end > len(content):
        raise _EndedError
    return end
