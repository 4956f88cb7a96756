"""What people may import is a file: a name comes or goes only together with a line of `public_api.txt`."""

import importlib
from pathlib import Path

_SNAPSHOT = Path(__file__).with_name("public_api.txt")
_MODULES = (
    "podium",
    "podium.client",
    "podium.sklearn",
    "podium.onnx",
    "podium.pyfunc",
    "podium.pytorch",
    "podium.keras",
    "podium.tensorflow",
)


def test_the_public_names_are_those_of_the_snapshot():
    """To change one on purpose, change the snapshot and the changelog."""
    names = sorted(f"{module}.{name}" for module in _MODULES for name in importlib.import_module(module).__all__)

    assert names == _SNAPSHOT.read_text().split()


def test_each_public_name_exists_and_says_what_it_is():
    """No name is promised that is not there, and each has a docstring."""
    for line in _SNAPSHOT.read_text().split():
        module, _, name = line.rpartition(".")
        thing = getattr(importlib.import_module(module), name)

        assert isinstance(thing, str) or thing.__doc__, line
