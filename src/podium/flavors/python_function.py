"""Any Python code as a model: a PythonModel, a function, a .py file, or a loader of the user's own."""

import functools
import inspect
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from podium.domain.model_files.code import entry_needs, pickle_need
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.folders import part_of
from podium.flavors.loader_module import LoaderModuleFlavor
from podium.flavors.mlflow_shims import install
from podium.flavors.model_code import run_model_code, source_of
from podium.flavors.pickles import SUFFIXES, check_allowed, dump_cloudpickle, load_pickle
from podium.flavors.python_model import (
    FunctionPythonModel,
    PythonModel,
    PythonModelContext,
    TypeHints,
    is_python_model,
)
from podium.flavors.type_hints import checked_hint, fit, from_text_frame, hints_of, takes_context

_PICKLE = "python_model.pkl"


class LoadedPythonModel:
    """A PythonModel with its context, called the way MLflow's wrapper calls it."""

    def __init__(
        self, model: Any, context: PythonModelContext, signature: Signature | None, is_streaming: bool = False
    ) -> None:
        self.native = model
        self.context = context
        self._takes_context = takes_context(model.predict)
        self._takes_params = "params" in inspect.signature(model.predict).parameters
        hints = getattr(model, "predict_type_hints", None) or hints_of(model.predict)
        self._hint = hints.input
        self.is_streaming = is_streaming
        self._checks = signature is not None and signature.is_from_type_hint and checked_hint(self._hint) is not None

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call predict with or without context and params, as its arguments say; input first fits its type hint.

        Raises:
            SchemaMismatch: The input does not fit the hint that the signature was made from.
        """
        data = from_text_frame(data, self._hint)
        if self._checks:
            data = fit(data, self._hint)
        arguments = (self.context, data) if self._takes_context else (data,)
        named = {"params": None if params is None else dict(params)} if self._takes_params else {}
        return self.native.predict(*arguments, **named)

    def predict_stream(self, data: Any, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """Call predict_stream likewise; MLflow gives it the one input as it is, without a look at hints."""
        method = self.native.predict_stream
        arguments = (self.context, data) if takes_context(method) else (data,)
        takes_params = "params" in inspect.signature(method).parameters
        named = {"params": None if params is None else dict(params)} if takes_params else {}
        return iter(method(*arguments, **named))


class PythonFunctionFlavor:
    """MLflow's `python_function` flavor, for models that are Python code."""

    name = "python_function"
    loader_modules: tuple[str, ...] = ("mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model")
    options: tuple[str, ...] = ("artifacts", "model_config", "loader_module", "data_path", "compression")

    def claims(self, model: Any) -> bool:
        if isinstance(model, str | Path):
            return Path(model).suffix in {".py", ".ipynb"}
        return is_python_model(model) or (callable(model) and not isinstance(model, type))

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the model and its artifacts.

        Args:
            model: A PythonModel, a function of one argument, the path of a .py file or notebook; None with `loader_module`.
            folder: Existing, empty but for `code/`.
            example: Not needed.
            options: `artifacts` (names and paths), `model_config`, `loader_module` and `data_path`, `compression`
                (`gzip`, `bzip2`, `lzma`).

        Raises:
            InvalidInput: None of these, or arguments that exclude each other.
        """
        del example
        if options.get("loader_module"):
            return self._save_loader(model, folder, options)
        entry: dict[str, Any] = {"streamable": _is_streamable(model)}
        modules: frozenset[str] = frozenset()
        if isinstance(model, str | Path):
            path = Path(model)
            if not path.is_file():
                raise InvalidInput(f"There is no file {path} to take as a model from code.")
            target = folder / f"{path.stem}.py"
            target.write_text(source_of(path), encoding="utf-8")
            # The name alone: MLflow writes the path it had here, and reads only the name.
            entry |= {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": target.name}
        else:
            written, modules = _pickle(model, folder, options.get("compression"))
            entry |= {"loader_module": "mlflow.pyfunc.model", **written}
        if options.get("artifacts"):
            entry["artifacts"] = _copy_artifacts(options["artifacts"], folder)
        if options.get("model_config"):
            entry["config"] = dict(options["model_config"])
        return Saved({"python_function": entry}, [] if "model_code_path" in entry else ["cloudpickle"], modules)

    @staticmethod
    def _save_loader(model: Any, folder: Path, options: Mapping[str, Any]) -> Saved:
        if model is not None or options.get("artifacts"):
            raise InvalidInput(
                "loader_module and data_path exclude python_model and artifacts; pass one pair or the other."
            )
        entry: dict[str, Any] = {"loader_module": str(options["loader_module"]), "streamable": False}
        if options.get("data_path") is not None:
            source = Path(options["data_path"])
            _copy(source, folder / "data" / source.name)
            entry["data"] = f"data/{source.name}"
        if options.get("model_config"):
            entry["config"] = dict(options["model_config"])
        return Saved({"python_function": entry}, [], frozenset({entry["loader_module"].partition(".")[0]}))

    def load(self, stored: Stored) -> Loaded:
        folder, config = stored.folder, stored.config
        entry = stored.of("python_function")
        install()
        model = self._read(stored, entry)
        if _is_chat(model):
            # MLflow's chat classes have wrappers of their own, and cannot be there without mlflow.
            return LoaderModuleFlavor().load(stored)
        artifacts = {
            str(name): str(part_of(folder, facts.get("path"), f"artifacts.{name}"))
            for name, facts in (entry.get("artifacts") or {}).items()
        }
        context = PythonModelContext(artifacts, config)
        if hasattr(model, "load_context"):
            model.load_context(context)
        is_streaming = entry.get("streamable") is not False and _is_streamable(model)
        return LoadedPythonModel(model, context, stored.signature, is_streaming)

    @staticmethod
    def _read(stored: Stored, entry: Mapping[str, Any]) -> Any:
        folder = stored.folder
        if entry.get("model_code_path"):
            path = part_of(folder, os.path.basename(str(entry["model_code_path"])), "model_code_path")
            check_allowed(stored.terms, *entry_needs({"python_function": entry}))
            model = run_model_code(path, stored.config)
        else:
            path = part_of(folder, entry.get("python_model"), "python_model")
            check_allowed(stored.terms, pickle_need(path.name))
            model = load_pickle(path, entry.get("python_model_compression"))
        if is_python_model(model):
            return model
        if callable(model):
            return FunctionPythonModel(model)
        raise InvalidModel(f"{path.name} holds a {type(model).__name__}; expected a PythonModel or a function.")

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        code = loaded.native.func if isinstance(loaded.native, FunctionPythonModel) else loaded.native
        name = getattr(code, "__name__", type(code).__name__)
        return RowIndependence(False, f"{name} is Python code, which nobody can see through")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors, has_gpu
        return ("pandas", "cloudpickle")


def _pickle(model: Any, folder: Path, compression: str | None) -> tuple[dict[str, Any], frozenset[str]]:
    import cloudpickle

    compression = compression or os.environ.get("MLFLOW_LOG_MODEL_COMPRESSION") or None
    if compression is not None and compression not in SUFFIXES:
        raise InvalidInput(f"compression is {compression!r}; expected one of {sorted(SUFFIXES)} or None.")
    if isinstance(model, type):
        raise InvalidInput(f"python_model is the class {model.__name__}; pass an object of it: {model.__name__}(...).")
    if not is_python_model(model) and not callable(model):
        raise InvalidInput(
            f"python_model is a {type(model).__name__}; expected a PythonModel, a function or the path of a .py file."
        )
    wrapped = model if is_python_model(model) else _wrapped(model)
    file = _PICKLE + SUFFIXES.get(compression or "", "")
    try:
        modules = dump_cloudpickle(wrapped, folder / file, compression)
    except Exception as error:
        raise InvalidInput(
            f"{type(model).__name__} cannot be pickled ({type(error).__name__}: {error}). Make what it holds in "
            "load_context, or put the model into a .py file and pass its path (models from code)."
        ) from error
    entry = {"cloudpickle_version": cloudpickle.__version__, "python_model": file}
    if compression:
        entry["python_model_compression"] = compression
    return entry, frozenset(modules)


def _is_chat(model: Any) -> bool:
    kinds = {base.__name__ for base in type(model).__mro__ if base.__module__ == "mlflow.pyfunc.model"}
    return not kinds.isdisjoint({"ChatModel", "ChatAgent", "ResponsesAgent"})


def _wrapped(function: Callable[..., Any]) -> FunctionPythonModel:
    """A function as MLflow keeps it, which calls it with the input alone and takes none that wants more.

    Raises:
        InvalidInput: It takes another number of arguments.
    """
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        # Written in C, and does not say.
        names = [""]
    if len(names) != 1:
        raise InvalidInput(
            f"python_model is a function of the arguments {names}; expected one, the input. For a context and params "
            "subclass podium.pyfunc.PythonModel: predict(self, context, model_input, params=None)."
        )
    model = FunctionPythonModel(function)
    if isinstance(function, functools.partial):
        # MLflow looks for its hints without end, unless it finds them here.
        model.__dict__["_predict_type_hints"] = TypeHints()
    return model


def _is_streamable(model: Any) -> bool:
    own = next((each for each in type(model).__mro__ if "predict_stream" in vars(each)), None)
    # MLflow's own class of that name has the method too, which only says that there is none.
    return is_python_model(model) and own is not None and own.__name__ != PythonModel.__name__


def _copy_artifacts(artifacts: Mapping[str, Any], folder: Path) -> dict[str, dict[str, str]]:
    """Copy each artifact to `artifacts/`, under its own name, or in a folder of its own where that is taken."""
    entries: dict[str, dict[str, str]] = {}
    taken: dict[Path, str] = {}
    for name, uri in artifacts.items():
        source = Path(str(uri).removeprefix("file://").removeprefix("file:")).expanduser()
        if "://" in str(source) or not source.exists():
            raise InvalidInput(f"Artifact {name!r} is {str(uri)!r}; expected an existing file or folder on this machine.")
        source = source.resolve()
        relative = taken.get(source)
        if relative is None:
            relative = f"artifacts/{source.name}"
            if (folder / relative).exists():
                relative = f"artifacts/{len(taken)}/{source.name}"
            _copy(source, folder / relative)
            taken[source] = relative
        entries[str(name)] = {"path": relative, "uri": str(uri)}
    return entries


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        raise InvalidInput(f"There is no {source} to copy into the model.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
