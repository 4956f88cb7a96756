"""Whether an estimator is scikit-learn's own, code and all: no subclass, not patched, and not told to answer otherwise."""

import inspect
import sys
from collections.abc import Sequence
from typing import Any

from podium.flavors.sklearn.rows import replaced_methods

# Whose functions scikit-learn's classes are made of.
_AUTHORS = frozenset({"sklearn", "numpy", "scipy", "joblib", "functools", "abc", "builtins", "copy", "typing"})


def is_own(estimator: Any, methods: Sequence[str]) -> bool:
    """Say whether every method of this estimator is what scikit-learn wrote, and these methods exist.

    Args:
        estimator: Anything.
        methods: What will be restated.
    """
    kind = type(estimator)
    module = sys.modules.get(kind.__module__)
    if _root(kind.__module__) != "sklearn" or getattr(module, kind.__name__, None) is not kind:
        return False
    if replaced_methods(estimator) or not all(hasattr(estimator, each) for each in methods):
        return False
    config = getattr(estimator, "_sklearn_output_config", {})
    if any(value != "default" for value in config.values()):
        return False
    return all(_is_untouched(each) for each in kind.__mro__ if each is not object)


def answers_in_arrays() -> bool:
    """Whether scikit-learn as a whole is set to make arrays of what it transforms."""
    from sklearn import get_config

    return bool(get_config().get("transform_output", "default") == "default")


def _is_untouched(kind: type) -> bool:
    """Whether all functions of a class come from where its author took them."""
    return all(_root(author) in _AUTHORS for value in vars(kind).values() for author in _authors(value))


def _authors(value: Any) -> list[str]:
    """The modules of a function and of all that it wraps."""
    value = getattr(value, "fn", value)  # methods that are there on a condition
    value = getattr(value, "__func__", value)
    value = getattr(value, "fget", value)
    found = []
    while inspect.isfunction(value):
        found.append(str(value.__globals__.get("__name__")))
        value = getattr(value, "__wrapped__", None)
    return found


def _root(module: str) -> str:
    return module.partition(".")[0]
