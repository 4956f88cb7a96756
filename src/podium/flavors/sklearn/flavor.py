"""scikit-learn: skops by default, cloudpickle or pickle on request or where skops cannot hold the estimator."""

import json
import pickle
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.domain.model_files.code import CodeNeed, pickle_need
from podium.domain.model_files.skops_types import foreign_types, is_trusted_type
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, MissingDependency
from podium.flavors.claims import Claim, Inputs
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.conversions import Converter
from podium.flavors.folders import part_of
from podium.flavors.notes import note
from podium.flavors.pickles import check_allowed, dump_cloudpickle, load_pickle, modules_in, names_main
from podium.flavors.sklearn.conversion import EstimatorConverter
from podium.flavors.sklearn.forests import direct_forest
from podium.flavors.sklearn.rows import rows_of
from podium.flavors.sklearn.shortcuts import claims_of
from podium.flavors.sklearn.skops_library import skops_io

SKOPS, CLOUDPICKLE, PICKLE = "skops", "cloudpickle", "pickle"
_FORMATS = (SKOPS, CLOUDPICKLE, PICKLE)
FILES = {SKOPS: "model.skops", CLOUDPICKLE: "model.pkl", PICKLE: "model.pkl"}
# Whose types a model's author trusts by having made the model of them.
TRUSTED_PACKAGES = ("sklearn", "numpy", "scipy")
# What reading a file of either kind imports: skops looks through all of scikit-learn, a pickle names what it holds.
_BY_SKOPS = ("podium.flavors.sklearn.skops_library:skops_io",)
_BY_PICKLES = ("sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing")
_PREDICT_FNS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "score")


class LoadedEstimator:
    """An estimator and the one method of it that answers requests."""

    def __init__(self, estimator: Any, method: str) -> None:
        self.native = estimator
        self.method = method
        self._call: Callable[..., Any] = getattr(estimator, method)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the method; params are ignored, as in MLflow."""
        del params
        return self._call(data)

    def hasten(self) -> None:
        """Call a forest without its thread pool, where that is proven to answer the same."""
        self._call = direct_forest(self.native, self.method) or self._call

    def claims(self, inputs: Inputs) -> Sequence[Claim]:
        """See `flavors.contract.HasShortcut`."""
        return claims_of(self.native, self.method, inputs)

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`."""
        return EstimatorConverter(self.native, self.method)


