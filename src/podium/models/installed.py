"""What is installed in this interpreter; standard library only, for the worker's side asks too."""

import importlib.metadata
from collections.abc import Iterable

# Packages that bring the same modules: whichever is there meets a requirement on another.
_TWINS = (
    ("xgboost", "xgboost-cpu"),
    ("tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tensorflow-macos"),
    ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino"),
    ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"),
    ("faiss-cpu", "faiss-gpu"),
    ("psycopg2", "psycopg2-binary"),
)


def installed_version(name: str) -> str | None:
    """The version of an installed package or of its twin; None where both are missing, or its name cannot be one."""
    plain = name.lower().replace("_", "-").replace(".", "-")
    twins = next((each for each in _TWINS if plain in each), ())
    return next((found for each in (name, *twins) if (found := _version(each)) is not None), None)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None


def installed_versions(names: Iterable[str]) -> dict[str, str | None]:
    """The same for each of several."""
    return {name: installed_version(name) for name in names}
