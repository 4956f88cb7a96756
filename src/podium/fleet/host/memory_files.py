"""Settings for a child that no command line shows and no file keeps."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def as_file(settings: str) -> Iterator[int]:
    """A descriptor to read settings from: addresses may hold secrets, and a command line is everybody's to see."""
    descriptor = os.memfd_create("podium-settings", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(settings.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