class SklearnFlavor:
    """MLflow's `sklearn` flavor."""

    name = "sklearn"
    loader_modules: tuple[str, ...] = ("mlflow.sklearn",)
    options: tuple[str, ...] = ("serialization_format", "pyfunc_predict_fn", "skops_trusted_types")

    def claims(self, model: Any) -> bool:
        module = sys.modules.get("sklearn.base")
        return module is not None and isinstance(model, module.BaseEstimator)

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the estimator.

        Args:
            model: A fitted estimator.
            folder: Existing, empty.
            example: Not needed.
            options: `serialization_format` (`skops`, `cloudpickle`, `pickle`; None: skops where it can),
                `pyfunc_predict_fn`, `skops_trusted_types`.

        Raises:
            InvalidInput: An unknown format or predict function, or skops was asked for and cannot hold the estimator.
        """
        del example
        import sklearn

        asked, method = options.get("serialization_format"), options.get("pyfunc_predict_fn") or "predict"
        trusted: Sequence[str] | None = options.get("skops_trusted_types")
        if isinstance(model, type) or not any(hasattr(model, each) for each in ("fit", "predict", "transform")):
            raise InvalidInput(
                f"sk_model is {model.__name__ + ', a class' if isinstance(model, type) else 'a ' + type(model).__name__}; "
                "expected a fitted scikit-learn estimator or pipeline."
            )
        if method not in _PREDICT_FNS:
            raise InvalidInput(f"pyfunc_predict_fn is {method!r}; expected one of {list(_PREDICT_FNS)}.")
        chosen, trusted, modules = write_estimator(model, folder, asked, trusted)
        file = FILES[chosen]
        entries: dict[str, dict[str, Any]] = {
            "sklearn": {
                "code": None,
                "pickled_model": file,
                "serialization_format": chosen,
                "skops_trusted_types": None if trusted is None else list(trusted),
                "sklearn_version": sklearn.__version__,
            }
        }
        if hasattr(model, method):
            entries["python_function"] = {"loader_module": "mlflow.sklearn", "model_path": file, "predict_fn": method}
        needed = {SKOPS: ["skops"], CLOUDPICKLE: ["cloudpickle"], PICKLE: []}[chosen]
        return Saved(entries, ["scikit-learn", *needed], frozenset(modules))

    def load(self, stored: Stored) -> Loaded:
        method = str(stored.of("python_function").get("predict_fn") or "predict")
        estimator = load_estimator(stored.folder, stored.flavors, stored.terms)
        if not hasattr(estimator, method):
            raise InvalidModel(f"{type(estimator).__name__} has no method {method}, which MLmodel's predict_fn names.")
        return LoadedEstimator(estimator, method)

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        return rows_of(loaded.native, loaded.method if isinstance(loaded, LoadedEstimator) else "predict")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del has_gpu
        is_skops = (flavors.get("sklearn") or {}).get("serialization_format") == SKOPS
        return ("pandas", *_BY_SKOPS) if is_skops else ("pandas", *_BY_PICKLES)


def load_estimator(folder: Path, flavors: Mapping[str, Mapping[str, Any]], terms: LoadTerms = DEFAULT_TERMS) -> Any:
    """The estimator itself; works for transformers too, which have no predict and so no python_function entry.

    An absent serialization_format means pickle, as in files of MLflow 1.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    own, pyfunc = flavors.get("sklearn", {}), flavors.get("python_function", {})
    if "sklearn" not in flavors and pyfunc.get("loader_module") not in SklearnFlavor.loader_modules:
        raise InvalidModel(f"The model holds no scikit-learn estimator; its flavors are {sorted(flavors)}.")
    file = pyfunc.get("model_path") or pyfunc.get("data") or own.get("pickled_model")
    path = part_of(folder, file, "model_path")
    return read_estimator(path, own.get("serialization_format") or PICKLE, own.get("skops_trusted_types"), terms)


