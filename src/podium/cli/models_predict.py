"""`podium models predict` and `prepare-env`: a model without a server, asked for as MLflow's commands are."""

import sys
from pathlib import Path

import click

from podium.cli.mlflow_options import ALLOW_CODE, ENV_MANAGER, INSTALL_MLFLOW, MODEL_URI, order_of
from podium.cli.output import say
from podium.errors import InvalidInput, Misconfigured

_LONGEST_S = 600.0


@click.command()
@MODEL_URI
@click.option("-i", "--input-path", metavar="FILE", help="The request's body. [default: stdin]")
@click.option("-o", "--output-path", metavar="FILE", help="Where the answer goes, whole or not at all. [default: stdout]")
@click.option("-t", "--content-type", default="json", show_default=True, metavar="json|csv", help="Of the input.")
@ALLOW_CODE
@ENV_MANAGER
@INSTALL_MLFLOW
@click.option(
    "-r",
    "--pip-requirements-override",
    metavar="REQ,REQ",
    help="Requirements that take the place of the model's own, with commas between them.",
)
@click.option("--env", "extra", multiple=True, metavar="KEY=VALUE", help="A variable for the model; may be repeated.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=_LONGEST_S,
    show_default=True,
    help="Seconds for loading and scoring.",
)
def predict(
    uri: str,
    input_path: str | None,
    output_path: str | None,
    content_type: str,
    allow_code: bool,
    env_manager: str,
    install_mlflow: bool,
    pip_requirements_override: str | None,
    extra: tuple[str, ...],
    timeout_s: float,
) -> None:
    """Score one request, in any form that the scoring endpoint takes, and print the bytes that it would answer.

    The model is loaded in a process of its own, in the Python that it needs. Exit code 1 when it does not load, or does
    not answer.
    """
    from podium.api.predicting import CONTENT_TYPES
    from podium.api.predicting import predict as score
    from podium.api.registering import Registry
    from podium.settings.whole_files import write_whole

    if content_type not in CONTENT_TYPES:
        raise Misconfigured(f"Content type must be one of json or csv. Got {content_type!r}.")
    override = tuple(filter(None, map(str.strip, (pip_requirements_override or "").split(","))))
    if override and env_manager == "local":
        raise Misconfigured(
            "`pip_requirements_override` is not supported for local env manager. Please use conda or virtualenv instead."
        )
    order = order_of(env_manager, install_mlflow=install_mlflow, override=override)
    variables = dict(_variable(text) for text in extra)
    if output_path is not None and not Path(output_path).absolute().parent.is_dir():
        raise InvalidInput(f"{output_path} cannot be written: there is no folder {Path(output_path).absolute().parent}.")
    registry = Registry()
    found = registry.resolve(uri)
    body = sys.stdin.buffer.read() if input_path is None else _read(Path(input_path))
    answer = score(found, body, content_type, order, registry.home, _tell, timeout_s, variables, allow_code)
    if output_path is None:
        sys.stdout.buffer.write(answer)
        sys.stdout.buffer.flush()
    else:
        write_whole(Path(output_path), answer)


@click.command("prepare-env")
@MODEL_URI
@ENV_MANAGER
@INSTALL_MLFLOW
@ALLOW_CODE
def prepare_env(uri: str, env_manager: str, install_mlflow: bool, allow_code: bool) -> None:
    """Build the Python that a model needs, so that serving it and scoring with it start at once; print its path.

    With --env-manager local it is checked that this one meets the model's requirements. Exit code 1 when it does not.
    """
    from podium.api.preparing import prepare
    from podium.api.registering import Registry

    registry = Registry()
    order = order_of(env_manager, install_mlflow=install_mlflow)
    prepared = prepare(registry.resolve(uri), order, registry.home, _tell, allow_code=allow_code)
    say(prepared.reason, err=True)
    say(prepared.python)


def _tell(text: str) -> None:
    say(text, err=True)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is not a valid key value pair, expecting `key=value`")
    return name, value


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
