"""Each flavor but those of deep learning, both ways: see `both_ways.py`."""

import pytest
from both_ways import OTHERS, BothWays, saved_here, sides_of

__all__ = ["saved_here", "sides"]
pytestmark = [pytest.mark.mlflow, pytest.mark.slow]
sides = sides_of(OTHERS)


class TestFlavors(BothWays):
    """The laws, of each flavor and series."""