def read_estimator(path: Path, written: str, trusted: Sequence[str] | None, terms: LoadTerms = DEFAULT_TERMS) -> Any:
    """The estimator in a file.

    Args:
        path: The file.
        written: Its format, MLmodel's `serialization_format`.
        trusted: What MLmodel's `skops_trusted_types` says; counts only where the terms allow code.
        terms: Whether the file may run code.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    if written not in _FORMATS:
        raise InvalidModel(f"MLmodel's serialization_format is {written!r}; podium reads {list(_FORMATS)}.")
    is_skops = written == SKOPS
    by_mlflow = CodeNeed(path.name, "is a skops file, whose trusted types are its author's", is_pickle=True, is_code=False)
    check_allowed(terms, by_mlflow if is_skops else pickle_need(path.name, "Save it with serialization_format='skops'"))
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingDependency("scikit-learn", "This model", "sklearn") from error
    if written != SKOPS:
        return load_pickle(path)
    try:
        io = skops_io()
    except ImportError as error:
        raise MissingDependency("skops", "This model (serialization_format: skops)", "sklearn") from error
    try:
        trusted = trusted if terms.allows_code else _trusted_by_us(path, terms)
        return io.load(path, trusted=trusted)
    except zipfile.BadZipFile as error:
        raise InvalidModel(
            f"{path} is damaged or no skops file ({error}). Copy the model's folder anew, or save it again."
        ) from error


def _trusted_by_us(path: Path, terms: LoadTerms) -> list[str]:
    """The types that skops asks about, where all of the file's are on podium's own list; what MLmodel says does not count.

    Raises:
        LoadFailed: One is not.
    """
    with zipfile.ZipFile(path) as archive:
        foreign = foreign_types(json.loads(archive.read("schema.json")))
    if foreign:
        check_allowed(terms, CodeNeed(path.name, f"holds types beyond podium's own list: {', '.join(foreign[:5])}"))
    return [name for name in skops_io().get_untrusted_types(file=path) if is_trusted_type(name)]


def write_estimator(
    model: Any,
    folder: Path,
    asked: str | None,
    trusted: Sequence[str] | None,
    packages: Sequence[str] = TRUSTED_PACKAGES,
) -> tuple[str, Sequence[str] | None, set[str]]:
    """Write the file; returns its format, the types to trust when it is read, and the top-level modules it names.

    Args:
        model: The estimator.
        folder: Gets `model.skops` or `model.pkl`.
        asked: The format; None takes skops where it can, else cloudpickle with a note that says why.
        trusted: Names of types to trust beside those of `packages`.
        packages: Whose types are trusted.

    Raises:
        InvalidInput: An unknown format, or one that cannot hold the estimator.
    """
    if asked is not None and asked not in _FORMATS:
        raise InvalidInput(f"serialization_format is {asked!r}; expected one of {list(_FORMATS)}.")
    if asked in {None, SKOPS}:
        needed = _write_skops(model, folder / FILES[SKOPS], trusted, packages)
        if not isinstance(needed, str):
            return SKOPS, needed, modules_in(model)
        (folder / FILES[SKOPS]).unlink(missing_ok=True)
        if asked == SKOPS:
            raise InvalidInput(needed)
        note(f"Saved with cloudpickle instead of skops: {needed}")
    path = folder / FILES[PICKLE]
    if asked != PICKLE:
        return CLOUDPICKLE, trusted, dump_cloudpickle(model, path, protocol=pickle.DEFAULT_PROTOCOL)
    try:
        with path.open("wb") as file:
            pickle.dump(model, file, protocol=pickle.DEFAULT_PROTOCOL)
    except Exception as error:
        raise InvalidInput(
            f"pickle cannot hold this {type(model).__name__} ({type(error).__name__}: {error}). "
            "It takes no lambdas and local classes; serialization_format='cloudpickle' does."
        ) from error
    if names_main(path):
        note(
            "The pickle names functions or classes of this script or notebook, and will load nowhere else. "
            "serialization_format='cloudpickle' takes them along."
        )
    return PICKLE, trusted, modules_in(model)


def _write_skops(
    model: Any, path: Path, trusted: Sequence[str] | None, packages: Sequence[str]
) -> Sequence[str] | str | None:
    """Write with skops and read back, as MLflow does.

    Types of scikit-learn and of what it is built upon are trusted: this is the author's own object, and skops knows no
    tree of any forest. They are written into the model, where plain MLflow finds them too.

    Returns: The types to trust; or a sentence that says what is in the way.
    """
    try:
        io = skops_io()
    except ImportError:
        return 'skops is not installed. Run: pip install "podium[sklearn]"'
    try:
        io.dump(model, path)
        unknown = [name for name in io.get_untrusted_types(file=path) if name not in (trusted or ())]
        if foreign := [name for name in unknown if name.partition(".")[0] not in packages]:
            return _foreign(foreign)
        needed = sorted({*(trusted or ()), *unknown}) if unknown else trusted
        io.load(path, trusted=None if needed is None else list(needed))
    except Exception as error:  # noqa: BLE001 - skops raises whatever an object's own state does
        return (
            f"skops cannot hold this {type(model).__name__} ({type(error).__name__}: {error}). "
            "It takes no functions and classes from inside of others; serialization_format='cloudpickle' does."
        )
    return needed


def _foreign(names: Sequence[str]) -> str:
    if own := [name for name in names if name.startswith("__main__.")]:
        return (
            f"the model holds {own}, which skops writes by name only and nothing finds outside of this script or notebook. "
            "serialization_format='cloudpickle' takes them along; or move them into a module and pass code_paths."
        )
    return (
        f"the model holds types that skops does not trust: {names}. "
        f"If you trust them, pass skops_trusted_types={names}; or pass serialization_format='cloudpickle'."
    )
