"""Taking what an environment holds to a machine that reaches no index: a tar of wheels, from which it is built there."""

import io
import tarfile
import tempfile
from pathlib import Path

from podium.environments.resolve import EnvironmentRequest, Resolution
from podium.environments.running import BuildJob
from podium.errors import Misconfigured

LISTING = "requirements.txt"


def export_wheels(request: EnvironmentRequest, resolution: Resolution, target: Path, job: BuildJob) -> int:
    """Write a tar with a wheel for each package, and the list of them.

    What exists as source only is built here, on the platform and for the Python of the environment.

    Args:
        request: What the environment is asked for with.
        resolution: What is in it.
        target: The tar; written whole or not at all.
        job: What runs the tools.

    Returns: How many wheels it has.

    Raises:
        Misconfigured: There is no Python to do it with.
        LoadFailed: A wheel is not to be had; says where the tool's words stand.
    """
    interpreter = request.tools.interpreter
    if interpreter is None:
        raise Misconfigured("Environments that conda builds cannot be exported as wheels: use --env-manager virtualenv")
    job.begin()
    with tempfile.TemporaryDirectory(prefix="podium-export-") as place:
        listing, venv, wheels = Path(place) / LISTING, Path(place) / "venv", Path(place) / "wheels"
        listing.write_text(resolution.lines(request.spec.folder), encoding="utf-8")
        python = str(venv / "bin" / "python")
        if request.tools.uv is not None:
            seeded = ["venv", "--no-project", "--quiet", "--seed", "--python", interpreter.path, str(venv)]
            if job.status_of([request.tools.uv, *seeded], "making an environment with pip") != 0:
                job.run([interpreter.path, "-m", "venv", "--clear", str(venv)], "making an environment with pip")
        else:
            job.run([interpreter.path, "-m", "venv", str(venv)], "making an environment with pip")
        command = [python, "-m", "pip", "wheel", "--no-deps", "--no-input", "--disable-pip-version-check"]
        if request.settings.wheels is not None:
            command += ["--no-index", "--find-links", str(Path(request.settings.wheels).expanduser().absolute())]
        what = f"fetching {len(resolution.packages)} wheels"
        job.tell(f"environment: {what}")
        job.run([*command, "--wheel-dir", str(wheels), "--requirement", str(listing)], what)
        return _write(target, wheels, "".join(f"{line}\n" for line in resolution.packages))


def _write(target: Path, wheels: Path, listing: str) -> int:
    files = sorted(wheels.glob("*.whl"))
    draft = target.with_name(f".{target.name}.part")
    try:
        with tarfile.open(draft, "w") as tar:
            facts = tarfile.TarInfo(LISTING)
            facts.size = len(listing.encode())
            tar.addfile(facts, io.BytesIO(listing.encode()))
            for path in files:
                tar.add(path, arcname=path.name)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return len(files)
