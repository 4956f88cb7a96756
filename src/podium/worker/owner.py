"""Ending with whoever started this process, however that comes about."""

import os
import threading


def end_with(descriptor: int) -> None:
    """Watch the reading end of a pipe whose other end the owner holds: when that closes, this process ends at once."""

    def watch() -> None:
        os.read(descriptor, 1)
        os._exit(1)

    threading.Thread(target=watch, name="owner", daemon=True).start()
