"""Making a model's Python before it is needed, or saying what this one lacks."""

from collections.abc import Callable

from podium.api.predicting import check_digest
from podium.environments.choice import Asking, Environment, choose, root_of, unmet
from podium.errors import LoadFailed
from podium.models.mlmodel import read_mlmodel
from podium.registry.resolve import Resolved
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home


def prepare(found: Resolved, order: EnvironmentOrder, home: Home, tell: Callable[[str], None]) -> Environment:
    """The model's Python, built where that was asked for; with `local`, this one if it will do.

    Raises:
        LoadFailed: Building failed, or this Python lacks what the model needs; lists it.
        Misconfigured, InvalidModel, InvalidInput, DigestMismatch: As `predicting.predict`.
    """
    check_digest(found)
    mlmodel = read_mlmodel(found.folder)
    if order.manager == "local" and (missed := unmet(found.folder, mlmodel, order)):
        listed = "".join(f"\n  {sentence}" for sentence in missed)
        raise LoadFailed(
            f"This Python does not meet the model's requirements:{listed}\n"
            "Install them here, or let an environment be built: --env-manager virtualenv",
            "environment",
        )
    environment = choose(Asking(found.folder, mlmodel, order, root_of(order, home), tell))
    environment.release()
    return environment
