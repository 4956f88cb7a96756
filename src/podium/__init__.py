"""podium serves MLflow models in production: package, register, serve, swap without losing a request.

Importing podium imports no ML library; each name below is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

from podium._version import __version__

if TYPE_CHECKING:
    from podium.api.packaging import ReferenceData, infer_signature, load_model, log_model, save_model
    from podium.api.registering import Registry
    from podium.api.rolling import Rollouts
    from podium.api.serving import Server, serve

__all__ = [
    "ReferenceData",
    "Registry",
    "Rollouts",
    "Server",
    "__version__",
    "infer_signature",
    "load_model",
    "log_model",
    "save_model",
    "serve",
]

_HOMES = {
    "ReferenceData": "podium.api.packaging",
    "Registry": "podium.api.registering",
    "Rollouts": "podium.api.rolling",
    "Server": "podium.api.serving",
    "infer_signature": "podium.api.packaging",
    "load_model": "podium.api.packaging",
    "log_model": "podium.api.packaging",
    "save_model": "podium.api.packaging",
    "serve": "podium.api.serving",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in {"sklearn", "onnx", "pyfunc", "pytorch", "keras", "tensorflow", "errors"}:
        return importlib.import_module(f"podium.{name}")
    raise AttributeError(f"module 'podium' has no attribute {name!r}")
