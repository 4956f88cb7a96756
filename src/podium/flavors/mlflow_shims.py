"""Stand-ins for the few parts of MLflow that models name, for interpreters without mlflow.

A cloudpickled PythonModel that MLflow saved names MLflow's classes, and a model that is a .py file imports them. Where
mlflow is installed it is used and nothing here happens. Where it is not, `install` puts small modules in its place, which
know exactly the names below; whatever else is asked of them says that mlflow must be installed.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from podium.domain.error_codes import NAMES, NUMBERS, STATUSES
from podium.flavors.python_model import (
    FunctionPythonModel,
    ModelConfig,
    PythonModel,
    PythonModelContext,
    TypeHints,
    set_model,
)


class MlflowException(Exception):
    """What models raise as `mlflow.exceptions.MlflowException`; its text and status are meant for the client.

    Args:
        message: For the client.
        error_code: The number of one of MLflow's codes, such as 3002; whatever else it is, is an internal error.
        sqlstate: A finer word for programs; None takes the code's.
        error_class: Likewise.
        facts: Kept as they are.
    """

    def __init__(
        self,
        message: object = "",
        error_code: object = NUMBERS["INTERNAL_ERROR"],
        sqlstate: str | None = None,
        error_class: str | None = None,
        **facts: Any,
    ) -> None:
        self.message = str(message)
        self.error_code = NAMES.get(error_code, "INTERNAL_ERROR") if isinstance(error_code, int) else "INTERNAL_ERROR"
        self.sqlstate = sqlstate
        self.error_class = error_class
        self.json_kwargs = facts
        super().__init__(self.message)

    def get_http_status_code(self) -> int:
        return STATUSES.get(self.error_code, 500)

    @classmethod
    def invalid_parameter_value(cls, message: str, **facts: Any) -> "MlflowException":
        return cls(message, error_code=NUMBERS["INVALID_PARAMETER_VALUE"], **facts)


class FuncInfo(NamedTuple):
    """The hint of a predict function's input, as MLflow's wrapper keeps it."""

    input_type_hint: Any
    input_param_name: str


class CarriedObject:
    """An object of MLflow's that a pickle carries along and nobody here asks anything of: a signature, a column."""

    def __init__(self, *arguments: Any, **facts: Any) -> None:
        self.arguments = arguments
        self.facts = facts

    def __setstate__(self, state: Any) -> None:
        self.facts = state if isinstance(state, dict) else {"state": state}

    def __hash__(self) -> int:
        return id(self)


def pyfunc(function: Callable[..., Any]) -> Callable[..., Any]:
    """MLflow's decorator: input is checked against the function's type hint, which podium does for every function."""
    return function


def _validate_model_input(
    arguments: tuple[Any, ...], named: dict[str, Any], position: int, hint: Any, name: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What MLflow's wrapper round a pickled predict function calls first."""
    from podium.flavors.type_hints import fit

    if name in named:
        return arguments, {**named, name: fit(named[name], hint)}
    if len(arguments) > position:
        return (*arguments[:position], fit(arguments[position], hint), *arguments[position + 1 :]), named
    return arguments, named


_SCHEMA = (
    "AnyType", "Array", "ColSpec", "DataType", "Map", "Object", "ParamSchema", "ParamSpec",
    "Property", "Schema", "SparkMLVector", "TensorInfo", "TensorSpec",
)  # fmt: skip

_NAMES: dict[str, dict[str, Any]] = {
    "mlflow": {},
    "mlflow.exceptions": {"MlflowException": MlflowException},
    "mlflow.models": {"ModelConfig": ModelConfig, "set_model": set_model, "ModelSignature": CarriedObject},
    "mlflow.models.model": {"set_model": set_model},
    "mlflow.models.model_config": {"ModelConfig": ModelConfig},
    "mlflow.models.signature": {"ModelSignature": CarriedObject, "_TypeHints": TypeHints},
    "mlflow.protos": {},
    "mlflow.protos.databricks_pb2": dict(NUMBERS),
    "mlflow.pyfunc": {"PythonModel": PythonModel, "PythonModelContext": PythonModelContext},
    "mlflow.pyfunc.model": {
        "PythonModel": PythonModel,
        "PythonModelContext": PythonModelContext,
        "_FunctionPythonModel": FunctionPythonModel,
    },
    "mlflow.pyfunc.utils": {"pyfunc": pyfunc},
    "mlflow.pyfunc.utils.data_validation": {
        "FuncInfo": FuncInfo,
        "_validate_model_input": _validate_model_input,
        "pyfunc": pyfunc,
    },
    "mlflow.types": {},
    "mlflow.types.schema": dict.fromkeys(_SCHEMA, CarriedObject),
}

ADVICE = "mlflow is not installed here, and podium stands in for a few of its names only. Run: pip install mlflow"


class _StandIn(ModuleType):
    """A module of MLflow's with the names that models need."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"This model's code asks for {self.__name__}.{name}; {ADVICE}")


class _Finder(importlib.abc.MetaPathFinder):
    """Says what is missing when a model imports another module of MLflow's."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        del path, target
        if fullname.startswith("mlflow.") and isinstance(sys.modules.get("mlflow"), _StandIn):
            raise ModuleNotFoundError(f"This model's code imports {fullname}; {ADVICE}", name=fullname)


def is_mlflow_importable() -> bool:
    """Whether the real mlflow is in this interpreter; it is not imported to find out."""
    if isinstance(sys.modules.get("mlflow"), _StandIn):
        return False
    return "mlflow" in sys.modules or importlib.util.find_spec("mlflow") is not None


def install() -> bool:
    """Put the stand-ins in place, once, unless mlflow is installed.

    Returns: Whether they are in place.
    """
    if is_mlflow_importable():
        return False
    if "mlflow" in sys.modules:
        return True
    # A package before what is in it.
    for name, contents in sorted(_NAMES.items()):
        module = _StandIn(name, "Stands in for MLflow's module of this name; made by podium.")
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        module.__dict__.update(contents)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    sys.meta_path.insert(0, _Finder())
    return True


def stands_in_for(module: str, name: str | None = None) -> bool:
    """Whether podium has a stand-in for this module, or this name in it; requirements need no mlflow for those."""
    if module not in _NAMES:
        return False
    return name is None or name in _NAMES[module] or f"{module}.{name}" in _NAMES
