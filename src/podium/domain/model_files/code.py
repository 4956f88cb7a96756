"""What loading a model would run of what its author put into the folder, and whether that is allowed. Pure.

Formats that cannot run anything need nothing; everything else, and everything that is not known here, is a `CodeNeed`.
`models/code_needs.py` looks at the files; a flavor asks `refuse` once more in the moment in which it opens one.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podium.domain.load_terms import LoadTerms
from podium.errors import LoadFailed

CODE_REFUSED = "code_not_allowed"
VARIABLE = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
# Loaders of podium's own that read data; what the files of each are is looked at by itself.
NATIVE_LOADERS = frozenset(
    f"mlflow.{name}"
    for name in ("sklearn", "onnx", "pytorch", "tensorflow", "keras", "xgboost", "lightgbm", "catboost", "statsmodels")
)
_PYTHON_LOADERS = ("mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model")
# A name, extras, versions, markers; neither an address (name @ ...), nor a path, nor an option.
_PLAIN_LINE = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w.,\s-]*\])?\s*(\(?[<>=!~][^@/;]*\)?)?\s*(;[^@]*)?")
A_FORMAT_WITHOUT_CODE = "Save the model in a format that holds data only (skops, ONNX, .pt2, .keras, .ubj)"


@dataclass(frozen=True, slots=True)
class CodeNeed:
    """One thing that would run.

    Args:
        what: The file, relative to the model's folder, or the MLmodel key that asks for it.
        reason: What it is and does: "is a pickle, which calls whatever its author put into it".
        remedy: How to save the model without, a sentence without its full stop.
        is_pickle: MLflow's switch against pickles covers it.
        is_code: Whether it is code at all; a skops file whose types podium trusts is not, and MLflow's switch covers it.
    """

    what: str
    reason: str
    remedy: str = A_FORMAT_WITHOUT_CODE
    is_pickle: bool = False
    is_code: bool = True

    def __str__(self) -> str:
        return f"{self.what} {self.reason}"


def pickle_need(file: str, remedy: str = A_FORMAT_WITHOUT_CODE) -> CodeNeed:
    """For a file that is a pickle of any make: pickle, cloudpickle, joblib, `torch.save`."""
    return CodeNeed(file, "is a pickle, and reading it calls whatever its author put into it", remedy, is_pickle=True)


def pickles_allowed(environ: Mapping[str, str]) -> bool:
    """MLflow's switch; pickles are allowed unless it says no."""
    return environ.get(VARIABLE, "true").strip().lower() not in {"false", "0"}


def refuse(needs: Iterable[CodeNeed], terms: LoadTerms, environ: Mapping[str, str]) -> None:
    """The one decision: nothing that a model needs to run is refused, or all of it is named.

    Args:
        needs: What loading would run.
        terms: Of whoever serves the model.
        environ: The variables of the process that loads it.

    Raises:
        LoadFailed: With the cause `code_not_allowed`; names each file, why, and the way out.
    """
    has_pickles = pickles_allowed(environ)
    refused = [need for need in needs if (need.is_code and not terms.allows_code) or (need.is_pickle and not has_pickles)]
    if not refused:
        return
    is_ours = not terms.allows_code and any(need.is_code for need in refused)
    by, way = ("allow_code = false", "allow_code = true") if is_ours else (VARIABLE, f"{VARIABLE}=true")
    listed = "".join(f"\n  {need}. {need.remedy}." for need in refused)
    raise LoadFailed(
        f"Loading this model would run code that its author put into it, and {by} forbids it; nothing of it was run."
        f"{listed}\nFor models whose authors you trust: {way}.",
        CODE_REFUSED,
    )


def line_needs(lines: Iterable[str]) -> list[CodeNeed]:
    """What requirement lines bring beside packages of the index that is in use: files, addresses, options."""
    remedy = "Name packages of your index, such as scikit-learn==1.7.2"
    return [
        CodeNeed(f"the requirement {line!r}", "is no plain name of a package: it may install anything", remedy)
        for line in lines
        if not _PLAIN_LINE.fullmatch(line)
    ]


def entry_needs(flavors: Mapping[str, Mapping[str, Any]]) -> list[CodeNeed]:
    """What MLmodel's flavors alone say: code of the model's own, loaders that are not podium's, Python models."""
    pyfunc = flavors.get("python_function") or {}
    needs = []
    if any(entry.get("code") for entry in flavors.values()):
        needs.append(CodeNeed("code/", "holds modules that loading may import", "Save the model without code_paths"))
    loader = pyfunc.get("loader_module")
    if pyfunc.get("model_code_path"):
        needs.append(CodeNeed(str(pyfunc["model_code_path"]), "is a Python file that loading runs (a model from code)"))
    elif loader in _PYTHON_LOADERS:
        needs.append(pickle_need(str(pyfunc.get("python_model"))))
    elif pyfunc and loader not in NATIVE_LOADERS:
        needs.append(CodeNeed(f"loader_module {loader}", "is a loader that is not podium's, and loading runs it"))
    return needs
