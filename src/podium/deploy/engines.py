"""What builds images here: docker, podman or buildah, whichever is there; the first that runs is taken."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.errors import Misconfigured, PodiumError

ENGINES = ("docker", "podman", "buildah")
_ASK_S = 20.0
_LONGEST_BUILD_S = 3600.0


class BuildFailed(PodiumError):
    """The engine did not build the image; what it said has been shown."""

    code = "BUILD_FAILED"


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that builds images: its name and its executable."""

    name: str
    path: str

    def command(self, folder: Path, image: str, arguments: Mapping[str, str]) -> list[str]:
        """The command that builds a folder's Dockerfile.

        Args:
            folder: The context.
            image: The name that it gets.
            arguments: Build arguments, by name alone: their values go by the environment, so that no list of processes
                shows the password of an index.
        """
        named = [part for name in sorted(arguments) for part in ("--build-arg", name)]
        verb = ["bud"] if self.name == "buildah" else ["build"]
        # The other form that these two know leaves HEALTHCHECK out.
        form = [] if self.name == "docker" else ["--format", "docker"]
        return [self.path, *verb, *form, *named, "-t", image, str(folder)]


def find_engine(asked: str | None, environ: Mapping[str, str]) -> Engine:
    """The engine of this name, or the first that answers.

    Raises:
        Misconfigured: There is none; says what each lacks.
    """
    missed = []
    for name in (asked,) if asked else ENGINES:
        path = shutil.which(name, path=environ.get("PATH"))
        if path is None:
            missed.append(f"{name} is not on PATH")
        elif name == "docker" and not _answers([path, "version"], environ):
            missed.append("docker is there, and its daemon does not answer")
        else:
            return Engine(name, path)
    raise Misconfigured(
        f"There is nothing to build an image with: {'; '.join(missed)}. Install one of them, or write the folder with "
        "podium models generate-dockerfile and build it elsewhere."
    )


def run_build(engine: Engine, folder: Path, image: str, arguments: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Build; what the engine says goes to stderr as it says it.

    Raises:
        BuildFailed: It ended with an error, or takes too long.
    """
    command = engine.command(folder, image, arguments)
    try:
        done = subprocess.run(
            command, env={**environ, **arguments}, stdout=2, timeout=_LONGEST_BUILD_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed(
            f"{engine.name} was not done within {_LONGEST_BUILD_S / 60:.0f} minutes, and was ended."
        ) from error
    if done.returncode != 0:
        raise BuildFailed(
            f"{engine.name} ended with status {done.returncode}; its last lines stand above. "
            "To look at what it was given: podium models generate-dockerfile."
        )


def _answers(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    try:
        done = subprocess.run(command, env=dict(environ), capture_output=True, timeout=_ASK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
