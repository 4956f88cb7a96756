"""`podium models serve`: the same server as `podium serve`, asked for as `mlflow models serve` is."""

from typing import Any

import click
from click.core import ParameterSource

from podium.cli import serve as serving
from podium.cli.mlflow_options import ENV_MANAGER, INSTALL_MLFLOW, MODEL_URI, NO_CONDA


@MODEL_URI
@click.option(
    "-p", "--port", default=5000, show_default=True, envvar="MLFLOW_PORT", show_envvar=True, help="0 takes any free port."
)
@click.option(
    "-h",
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="MLFLOW_HOST",
    show_envvar=True,
    help="0.0.0.0: the network.",
)
@click.option(
    "-t",
    "--timeout",
    default=60.0,
    show_default=True,
    envvar="MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT",
    show_envvar=True,
    help="Seconds from a request to its answer.",
)
@click.option(
    "-w",
    "--workers",
    "replicas",
    default=1,
    show_default=True,
    envvar="MLFLOW_MODELS_WORKERS",
    show_envvar=True,
    help="Copies of the model.",
)
@ENV_MANAGER
@NO_CONDA
@INSTALL_MLFLOW
def _own() -> None:
    """Hold the options."""


def _run(no_conda: bool, **given: Any) -> None:
    context = click.get_current_context()
    if no_conda:
        context.params["env_manager"] = "local"
        context.set_parameter_source("env_manager", ParameterSource.COMMANDLINE)
    served = serving.serve.callback
    if served is None:
        raise AssertionError("podium serve does nothing")
    # It asks this command's context for what was said, and by whom.
    served(**given)


_OWN: list[click.Parameter] = list(reversed(_own.__click_params__))  # type: ignore[attr-defined]

models_serve = serving.ServeCommand(
    "serve",
    callback=_run,
    params=[*_OWN, *(each for each in serving.serve.params if each.name not in {own.name for own in _OWN})],
    help="""Serve a model over HTTP, with the options, defaults and variables of `mlflow models serve`.

    The server is that of `podium serve`, whose further options it takes too: it follows a stage or an alias, and SIGTERM
    finishes the requests in flight and ends with 0.
    """,
)
