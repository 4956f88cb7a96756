"""Files that are there whole or not at all, whoever reads them and whatever dies meanwhile."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file beside its place, let it reach the disk, and put it there in one step; a failure leaves nothing.

    Args:
        path: Where it is put, in place of what is there.
        content: All of it.
        mode: Who may read it, less what the process's umask takes away.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(draft, "wb", opener=lambda name, flags: os.open(name, flags | os.O_EXCL, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
