"""Standard streams whose reader may leave, or that nobody gave us: a command does what it was told all the same.

Python keeps what it could not write and tries again when it ends, whereupon any command's exit code would be 120.
"""

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NAMES = ("stdin", "stdout", "stderr")
_HUNG_UP = errno.EIO  # as writes to a terminal say that is gone


class Said(io.FileIO):
    """A descriptor to write to. Once its reader has left, what is written is lost; any other failure is raised.

    Attributes:
        is_over: Nothing is written any more.
    """

    is_over = False

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        # `isatty` says no of one that has hung up.
        self._is_terminal = stat.S_ISCHR(os.fstat(descriptor).st_mode)

    def write(self, data: "ReadableBuffer") -> int:
        """Write some of it, or nothing to nobody; how much is done with."""
        if not self.is_over:
            try:
                return super().write(data)
            except ConnectionError:
                self.is_over = True
            except OSError as error:
                if not (self._is_terminal and error.errno == _HUNG_UP):
                    raise
                self.is_over = True
        return memoryview(data).nbytes


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Standard input, output and error that last as long as the block, and fail nobody who ends after it."""
    _open_missing()
    said = [pair for pair in map(_replace, _NAMES[1:]) if pair is not None]
    try:
        yield
    finally:
        for text, raw in said:
            with contextlib.suppress(OSError):
                text.flush()
            raw.is_over = True


def is_output_over() -> bool:
    """Whether whoever read standard output has left: what would go on for ever may end."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, Said) and raw.is_over


def _open_missing() -> None:
    """Give each standard descriptor that was closed the null device: else the next file or socket would have its number."""
    for descriptor, name in enumerate(_NAMES):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one; for whatever the command starts, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def _replace(name: str) -> tuple[io.TextIOWrapper, Said] | None:
    """Where it is the process's own; whoever put something else there knows why."""
    stream, descriptor = getattr(sys, name), _NAMES.index(name)
    try:
        if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != descriptor:
            return None
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):
        stream.flush()
    raw = Said(descriptor)
    text = io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=stream.line_buffering
    )
    setattr(sys, name, text)
    return text, raw
