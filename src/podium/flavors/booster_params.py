"""Which of a request's params a library's predict takes: MLflow drops the rest, and so do we."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from podium.flavors.notes import note

_DATA = frozenset({"self", "data", "X"})


def accepted(call: Callable[..., Any], params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Those params that a function takes by name; all of them where it takes any.

    The first argument is the data, whatever its name, and never a param.
    """
    if not params:
        return {}
    known = inspect.signature(call).parameters
    open_ended = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    if any(each.kind in open_ended for each in known.values()):
        return dict(params)
    taken = {name: value for name, value in params.items() if name in known and name not in _DATA}
    if ignored := sorted(params.keys() - taken.keys()):
        note(f"The model's predict takes no params {ignored}; they were ignored.")
    return taken
