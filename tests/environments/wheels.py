"""Wheels without an index: tiny ones written here, and installed distributions packed up again."""

import base64
import hashlib
import importlib.metadata
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path


def write_wheel(folder: Path, name: str, version: str, module: str, needs: Sequence[str] = ()) -> Path:
    """A pure wheel with one module; `needs` are what it requires."""
    required = "".join(f"Requires-Dist: {line}\n" for line in needs)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": module.encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    return _zip(folder / f"{name}-{version}-py3-none-any.whl", files, info)


def repack(folder: Path, name: str) -> Path:
    """The wheel of a distribution that is installed here, as far as its own site-packages folder goes."""
    distribution = importlib.metadata.distribution(name)
    # Of several, the last: py2-none-any comes before py3-none-any.
    tag = [line[5:] for line in (distribution.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: ")][-1]
    name = name.replace("-", "_")
    info = f"{name}-{distribution.version}.dist-info"
    files = {
        str(file): Path(str(file.locate())).read_bytes()
        for file in distribution.files or []
        if not str(file).startswith("..")
        and file.suffix != ".pyc"
        and file.name not in {"RECORD", "INSTALLER", "REQUESTED"}
    }
    return _zip(folder / f"{name}-{distribution.version}-{tag}.whl", files, info)


def offline(folder: Path) -> dict[str, str]:
    """Variables by which pip and uv find these wheels and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    return kept | {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
        "UV_NO_CACHE": "1",
    }


def _zip(path: Path, files: dict[str, bytes], info: str) -> Path:
    record = "".join(f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in files.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
