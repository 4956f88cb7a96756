"""Which Python a model is to run in, as it was asked for: MLflow's names, checked where they are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.errors import Misconfigured
from podium.settings.declared import ValueKind, declare

MANAGERS = ("local", "conda", "virtualenv", "uv")
AUTO = "auto"
_ENV_ROOT, _NO_CREATION = "MLFLOW_ENV_ROOT", "MLFLOW_DISABLE_ENV_CREATION"


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """How environments are built on this machine, for whatever model.

    Args:
        wheels: A folder of wheels that is used in the place of every index.
        is_offline: Nothing is fetched: what uv fetched before must do.
        requires_hashes: Only what the model's lock file names is installed, each file checked against its digest there.
        is_dated: What the requirements leave open is decided as on the day on which the model was saved.
        downloads_python: Whether uv may fetch a Python that this machine lacks.
        most_bytes: What all environments may hold together; beyond that the least recently used go. 0 keeps all.
        build_timeout_s: For waiting and building together.
    """

    wheels: str | None = declare(None, "env_wheels", ValueKind.TEXT, "Folder of wheels to build from, instead of an index.")
    is_offline: bool = declare(
        False, "env_offline", ValueKind.SWITCH, "Build from what uv has in its cache, and fetch nothing."
    )
    requires_hashes: bool = declare(
        False, "require_hashes", ValueKind.SWITCH, "Install only what `podium env lock` wrote down, by digest."
    )
    is_dated: bool = declare(
        True, "env_as_of_creation", ValueKind.SWITCH, "Decide what requirements leave open as of the model's creation."
    )
    downloads_python: bool = declare(
        False, "env_fetch_python", ValueKind.SWITCH, "Let uv fetch a Python that this machine lacks."
    )
    most_bytes: int = declare(
        64 << 30,
        "env_cache_size",
        ValueKind.BYTES,
        "What all environments may hold; the least recently used go. 0 keeps all.",
        least=0,
    )
    build_timeout_s: float = declare(
        3600.0, "env_build_timeout", ValueKind.SECONDS, "Seconds for an environment to be built."
    )


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
        settings: How it is built.
        python: An interpreter that is there already, of an environment that holds what the model needs: it is taken.
    """

    manager: str = "local"
    installs_mlflow: bool = False
    override: tuple[str, ...] = ()
    creates: bool = True
    root: str | None = None
    settings: EnvironmentSettings = field(default_factory=EnvironmentSettings)
    python: str | None = None

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
    manager: str,
    environ: Mapping[str, str],
    installs_mlflow: bool = False,
    override: tuple[str, ...] = (),
    settings: EnvironmentSettings | None = None,
    python: str | None = None,
) -> EnvironmentOrder:
    """An order with what MLflow's variables say."""
    is_forbidden = environ.get(_NO_CREATION, "").strip().lower() in {"true", "1"}
    root = environ.get(_ENV_ROOT) or None
    return EnvironmentOrder(
        manager, installs_mlflow, override, not is_forbidden, root, settings or EnvironmentSettings(), python
    )
