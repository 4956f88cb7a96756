"""How many threads a library may start whose own default is every processor: as many as BLAS and OpenMP were told."""

import os


def granted_threads() -> int | None:
    """What OMP_NUM_THREADS says, which a worker sets before it loads; None where nobody said anything."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) > 0 else None
