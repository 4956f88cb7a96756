"""How much memory or disk something takes, as people read it."""

_MEBIBYTE, _GIBIBYTE = 1 << 20, 1 << 30


def size_text(count: int) -> str:
    """Bytes in MiB, from a gibibyte on in GiB."""
    return f"{count / _GIBIBYTE:.1f} GiB" if count >= _GIBIBYTE else f"{count / _MEBIBYTE:.0f} MiB"
