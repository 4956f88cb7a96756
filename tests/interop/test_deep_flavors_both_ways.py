"""The flavors of deep learning, both ways: see `both_ways.py`. By themselves, for they take longest."""

import pytest
from both_ways import DEEP, BothWays, saved_here, sides_of

__all__ = ["saved_here", "sides"]
pytestmark = [pytest.mark.mlflow, pytest.mark.slow]
sides = sides_of(DEEP)


class TestDeepFlavors(BothWays):
    """The laws, of each flavor and series."""
