"""Reading and writing pickles: whether it is allowed, what MLflow will find in them, which modules they name.

A model that podium pickled must load where there is MLflow and no podium. So podium's own `PythonModel` and its kin are
written as MLflow's classes of the same shape; read back here, those names lead to podium's again (`mlflow_shims`).
"""

import bz2
import dis
import gzip
import importlib
import io
import lzma
import operator
import os
import pickle
import pickletools
import sys
import types
import zlib
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.model_files.code import CodeNeed, refuse
from podium.errors import InvalidModel, LoadFailed, MissingDependency
from podium.flavors.mlflow_shims import stands_in_for
from podium.flavors.python_model import FunctionPythonModel, ModelConfig, PythonModel, PythonModelContext, TypeHints
from podium.flavors.type_hints import checked_hint, hints_of

_OPENERS: dict[str | None, Callable[..., Any]] = {
    None: open,
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "lzma": lzma.open,
}
SUFFIXES = {"gzip": ".gz", "bzip2": ".bz2", "lzma": ".xz"}

_IN_MLFLOW: dict[type, tuple[str, str]] = {
    PythonModel: ("mlflow.pyfunc.model", "PythonModel"),
    PythonModelContext: ("mlflow.pyfunc.model", "PythonModelContext"),
    FunctionPythonModel: ("mlflow.pyfunc.model", "_FunctionPythonModel"),
    ModelConfig: ("mlflow.models.model_config", "ModelConfig"),
    TypeHints: ("mlflow.models.signature", "_TypeHints"),
}


def check_allowed(terms: LoadTerms, *needs: CodeNeed) -> None:
    """Ask once more in the moment in which a flavor opens what can run code; `models.load` asked for the whole folder.

    Args:
        terms: `Stored.terms`.
        needs: What is about to run: `pickle_need("model.pkl")`, or a `CodeNeed`.

    Raises:
        LoadFailed: Neither the terms nor MLflow's `MLFLOW_ALLOW_PICKLE_DESERIALIZATION` may forbid it.
    """
    refuse(needs, terms, os.environ)


def load_pickle(path: Path, compression: str | None = None) -> Any:
    """Unpickle a file; cloudpickle is imported first where it is there, as its pickles need it by name anyway.

    Raises:
        InvalidModel: An unknown compression, or a damaged file.
        LoadFailed: It names what a script defined.
        MissingDependency: The pickle was made by cloudpickle, which is not installed.
    """
    if compression not in _OPENERS:
        known = sorted(SUFFIXES)
        raise InvalidModel(f"MLmodel's python_model_compression is {compression!r}; known are {known}.")
    try:
        with _OPENERS[compression](path, "rb") as file:
            return pickle.load(file)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "cloudpickle":
            raise MissingDependency("cloudpickle", f"Loading {path.name}", "all") from error
        raise
    except (pickle.UnpicklingError, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise InvalidModel(
            f"{path} is damaged or no pickle ({type(error).__name__}: {error}). "
            "Copy the model's folder anew, or save it again."
        ) from error
    except AttributeError as error:
        if not names_main(path, compression):
            raise
        raise LoadFailed(
            f"{path.name} names what only the script that saved it has ({error}). Save the model again with cloudpickle "
            "(serialization_format='cloudpickle'), or move the code into a module and pass code_paths."
        ) from error


def dump_cloudpickle(model: Any, path: Path, compression: str | None = None, protocol: int | None = None) -> set[str]:
    """Pickle by value whatever is not in an importable module, and return the top-level modules that the pickle names."""
    with _OPENERS[compression](path, "wb") as file:
        return _dump(model, file, protocol)


def pickler_module() -> types.ModuleType:
    """What `torch.save` takes as its pickle module: cloudpickle, with podium's classes written as MLflow's.

    Raises:
        MissingDependency: cloudpickle is not installed.
    """
    module = types.ModuleType("podium_pickles")
    module.__dict__.update(Pickler=_pickler_class(), Unpickler=pickle.Unpickler, dump=pickle.dump, load=pickle.load)
    return module


def modules_in(model: Any) -> set[str]:
    """The top-level modules that a pickle of this object names, without keeping the pickle."""
    return _dump(model, _Nowhere(), None)


def names_main(path: Path, compression: str | None = None) -> bool:
    """Whether a pickle names something of `__main__`, which is another module wherever it is read."""
    with _OPENERS[compression](path, "rb") as file:
        named = (argument for _, argument, _ in pickletools.genops(file))
        # Older protocols have module and name in one.
        return any(isinstance(each, str) and each.partition(" ")[0] == "__main__" for each in named)


def _dump(model: Any, file: Any, protocol: int | None) -> set[str]:
    pickler = _pickler_class()(file, protocol=protocol)
    pickler.dump(model)
    found: set[str] = pickler.modules
    return found


class _Nowhere(io.RawIOBase):
    """A file that forgets."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        # Large arrays come as buffers, which have no len().
        return memoryview(data).nbytes


class _Module:
    """Pickles as a module looked up by name: a class reached through it is not checked to be the one that was pickled."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.name,)


def _pickler_class() -> Any:
    try:
        import cloudpickle
    except ImportError as error:
        raise MissingDependency("cloudpickle", "Pickling this model", "all") from error

    # Modules of the user's that cloudpickle was told to take along.
    by_value: AbstractSet[str] = cloudpickle.cloudpickle.list_registry_pickle_by_value()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """cloudpickle, with podium's classes written as MLflow's and the modules noted that are named."""

        def __init__(self, file: Any, protocol: int | None = None) -> None:
            super().__init__(file, protocol=protocol)
            self.modules: set[str] = set()

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, type) and obj in _IN_MLFLOW:
                module, name = _IN_MLFLOW[obj]
                return getattr, (_Module(module), name)
            named = str(getattr(obj, "__module__", "")), str(getattr(obj, "__qualname__", ""))
            if type(obj) is FunctionPythonModel and checked_hint(hints_of(obj.func).input) is not None:
                # By its constructor, which is where MLflow has input checked against the function's type hint.
                return FunctionPythonModel, (obj.func,)
            if type(obj) not in _IN_MLFLOW and not isinstance(obj, _Module) and not stands_in_for(*named):
                self.modules |= _modules_of(obj, by_value)
            reduced = super().reducer_override(obj)
            return _with_checked_predict(obj, reduced) if isinstance(reduced, tuple) else reduced

    return Pickler


