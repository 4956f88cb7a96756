"""The folder that an image is built from: its Dockerfile, and all that this copies."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from podium.deploy.dockerfile import DOCKERIGNORE, Image, dockerfile
from podium.deploy.own_package import write_own_package
from podium.environments.spec import EnvironmentSpec
from podium.errors import AlreadyExists, Misconfigured

OLDEST = (3, 11)
# Libraries that wheels link to and do not bring along.
_SYSTEM = {"lightgbm": ("libgomp1",), "paddlepaddle": ("libgomp1",)}
_JAVA = "default-jre-headless"


@dataclass(frozen=True, slots=True)
class WantedImage:
    """What an image is to be.

    Args:
        name: The endpoint's public name; None for an image whose model is mounted.
        base, base_image: As in `Image`.
        has_model: Whether the model is copied into it.
        has_java: Whether Java is installed.
        mlflow_home: A checkout of MLflow to install in place of its release.
    """

    name: str | None = None
    base: str = "cpu"
    base_image: str | None = None
    has_model: bool = True
    has_java: bool = False
    mlflow_home: str | None = None


def write_context(
    target: Path, model: Path | None, spec: EnvironmentSpec | None, wanted: WantedImage, python: str
) -> Image:
    """Write everything that `docker build` needs into a new folder.

    Args:
        target: Must not exist, or be empty.
        model: The model's folder, verified; None for an image that takes any model.
        spec: What the model's environment holds; None where it is built at start.
        wanted: See there.
        python: `3.11`: for an image of no model in particular, or a model that does not say.

    Raises:
        AlreadyExists: The folder is there and not empty.
        Misconfigured: The model's Python is older than podium's worker.
        InvalidInput: A name that does not belong into a Dockerfile.
        OSError: The folder cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AlreadyExists(f"{target} is there and not empty; name another folder, or remove it.")
    minor = (spec.minor if spec is not None else None) or python
    if tuple(map(int, minor.split("."))) < OLDEST:
        raise Misconfigured(
            f"The model was saved with Python {minor}, and podium's worker, which runs beside the model in its "
            f"environment, needs {OLDEST[0]}.{OLDEST[1]} or newer. Save the model again with a newer Python."
        )
    image = Image(minor, wanted.base, wanted.base_image, wanted.name, wanted.has_model and model is not None)
    image = replace(image, packages=_packages(spec, wanted), environment=_digest(spec, minor))
    text = dockerfile(image)
    target.mkdir(parents=True, exist_ok=True)
    write_own_package(target / "podium")
    if spec is not None and model is not None:
        _write_environment(target / "environment", model, spec, wanted)
    if image.has_model and model is not None:
        shutil.copytree(model, target / "model")
        _open_for_reading(target / "model")
    (target / ".dockerignore").write_text(DOCKERIGNORE, encoding="utf-8")
    # Last: a folder without it is not taken for a whole one.
    (target / "Dockerfile").write_text(text, encoding="utf-8")
    return image


def _digest(spec: EnvironmentSpec | None, minor: str) -> str | None:
    return None if spec is None else spec.key("image", minor)


def _packages(spec: EnvironmentSpec | None, wanted: WantedImage) -> tuple[str, ...]:
    asked = " ".join(spec.lines).lower() if spec is not None else ""
    found = {package for name, packages in _SYSTEM.items() if name in asked for package in packages}
    return tuple(sorted(found | ({_JAVA} if wanted.has_java else set())))


def _write_environment(folder: Path, model: Path, spec: EnvironmentSpec, wanted: WantedImage) -> None:
    """The requirements, and beside them the files of the model's own folder that they name."""
    folder.mkdir()
    lines = [_beside(line, model, folder) for line in spec.lines]
    if wanted.mlflow_home is not None:
        shutil.copytree(
            wanted.mlflow_home, folder / "mlflow", ignore=shutil.ignore_patterns(".git", "__pycache__", ".venv*")
        )
        lines = ["./mlflow", *(line for line in lines if not line.startswith("mlflow"))]
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _beside(line: str, model: Path, folder: Path) -> str:
    """A line with the files that it names copied to the folder, and named from there."""
    words = line.split(" ")
    for position, word in enumerate(words):
        path = Path(word)
        if path.is_absolute() and path.is_file():
            inside = path.relative_to(model.absolute()) if path.is_relative_to(model.absolute()) else Path(path.name)
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / inside)
            words[position] = f"./{inside}"
    return " ".join(words)


def _open_for_reading(folder: Path) -> None:
    """Podium keeps models for their owner alone; in an image another user reads them."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
