"""Sizes as people read them."""

import pytest

from podium.domain.sizes import size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 MiB"), (500 << 10, "0 MiB"), (160 << 20, "160 MiB"), ((1 << 30) - (1 << 20), "1023 MiB"), (3 << 29, "1.5 GiB")],
)
def test_sizes_are_in_mebibytes_and_from_a_gibibyte_on_in_those(count, text):
    """One decimal where there are few of them."""
    assert size_text(count) == text