def _with_checked_predict(obj: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """A class as cloudpickle reduces it, its `predict` handed to MLflow's decorator when it is read.

    MLflow checks input against the type hint, and makes objects of it, by wrapping predict when a class is made by a
    `class` statement; one that comes out of a pickle it leaves as it is.
    """
    predict = vars(obj).get("predict") if isinstance(obj, type) and issubclass(obj, PythonModel) else None
    if not isinstance(predict, types.FunctionType) or checked_hint(hints_of(predict).input) is None:
        return reduced
    make, arguments, (contents, slots), *rest = reduced
    contents = {**contents, "predict": _Decorated(predict)}
    return (make, arguments, (contents, slots), *rest)


class _Decorated:
    """Pickles as what MLflow's decorator makes of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.methodcaller("pyfunc", self.function), (_Module("mlflow.pyfunc.utils.data_validation"),)


def _modules_of(obj: Any, by_value: AbstractSet[str]) -> set[str]:
    """The modules that the pickle of one object names itself; what it holds comes separately."""
    if isinstance(obj, types.ModuleType):
        return {obj.__name__.partition(".")[0]}
    if isinstance(obj, types.CodeType):
        return _imports_in(obj)
    if isinstance(obj, types.FunctionType):
        return _top(obj.__module__) if _is_importable(obj, by_value) else _imports_in(obj.__code__)
    if isinstance(obj, type | types.BuiltinFunctionType):
        return _top(getattr(obj, "__module__", None)) if _is_importable(obj, by_value) else set()
    return set()


def _is_importable(obj: Any, by_value: AbstractSet[str]) -> bool:
    """Whether cloudpickle writes a function or class by its name, so that its module is needed to read it."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", "")
    if module is None or module == "__main__" or any(module == each or module.startswith(f"{each}.") for each in by_value):
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is obj


def _imports_in(code: types.CodeType) -> set[str]:
    """Modules that a function's body imports when it runs: cloudpickle cannot see them, the interpreter will want them."""
    found: set[str] = set()
    module = ""
    for instruction in dis.get_instructions(code):
        name = str(instruction.argval)
        if instruction.opname == "IMPORT_NAME" and name:
            module = name
        # What podium stands in for is no import of mlflow; a name beside those is.
        if (instruction.opname == "IMPORT_NAME" and name and not stands_in_for(name)) or (
            instruction.opname == "IMPORT_FROM" and stands_in_for(module) and not stands_in_for(module, name)
        ):
            found.add(module.partition(".")[0])
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _imports_in(constant)
    return found


def _top(module: object) -> set[str]:
    return {module.partition(".")[0]} if isinstance(module, str) else set()
