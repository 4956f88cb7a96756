"""What people subclass to put any Python code behind a model: `PythonModel` and what it is given.

The names, arguments and attributes are MLflow's, because the same classes stand in for MLflow's where mlflow is not
installed (`mlflow_shims`), and take the shape of MLflow's when they are pickled (`pickles`).
"""

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.errors import InvalidInput, LoadFailed

_config: ContextVar[Mapping[str, Any] | None] = ContextVar("model_config", default=None)
_is_loading: ContextVar[bool] = ContextVar("is_loading", default=False)
_registered: ContextVar[list[Any] | None] = ContextVar("registered_model", default=None)


@dataclass
class TypeHints:
    """The hints of a predict function; `input` and `output` are None where there are none. MLflow pickles these names."""

    input: Any = None
    output: Any = None


class PythonModelContext:
    """What `load_context` and `predict` are given.

    Args:
        artifacts: Each artifact's name and its absolute path.
        model_config: The config that the model was saved with, with what was overridden.
    """

    def __init__(self, artifacts: Mapping[str, str] | None = None, model_config: Mapping[str, Any] | None = None) -> None:
        self._artifacts = dict(artifacts or {})
        self._model_config = None if model_config is None else dict(model_config)

    @property
    def artifacts(self) -> dict[str, str]:
        return self._artifacts

    @property
    def model_config(self) -> dict[str, Any] | None:
        return self._model_config


class PythonModel:
    """Subclass this, and write `predict(self, context, model_input, params=None)`; `context` may be left out.

    A hint such as `model_input: list[str]` becomes the model's signature, and input is checked against it.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Called once after loading: read `context.artifacts` here rather than in every prediction."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no predict method")

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no predict_stream method")

    @property
    def predict_type_hints(self) -> TypeHints:
        """The hints of `predict`; MLflow's own wrapper asks for them."""
        from podium.flavors.type_hints import hints_of

        return hints_of(self.predict)


class FunctionPythonModel(PythonModel):
    """A plain function `predict(model_input)` in the shape of a PythonModel.

    Attributes:
        func: The function. MLflow pickles this name.
        signature: What MLflow keeps beside it; not used here.
    """

    def __init__(self, func: Callable[..., Any], signature: Any = None) -> None:
        self.func = func
        self.signature = signature

    @property
    def predict_type_hints(self) -> TypeHints:
        from podium.flavors.type_hints import hints_of

        return hints_of(self.func)

    # Another signature than PythonModel's on purpose: MLflow's wrapper looks at the names of the arguments.
    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:  # type: ignore[override]
        if params is not None and "params" in inspect.signature(self.func).parameters:
            return self.func(model_input, params=params)
        return self.func(model_input)


class ModelConfig:
    """The config of a model that is a .py file: what it was saved with, or `development_config` outside of podium.

    Raises:
        FileNotFoundError: Neither is there.
    """

    def __init__(self, *, development_config: str | Mapping[str, Any] | None = None) -> None:
        found: Any = _config.get() if _is_loading.get() else development_config
        if not found:
            raise FileNotFoundError(
                "This model's code reads a ModelConfig, but the model was saved without one. "
                "Pass model_config= when you save it."
            )
        if not isinstance(found, Mapping) and not Path(found).is_file():
            raise FileNotFoundError(f"Config file '{found}' not found.")
        self.config = found

    def to_dict(self) -> dict[str, Any]:
        if isinstance(self.config, Mapping):
            return dict(self.config)
        # By name: the worker's side needs no YAML, unless a model's own code reads a file of it.
        yaml = importlib.import_module("yaml")
        with Path(self.config).open(encoding="utf-8") as file:
            return dict(yaml.safe_load(file) or {})

    def get(self, key: str) -> Any:
        """One value of the config.

        Raises:
            KeyError: The config has no such key.
        """
        config = self.to_dict()
        if key not in config:
            raise KeyError(f"Key '{key}' not found in configuration: {sorted(config)}.")
        return config[key]


def set_model(model: Any) -> None:
    """Say, in a .py file that is a model, which object is the model: a PythonModel or a function.

    Raises:
        InvalidInput: Neither of the two.
    """
    if not is_python_model(model) and not callable(model):
        raise InvalidInput(
            f"set_model takes a PythonModel or a function of one argument, got {type(model).__name__}. "
            "Save other objects with their own flavor, podium.sklearn for example."
        )
    slot = _registered.get()
    if slot is not None:
        slot.append(model)
    # The same file may be running under MLflow itself, which looks in its own place.
    elsewhere = getattr(sys.modules.get("mlflow.models"), "set_model", None)
    if elsewhere is not None and elsewhere is not set_model:
        elsewhere(model)


def is_python_model(model: Any) -> bool:
    """Whether this is a PythonModel, podium's or MLflow's own."""
    if isinstance(model, PythonModel):
        return True
    return any(base.__module__ == "mlflow.pyfunc.model" and base.__name__ == "PythonModel" for base in type(model).__mro__)


@contextlib.contextmanager
def collecting(config: Mapping[str, Any] | None) -> Iterator[Callable[[], Any]]:
    """While a model's .py file runs: give it `config`, and catch what it hands to set_model.

    Yields:
        A function that returns the model that was set last.

    Raises:
        LoadFailed: Asked for a model when none was set.
    """
    slot: list[Any] = []
    old_config, old_loading, old_slot = _config.set(config), _is_loading.set(True), _registered.set(slot)

    def model() -> Any:
        if not slot:
            raise LoadFailed(
                "The model's code did not say which object is the model. "
                "Call mlflow.models.set_model(...) or podium.pyfunc.set_model(...) at its end."
            )
        return slot[-1]

    try:
        yield model
    finally:
        _config.reset(old_config)
        _is_loading.reset(old_loading)
        _registered.reset(old_slot)
