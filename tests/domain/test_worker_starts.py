"""Which workers are forked: a truth table."""

import pytest

from podium.domain.worker_starts import why_fresh


@pytest.mark.parametrize(
    ("wish", "isolation", "threads", "modules", "is_linux", "expected"),
    [
        ("auto", "none", 1, ("numpy",), True, None),
        ("forked", "none", 1, ("numpy",), True, None),
        ("forked", "none", 1, (), True, None),
        ("fresh", "none", 1, ("numpy",), True, "worker_start is fresh"),
        ("auto", "none", 1, ("numpy",), False, "only Linux"),
        ("auto", "user", 1, ("numpy",), True, "only where worker_start is forked"),
        ("forked", "user", 1, ("numpy",), True, None),
        ("auto", "sandbox", 1, ("numpy",), True, "a sandbox of its own"),
        ("forked", "sandbox", 1, ("numpy",), True, "a sandbox of its own"),
        ("forked", "none", 2, ("numpy",), True, "2 threads"),
        ("forked", "none", 1, None, True, "start threads or use a device"),
    ],
)
def test_what_stands_against_a_fork(wish, isolation, threads, modules, is_linux, expected):
    said = why_fresh(wish, isolation, threads, modules, is_linux=is_linux)

    assert said is None if expected is None else expected in said
