"""Which Python a model is to run in, as it was asked for: MLflow's names, checked where they are read."""

from collections.abc import Mapping
from dataclasses import dataclass

from podium.errors import Misconfigured

MANAGERS = ("local", "conda", "virtualenv", "uv")
AUTO = "auto"
_ENV_ROOT, _NO_CREATION = "MLFLOW_ENV_ROOT", "MLFLOW_DISABLE_ENV_CREATION"


@dataclass(frozen=True, slots=True)
class EnvironmentOrder:
    """The environment that somebody wants for a model.

    Args:
        manager: `local` is the interpreter that runs podium; `virtualenv`, `uv` and `conda` build one from the model's
            requirements; `auto` takes the interpreter that runs podium where it meets them, and builds one where not.
        installs_mlflow: Whether mlflow is built in also where podium loads the model without it.
        override: Requirements that take the place of the model's own for the same packages, or come on top.
        creates: Whether one may be built at all (MLFLOW_DISABLE_ENV_CREATION): if not, it is `local` whatever was asked.
        root: Where environments are kept (MLFLOW_ENV_ROOT); None takes podium's home folder.
    """

    manager: str = "local"
    installs_mlflow: bool = False
    override: tuple[str, ...] = ()
    creates: bool = True
    root: str | None = None

    def __post_init__(self) -> None:
        check_manager(self.manager)


def check_manager(manager: str) -> str:
    """The name of an environment manager.

    Raises:
        Misconfigured: None of MLflow's, in MLflow's words.
    """
    if manager not in {*MANAGERS, AUTO}:
        raise Misconfigured(f"Invalid value for `env_manager`: {manager}. Must be one of {list(MANAGERS)}")
    return manager


def environment_order(
    manager: str, environ: Mapping[str, str], installs_mlflow: bool = False, override: tuple[str, ...] = ()
) -> EnvironmentOrder:
    """An order with what MLflow's variables say."""
    is_forbidden = environ.get(_NO_CREATION, "").strip().lower() in {"true", "1"}
    return EnvironmentOrder(manager, installs_mlflow, override, not is_forbidden, environ.get(_ENV_ROOT) or None)
