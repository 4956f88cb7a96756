"""Folders that somebody left half-way: removed once nobody works in them."""

import fcntl
import os
import shutil
from pathlib import Path


def remove_unlocked(folder: Path) -> bool:
    """Remove a folder unless a living process holds a lock (flock) on it; whether it was removed.

    A link is left alone: what it points at is not ours.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
