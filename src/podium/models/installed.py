"""What is installed in this interpreter; standard library only, for the worker's side asks too."""

import importlib.metadata
from collections.abc import Iterable


def installed_version(name: str) -> str | None:
    """The version of an installed package; None where it is missing, or its name cannot be one."""
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def installed_versions(names: Iterable[str]) -> dict[str, str | None]:
    """The same for each of several."""
    return {name: installed_version(name) for name in names}
