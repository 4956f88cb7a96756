"""What loading a model folder would run: MLmodel's own words, and what the files that it names are.

Standard library only and nothing of the model's: no ML library is imported, nothing is unpickled. The worker asks before
it loads, whoever builds an environment before it builds, and `podium models show` for people. A file that is missing
needs nothing: loading will say so.
"""

import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.domain.model_files.code import CodeNeed, entry_needs, pickle_need, pickles_allowed, refuse
from podium.domain.model_files.skops_types import foreign_types
from podium.models.archive_needs import pytorch_needs, tensorflow_needs

_LARGEST_SCHEMA = 256 << 20
_SAVE_SKOPS = "Save it with serialization_format='skops'"
_XGBOOST = re.compile(r"xgboost\.(core\.Booster|sklearn\.XGB(RF)?(Classifier|Regressor|Ranker|Model))")
_LIGHTGBM = re.compile(r"lightgbm\.(basic\.Booster|sklearn\.LGBM(Classifier|Regressor|Ranker|Model))")
_CATBOOST = re.compile(r"CatBoost(Classifier|Regressor|Ranker)?")
_KERAS = frozenset({"keras", "tensorflow"})
_PLAIN_PROVIDERS = frozenset({"CPUExecutionProvider", "CUDAExecutionProvider"})


def check_code(folder: Path, mlmodel: Mapping[str, Any], terms: LoadTerms, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse a model that needs code which the terms do not allow; nothing of it was run.

    Raises:
        LoadFailed: With the cause `code_not_allowed`.
    """
    if not terms.allows_code or not pickles_allowed(environ):
        refuse(code_needs(folder, mlmodel), terms, environ)


def code_needs(folder: Path, mlmodel: Mapping[str, Any]) -> list[CodeNeed]:
    """Everything that loading this model would run, for people and for `check_code`; empty for a model of data alone.

    Args:
        folder: The model's folder.
        mlmodel: The whole MLmodel file.
    """
    flavors = {name: entry or {} for name, entry in (mlmodel.get("flavors") or {}).items()}
    pyfunc = flavors.get("python_function") or {}
    loader = str(pyfunc.get("loader_module", "")).removeprefix("mlflow.")
    # Without a loader the library's own load_model reads it: a transformer, a model with several tensors.
    looks = [name for name in _LOOKS if name == loader or (not pyfunc and name in flavors)]
    # Which entry TensorFlow's loader goes by is decided by which there are.
    pairs = [(name, own) for name in looks for own in (sorted(_KERAS & {*flavors}) if name in _KERAS else []) or [name]]
    found = [need for name, own in pairs for need in _LOOKS[name](folder, flavors.get(own) or {}, pyfunc)]
    return list(dict.fromkeys([*entry_needs(flavors), *found]))


def skops_needs(path: Path, named: str) -> list[CodeNeed]:
    """What a skops file holds beyond podium's own list of types."""
    remedy = "Save it with types of scikit-learn's own, or as ONNX"
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("schema.json")
            if member.file_size > _LARGEST_SCHEMA:
                return [CodeNeed(named, "has a schema too large to be looked through", remedy)]
            foreign = foreign_types(json.loads(archive.read(member)))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
        return [CodeNeed(named, f"is no skops file that can be looked through ({type(error).__name__})", remedy)]
    if not foreign:
        return []
    shown = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
    return [CodeNeed(named, f"holds types beyond podium's own list: {shown}", remedy)]


def _sklearn(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    file = pyfunc.get("model_path") or pyfunc.get("data") or own.get("pickled_model")
    return _pickle_or_skops(folder, file, own.get("serialization_format") or "pickle")


def _pickle_or_skops(folder: Path, file: object, written: object) -> list[CodeNeed]:
    if written != "skops":
        return [pickle_need(str(file), _SAVE_SKOPS)]
    path = _inside(folder, file)
    # The types that MLflow has skops trust are the model's own, so its switch against pickles covers skops.
    by_mlflow = CodeNeed(str(file), "is a skops file, whose trusted types are its author's", is_pickle=True, is_code=False)
    return [by_mlflow] if path is None else [by_mlflow, *skops_needs(path, str(file))]


def _onnx(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    """The graph is data; options of its providers may name libraries to load."""
    del folder, pyfunc
    needs = []
    providers = own.get("providers") or []
    for each in providers if isinstance(providers, list) else []:
        if isinstance(each, list) and each[1:] and each[1] and each[0] not in _PLAIN_PROVIDERS:
            remedy = "Save it with the names of providers alone"
            needs.append(CodeNeed(f"providers {each[0]}", "has options, which may name libraries to load", remedy))
    options = own.get("onnx_session_options") or {}
    extra = options.get("extra_session_config") if isinstance(options, dict) else None
    for key in extra or ():
        if not str(key).startswith("session."):
            remedy = "Save it without that option"
            needs.append(CodeNeed(f"extra_session_config {key}", "is an option that may name what to load", remedy))
    return needs


def _xgboost(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    del folder, pyfunc
    return _class_needs(own.get("model_class"), _XGBOOST)


def _lightgbm(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    kind, file = own.get("model_class"), own.get("data") or pyfunc.get("data")
    needs = _class_needs(kind, _LIGHTGBM)
    if kind in {None, "lightgbm.basic.Booster"} and not str(file).endswith((".pkl", ".skops")):
        return needs
    return needs + _pickle_or_skops(folder, file, own.get("serialization_format") or "cloudpickle")


def _catboost(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    del folder, pyfunc
    return _class_needs(own.get("model_type"), _CATBOOST)


def _statsmodels(folder: Path, own: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> list[CodeNeed]:
    del folder
    remedy = "statsmodels has no other format; use a model of another library, or an isolated server"
    return [pickle_need(str(own.get("data") or pyfunc.get("data")), remedy)]


def _class_needs(named: object, known: re.Pattern[str]) -> list[CodeNeed]:
    """MLmodel may name the class that is made of the file; any other is a name that somebody wrote."""
    if named is None or known.fullmatch(str(named)):
        return []
    return [CodeNeed(f"the class {named}", "is none of the library's own, and loading calls it")]


def _inside(folder: Path, relative: object) -> Path | None:
    """The file that MLmodel names, if it is one inside of the folder."""
    root = folder.resolve()
    found = (root / str(relative)).resolve()
    return found if found.is_relative_to(root) and found.is_file() else None


_LOOKS: dict[str, Callable[[Path, Mapping[str, Any], Mapping[str, Any]], list[CodeNeed]]] = {
    "sklearn": _sklearn,
    "onnx": _onnx,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "statsmodels": _statsmodels,
    "pytorch": pytorch_needs,
    "tensorflow": tensorflow_needs,
    "keras": tensorflow_needs,
}
