"""What a fork server imports for a model: its flavor's libraries, as far as the flavor says that a fork may follow."""

from collections.abc import Mapping
from typing import Any

from podium.flavors.catalog import flavor_loading
from podium.flavors.contract import Preloadable


def preloads_for(mlmodel: Mapping[str, Any], *, has_gpu: bool) -> tuple[str, ...] | None:
    """The modules to import, numpy first; None where the model's process is better begun afresh.

    Knows podium's own flavors only: asking a plugin would run its code here.

    Args:
        mlmodel: The whole MLmodel file.
        has_gpu: Whether the model may compute on a GPU.
    """
    flavors = {name: entry for name, entry in (mlmodel.get("flavors") or {}).items() if isinstance(entry, Mapping)}
    flavor = flavor_loading(flavors)
    modules = flavor.preloads(flavors, has_gpu=has_gpu) if isinstance(flavor, Preloadable) else None
    return None if modules is None else ("numpy", *modules)
