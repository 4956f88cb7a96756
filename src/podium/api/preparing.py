"""Making a model's Python before it is needed, or saying what this one lacks."""

from collections.abc import Callable

from podium.api.environments import asking_for
from podium.environments.choice import Environment, choose, unmet
from podium.errors import LoadFailed
from podium.registry.resolve import Resolved
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home


def prepare(
    found: Resolved, order: EnvironmentOrder, home: Home, tell: Callable[[str], None], *, allow_code: bool = True
) -> Environment:
    """The model's Python, built where that was asked for; with `local`, this one if it will do.

    Raises:
        LoadFailed: Building failed, or this Python lacks what the model needs; lists it.
        Misconfigured, InvalidModel, InvalidInput, DigestMismatch: As `predicting.predict`.
    """
    asking = asking_for(found, order, home, tell, allow_code=allow_code)
    if order.manager == "local" and (missed := unmet(asking.folder, asking.mlmodel, order)):
        listed = "".join(f"\n  {sentence}" for sentence in missed)
        raise LoadFailed(
            f"This Python does not meet the model's requirements:{listed}\n"
            "Install them here, or let an environment be built: --env-manager virtualenv",
            "environment",
        )
    environment = choose(asking)
    environment.release()
    return environment
