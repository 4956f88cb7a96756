"""An image of a model: the folder that it is built from, and building it."""

import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from podium.api.endpoint import name_of
from podium.deploy.context import WantedImage, write_context
from podium.deploy.dockerfile import Image
from podium.deploy.engines import find_engine, run_build
from podium.domain.references import parse_reference
from podium.environments.spec import read_spec
from podium.models.mlmodel import read_mlmodel
from podium.registry.resolve import check_digest, resolve
from podium.settings.environments import EnvironmentOrder
from podium.settings.home import Home

# Where packages come from, told to the build and not kept in the image.
_SOURCES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")


def write_image_folder(uri: str | None, target: Path, order: EnvironmentOrder, home: Home, wanted: WantedImage) -> Image:
    """Write the folder that an image is built from.

    Args:
        uri: The model; None for an image that takes whatever is mounted, and builds its environment at start.
        target: Must not exist, or be empty.
        order: `local` and MLFLOW_DISABLE_ENV_CREATION count for nothing here: the image has an environment of the model's.
        home: Keeps the registry.
        wanted: See there; a name is found for it where it has none.

    Returns: What the image will hold.

    Raises:
        NotFound, DigestMismatch, InvalidModel, Misconfigured, AlreadyExists, InvalidInput, OSError.
    """
    own = ".".join(platform.python_version_tuple()[:2])
    if uri is None:
        return write_context(target, None, None, wanted, own)
    reference = parse_reference(uri)
    found = resolve(reference, home)
    check_digest(found)
    mlmodel = read_mlmodel(found.folder)
    spec = read_spec(found.folder, mlmodel, replace(order, manager="uv"))
    name = wanted.name or name_of(reference)
    return write_context(target, found.folder.absolute(), spec, replace(wanted, name=name), own)


def build_image(
    uri: str | None,
    image: str,
    order: EnvironmentOrder,
    home: Home,
    wanted: WantedImage,
    engine: str | None,
    tell: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Build an image.

    Args:
        uri: As `write_image_folder`, and so `order`, `home` and `wanted`.
        image: Its name.
        order: Likewise.
        home: Likewise.
        wanted: Likewise.
        engine: `docker`, `podman` or `buildah`; None takes the first that is here.
        tell: Called with lines for people.
        environ: Where the engines are, and where packages come from.

    Raises:
        BuildFailed, and as `write_image_folder`.
    """
    chosen = find_engine(engine, environ)
    with tempfile.TemporaryDirectory(prefix="podium-image-") as place:
        folder = Path(place) / "context"
        made = write_image_folder(uri, folder, order, home, wanted)
        tell(
            f"building {image} with {chosen.name}: Python {made.python}, environment {made.environment or 'built at start'}"
        )
        run_build(chosen, folder, image, {name: environ[name] for name in _SOURCES if environ.get(name)}, environ)
