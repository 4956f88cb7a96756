"""Which method of a model answers: what was asked for when it was saved, and what its MLmodel file names."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.errors import InvalidInput, InvalidModel
from podium.flavors.contract import Stored


def asked_method(options: Mapping[str, Any], model: Any, allowed: Sequence[str]) -> str:
    """The option `pyfunc_predict_fn`, `predict` where it is not given.

    Raises:
        InvalidInput: The model has no such method, or it is none of the allowed.
    """
    method = options.get("pyfunc_predict_fn") or "predict"
    if method not in allowed or not hasattr(model, method):
        has = [each for each in allowed if hasattr(model, each)]
        raise InvalidInput(f"pyfunc_predict_fn is {method!r}; a {type(model).__name__} has {has}.")
    return str(method)


def saved_method(stored: Stored, flavor: str, model: Any, allowed: Sequence[str]) -> str:
    """What the flavor's entry calls `predict_fn`, `predict` where it does not.

    Raises:
        InvalidModel: The model has no such method, or it is none of the allowed.
    """
    method = str(stored.of(flavor).get("predict_fn") or "predict")
    if method not in allowed or not hasattr(model, method):
        raise InvalidModel(f"{type(model).__name__} has no method {method!r}, which MLmodel's predict_fn names.")
    return method
