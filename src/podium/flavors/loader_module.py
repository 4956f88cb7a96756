"""Models of flavors that podium does not know, through their own loader: a module in `code/`, or MLflow's."""

import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from podium.domain.model_files.code import CodeNeed, refuse
from podium.domain.signature import Signature
from podium.errors import InvalidModel, LoadFailed
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.folders import part_of
from podium.flavors.mlflow_shims import install, is_mlflow_importable


class LoadedByModule:
    """What a `_load_pyfunc` function returned: an object with the methods that MLmodel names.

    Args:
        native: The object.
        method: Predicts.
        stream: Answers in parts; None where the model does not.
    """

    def __init__(self, native: Any, method: str, stream: str | None = None) -> None:
        self.native = native
        self.is_streaming = stream is not None and callable(getattr(native, stream, None))
        self._call = getattr(native, method)
        self._takes_params = _takes_params(self._call)
        self._stream = getattr(native, stream) if stream is not None and self.is_streaming else None

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        if self._takes_params:
            return self._call(data, params=None if params is None else dict(params))
        return self._call(data)

    def predict_stream(self, data: Any, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        assert self._stream is not None
        named = {"params": None if params is None else dict(params)} if _takes_params(self._stream) else {}
        return iter(self._stream(data, **named))


def _takes_params(method: Callable[..., Any]) -> bool:
    params = inspect.signature(method).parameters.get("params")
    return params is not None and params.kind is not inspect.Parameter.VAR_KEYWORD


class LoaderModuleFlavor:
    """Whatever has a `_load_pyfunc(path)` or `_load_pyfunc(path, model_config)`."""

    name = "loader_module"
    loader_modules: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def claims(self, model: Any) -> bool:
        del model
        return False

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        del model, folder, example, options
        raise InvalidModel(
            "podium does not save models of flavors that it does not know; podium.pyfunc takes a loader_module."
        )

    def load(self, stored: Stored) -> Loaded:
        folder, config = stored.folder, stored.config
        entry = stored.of("python_function")
        name = str(entry.get("loader_module"))
        # Also a loader that has podium's name for a flavor: here it is MLflow's, which unpickles.
        refuse([CodeNeed(f"loader_module {name}", "is a loader that is not podium's")], stored.terms, os.environ)
        install()
        load = self._find(name, [each for each in stored.flavors if each != "python_function"])
        path = part_of(folder, entry["data"], "data") if entry.get("data") else folder.resolve()
        native = load(str(path), config) if config else load(str(path))
        method = str(entry.get("predict_fn") or "predict")
        if not hasattr(native, method):
            raise InvalidModel(f"What {name} loaded, a {type(native).__name__}, has no method {method}.")
        stream = str(entry.get("predict_stream_fn") or "predict_stream") if entry.get("streamable") else None
        return LoadedByModule(native, method, stream)

    @staticmethod
    def _find(name: str, libraries: list[str]) -> Any:
        if name.startswith("mlflow.") and not is_mlflow_importable():
            packages = " ".join(["mlflow", *libraries])
            raise LoadFailed(
                f"podium has no loader of its own for {name}, and mlflow, which has one, is not installed in this "
                f"environment. Run: pip install {packages}",
                cause="import_error",
            )
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise LoadFailed(
                f"MLmodel's loader_module is {name}, and importing it failed: {error}. It belongs into the model's "
                "code/ folder (code_paths= when the model is saved) or into a package of this environment, such as the "
                "flavor plugin that the model was saved with.",
                cause="import_error",
            ) from error
        if not hasattr(module, "_load_pyfunc"):
            raise InvalidModel(f"MLmodel's loader_module {name} has no function _load_pyfunc.")
        return module._load_pyfunc

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        return RowIndependence(False, f"a {type(loaded.native).__name__} that podium cannot see through")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors, has_gpu
        return ()
