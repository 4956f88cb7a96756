"""What builds an environment: uv, conda, or Python's own venv and pip; where they are, and what they are told."""

import configparser
import contextlib
import importlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from podium.environments.interpreters import Interpreter

# What would let our packages into theirs, or theirs into somebody's.
_STRANGE = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"}
_SAME_IN_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}
_OLDER_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL"}
_IN_PIPS_FILE = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "find-links": "PIP_FIND_LINKS",
    "no-index": "PIP_NO_INDEX",
    "cert": "PIP_CERT",
}


@dataclass(frozen=True, slots=True)
class Tools:
    """What builds.

    Args:
        interpreter: For a virtual environment; None leaves the Python to conda.
        uv, conda: Their executables, where they are to be used.
    """

    interpreter: Interpreter | None
    uv: str | None = None
    conda: str | None = None

    @property
    def name(self) -> str:
        if self.conda is not None:
            return Path(self.conda).name
        return "uv" if self.uv is not None else "venv and pip"

    @property
    def identity(self) -> str:
        """What makes environments of equal content different: the interpreter, the platform and who builds."""
        machine = os.uname().machine
        if self.interpreter is None:
            return f"conda {machine}"
        return f"{os.path.realpath(self.interpreter.path)} {self.interpreter.version} {machine} {self.name}"


def find_uv(environ: Mapping[str, str]) -> str | None:
    """Uv on PATH, beside the interpreter that runs podium, or of the package that `podium[uv]` installs."""
    found = shutil.which("uv", path=environ.get("PATH")) or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        with contextlib.suppress(ImportError, OSError):
            found = str(importlib.import_module("uv").find_uv_bin())
    return found


def find_conda(environ: Mapping[str, str]) -> str | None:
    """Conda of MLFLOW_CONDA_HOME or on PATH; mamba and micromamba do as well."""
    home = environ.get("MLFLOW_CONDA_HOME")
    if home:
        return shutil.which("conda", path=os.path.join(home, "bin"))
    chosen = environ.get("MLFLOW_CONDA_CREATE_ENV_CMD")
    names = [chosen] if chosen else ["micromamba", "mamba", "conda"]
    return next((found for name in names if (found := shutil.which(name, path=environ.get("PATH")))), None)


def tool_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Ours, without what would let our packages into theirs; uv hears what pip was told of indexes, which it does not read.

    Args:
        environ: Ours.
    """
    kept = {name: value for name, value in environ.items() if name not in _STRANGE}
    told = of_pips_files(environ) | {name: value for name, value in kept.items() if name in _SAME_IN_UV and value}
    for of_pip, of_uv in _SAME_IN_UV.items():
        if of_pip in told and of_uv not in kept and _OLDER_NAMES.get(of_uv) not in kept:
            # pip separates by white space, uv these lists by commas.
            separator = "," if of_uv == "UV_FIND_LINKS" else " "
            kept[of_uv] = separator.join(told[of_pip].split())
    if "PIP_EXTRA_INDEX_URL" in told and "UV_EXTRA_INDEX_URL" not in environ:
        # Who named them for pip wants the best of all; uv by itself stops at the first that knows the package.
        kept.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    # Whoever wants a Python fetched says so to podium, and then it is fetched by itself.
    kept.setdefault("UV_PYTHON_DOWNLOADS", "never")
    return kept


def of_pips_files(environ: Mapping[str, str]) -> dict[str, str]:
    """What pip's configuration files say of indexes, as pip's variables.

    Args:
        environ: PIP_CONFIG_FILE names the only one, or none at all (/dev/null).
    """
    named = environ.get("PIP_CONFIG_FILE")
    home = Path(environ.get("HOME") or "/nonexistent")
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", own, Path(sys.prefix) / "pip.conf"]
    found: dict[str, str] = {}
    for path in [Path(named)] if named else files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {
                    _IN_PIPS_FILE[key]: value
                    for key, value in parser.items(section)
                    if key in _IN_PIPS_FILE
                    and value.strip()
                    and not (key == "no-index" and value.strip() in {"0", "false"})
                }
    return found
