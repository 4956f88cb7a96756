"""What the commands of `podium env` have in common: a model, and who asks for its environment."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from podium.cli.mlflow_options import INSTALL_MLFLOW
from podium.cli.output import say
from podium.cli.setting_options import said_by_flags, setting_options
from podium.settings.declared import settings_of
from podium.settings.environments import EnvironmentSettings, check_manager, environment_order

if TYPE_CHECKING:
    from podium.environments.choice import Asking
    from podium.settings.provenance import Chosen

_Function = TypeVar("_Function", bound=Callable[..., Any])
SETTINGS = settings_of(EnvironmentSettings)
JSON = click.option("--json", "is_json", is_flag=True, help="One JSON document instead.")
MODEL = click.argument("model", metavar="MODEL")
MANAGER = click.option(
    "--env-manager",
    default="virtualenv",
    show_default=True,
    metavar="uv|virtualenv|conda",
    callback=lambda _context, _parameter, value: check_manager(value),
    help="What builds; virtualenv is uv where that is found, else venv and pip.",
)


def for_a_model(function: _Function) -> _Function:
    """Give a command a model and what says which environment."""
    for option in (setting_options(SETTINGS), INSTALL_MLFLOW, MANAGER, MODEL):
        function = option(function)
    return function


def asking(model: str, env_manager: str, install_mlflow: bool, *, only_reads: bool = False) -> "Asking":
    """The model and who asks, by the flags of the current command and by every other place that says something.

    Args:
        model: As a person named it.
        env_manager: What builds.
        install_mlflow: Whether mlflow is to be there.
        only_reads: Nothing of the model's is run, so that `allow_code` has nothing to forbid.
    """
    from podium.api.environments import asking_for
    from podium.api.registering import Registry

    settled, registry = chosen(), Registry()
    settings = EnvironmentSettings(**settled.fields(EnvironmentSettings))
    order = environment_order(env_manager, os.environ, install_mlflow, settings=settings)
    is_allowed = only_reads or bool(settled["serve.allow_code"])
    return asking_for(registry.resolve(model), order, registry.home, tell, allow_code=is_allowed)


def chosen() -> "Chosen":
    """Every setting: what the flags do not say, podium.toml and the variables do."""
    from podium.api.endpoint import choose

    beneath, said = said_by_flags(SETTINGS)
    return choose(said, beneath)


def tell(text: str) -> None:
    """A line for people, on stderr."""
    say(text, err=True)
