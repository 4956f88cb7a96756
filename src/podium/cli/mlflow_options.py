"""The options that `mlflow models …` has, with its short names, defaults and environment variables."""

import os

import click

from podium.settings.declared import settings_of
from podium.settings.environments import AUTO, MANAGERS, EnvironmentOrder, check_manager, environment_order
from podium.settings.model import ModelSettings


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    return check_manager(value)


MODEL_URI = click.option("-m", "--model-uri", "uri", required=True, metavar="URI", help="A folder, models:/NAME/STAGE ...")
ENV_MANAGER = click.option(
    "--env-manager",
    default=AUTO,
    metavar="|".join(MANAGERS),
    callback=_checked,
    help="Python to run the model in: this one, or one built from its requirements. "
    "[default: this one where it meets them, else virtualenv]",
)
NO_CONDA = click.option("--no-conda", is_flag=True, help="The same as --env-manager local.")
INSTALL_MLFLOW = click.option(
    "--install-mlflow", is_flag=True, help="Build mlflow into the environment, also where podium does without."
)
ALLOW_CODE = click.option(
    "--allow-code/--no-allow-code",
    default=True,
    envvar=next(setting.variable for setting in settings_of(ModelSettings) if setting.key == "allow_code"),
    help="Load a model whose files run code: pickles, modules, loaders of their own. [default: allowed]",
)


def order_of(
    env_manager: str, no_conda: bool = False, install_mlflow: bool = False, override: tuple[str, ...] = ()
) -> EnvironmentOrder:
    """What these options, MLflow's variables and podium's settings ask for."""
    from podium.api.endpoint import choose
    from podium.settings.environments import EnvironmentSettings

    settings = EnvironmentSettings(**choose([]).fields(EnvironmentSettings))
    return environment_order("local" if no_conda else env_manager, os.environ, install_mlflow, override, settings)
