"""`podium models generate-dockerfile` and `build-docker`: an image of a model, asked for as MLflow's commands are."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from podium.cli.mlflow_options import ENV_MANAGER, INSTALL_MLFLOW, order_of
from podium.cli.output import say

if TYPE_CHECKING:
    from podium.deploy.context import WantedImage

_URI = click.option(
    "-m", "--model-uri", "uri", metavar="URI", help="A folder, models:/NAME/STAGE ... [default: whatever is mounted]"
)
_MLFLOW_HOME = click.option(
    "--mlflow-home", metavar="FOLDER", help="A checkout of MLflow to install with --install-mlflow."
)
_JAVA = click.option("--install-java", is_flag=True, help="Install Java, for models that need it.")
_BASE = click.option(
    "--base", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="What the image starts from."
)
_BASE_IMAGE = click.option(
    "--base-image", metavar="IMAGE", help="An image with Python to start from. [default: python:X.Y-slim]"
)
_NAME = click.option("--endpoint", metavar="NAME", help="Public name of the endpoint. [default: the model's]")
_MOUNTED = click.option("--mount", "is_mounted", is_flag=True, help="Leave the model out; it is mounted at /opt/ml/model.")


@click.command("generate-dockerfile")
@_URI
@click.option(
    "-d",
    "--output-directory",
    default="mlflow-dockerfile",
    show_default=True,
    metavar="FOLDER",
    help="Made; must be empty.",
)
@ENV_MANAGER
@_MLFLOW_HOME
@_JAVA
@INSTALL_MLFLOW
@_BASE
@_BASE_IMAGE
@_NAME
@_MOUNTED
def generate_dockerfile(
    uri: str | None,
    output_directory: str,
    env_manager: str,
    mlflow_home: str | None,
    install_java: bool,
    install_mlflow: bool,
    base: str,
    base_image: str | None,
    endpoint: str | None,
    is_mounted: bool,
) -> None:
    """Write a folder with a Dockerfile and all that it copies: the model, its requirements, podium.

    The image serves on port 8080, as a user without rights, also with a read-only root; it downloads nothing at start.
    """
    from podium.api.images import write_image_folder
    from podium.api.registering import Registry

    wanted = _wanted(endpoint, base, base_image, is_mounted, install_java, mlflow_home)
    order = order_of(env_manager, install_mlflow=install_mlflow)
    target = Path(output_directory)
    image = write_image_folder(uri, target, order, Registry().home, wanted)
    say(f"Wrote {target} (Python {image.python}). Next: docker build -t NAME {target}", err=True)


@click.command("build-docker")
@_URI
@click.option("-n", "--name", default="mlflow-pyfunc-servable", show_default=True, metavar="IMAGE", help="Of the image.")
@ENV_MANAGER
@_MLFLOW_HOME
@_JAVA
@INSTALL_MLFLOW
@_BASE
@_BASE_IMAGE
@_NAME
@_MOUNTED
@click.option("--engine", type=click.Choice(["docker", "podman", "buildah"]), help="[default: the first that is here]")
def build_docker(
    uri: str | None,
    name: str,
    env_manager: str,
    mlflow_home: str | None,
    install_java: bool,
    install_mlflow: bool,
    base: str,
    base_image: str | None,
    endpoint: str | None,
    is_mounted: bool,
    engine: str | None,
) -> None:
    """Build an image that serves a model; run it with: docker run -p 5000:8080 IMAGE.

    Without a model the image takes the one that is mounted at /opt/ml/model, and builds its environment at start.
    """
    from podium.api.images import build_image
    from podium.api.registering import Registry

    wanted = _wanted(endpoint, base, base_image, is_mounted, install_java, mlflow_home)
    order = order_of(env_manager, install_mlflow=install_mlflow)
    build_image(uri, name, order, Registry().home, wanted, engine, lambda text: say(text, err=True))
    say(f"Built {name}. Next: docker run --rm -p 5000:8080 {name}", err=True)


def _wanted(
    endpoint: str | None, base: str, base_image: str | None, is_mounted: bool, has_java: bool, mlflow_home: str | None
) -> "WantedImage":
    from podium.deploy.context import WantedImage

    return WantedImage(endpoint, base, base_image, not is_mounted, has_java, mlflow_home)
