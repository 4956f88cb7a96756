"""statsmodels: results as statsmodels pickles them, which is the one format that it has."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.domain.frames import is_frame
from podium.domain.model_files.code import pickle_need
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, MissingDependency
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.folders import part_of
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.notes import note
from podium.flavors.pickles import check_allowed, load_pickle, modules_in, names_main

_FILE = "model.statsmodels"
# Models whose predict is a function of each row's regressors and the fitted parameters.
_ROW_BY_ROW = frozenset(
    """
    OLS WLS GLS GLSAR GLM RLM QuantReg MixedLM GEE OrdinalGEE NominalGEE Logit Probit MNLogit OrderedModel BetaModel
    Poisson GeneralizedPoisson NegativeBinomial NegativeBinomialP ZeroInflatedPoisson ZeroInflatedGeneralizedPoisson
    ZeroInflatedNegativeBinomialP HurdleCountModel TruncatedLFPoisson TruncatedLFNegativeBinomialP
    """.split()  # noqa: SIM905 - a list of words is easier to read and to keep than one of literals
)
# What a formula may call and still look at one row at a time; others (a rank, a mean) may look at the whole column.
_ELEMENTWISE = frozenset(
    ["C", "I", "Q"]
    + [f"np.{name}" for name in "abs cos exp expm1 log log10 log1p log2 power sin sqrt square tan tanh".split()]  # noqa: SIM905
)
_CALL = re.compile(r"([\w.]+)\s*\(")


class LoadedResults:
    """Fitted results. Time series answer one row of `start` and `end`; all others a table or array of regressors."""

    def __init__(self, results: Any) -> None:
        self.native = results
        self.is_time_series = _is_time_series(results)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call predict; params are ignored, as in MLflow.

        Raises:
            InvalidInput: The span of a time series is no table.
            MlflowException: Nor one row with the columns `start` and `end`.
        """
        del params
        if not self.is_time_series:
            return self.native.predict(data)
        if not is_frame(data):
            raise InvalidInput(f"A time series takes a table of one row, start and end; got a {type(data).__name__}.")
        if data.shape[0] != 1 or not {"start", "end"} <= set(data.columns):
            # MLflow's words: clients of its server know them.
            raise MlflowException(
                "prediction dataframes for a TimeSeriesModel must have exactly one row and include columns called start "
                "and end"
            )
        return self.native.predict(start=data["start"].iloc[0], end=data["end"].iloc[0])


class StatsmodelsFlavor:
    """MLflow's `statsmodels` flavor."""

    name = "statsmodels"
    loader_modules: tuple[str, ...] = ("mlflow.statsmodels",)
    options: tuple[str, ...] = ("remove_data",)

    def claims(self, model: Any) -> bool:
        results, wrapper = sys.modules.get("statsmodels.base.model"), sys.modules.get("statsmodels.base.wrapper")
        return (results is not None and isinstance(model, results.Results)) or (
            wrapper is not None and isinstance(model, wrapper.ResultsWrapper)
        )

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the results.

        Args:
            model: What a model's `fit` returned.
            folder: Existing, empty.
            example: Not needed.
            options: `remove_data` leaves out arrays as long as the data, and takes them out of the results given as well.

        Raises:
            InvalidInput: No results, or pickle cannot hold them.
        """
        del example
        import statsmodels

        if isinstance(model, type) or not (self.claims(model) or hasattr(model, "save")):
            raise InvalidInput(
                f"statsmodels_model is a {type(model).__name__}; expected what the fit() of a statsmodels model returns."
            )
        path = folder / _FILE
        try:
            model.save(str(path), bool(options.get("remove_data")))
        except Exception as error:
            raise InvalidInput(
                f"statsmodels cannot save this {type(model).__name__} ({type(error).__name__}: {error}). Functions "
                "that are given to a model must stand in a module, not in a script or inside of others."
            ) from error
        if names_main(path):
            note(
                "The results hold functions or classes of this script or notebook, and will load nowhere else. Move them "
                "into a module and pass code_paths."
            )
        own = {"code": None, "data": _FILE, "statsmodels_version": statsmodels.__version__}
        entries = {"statsmodels": own, "python_function": {"loader_module": "mlflow.statsmodels", "data": _FILE}}
        return Saved(entries, [], frozenset({"statsmodels", *modules_in(model)}))

    def load(self, stored: Stored) -> Loaded:
        results = load_results(stored)
        if not hasattr(results, "predict"):
            raise InvalidModel(f"A {type(results).__name__} has no method predict, so it cannot be scored.")
        return LoadedResults(results)

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        del signature
        model = getattr(loaded.native, "model", None)
        kind = type(model)
        if isinstance(loaded, LoadedResults) and loaded.is_time_series:
            return RowIndependence(False, f"{kind.__name__} is a time series: a request is one span")
        if kind.__module__.partition(".")[0] != "statsmodels" or kind.__name__ not in _ROW_BY_ROW:
            return RowIndependence(False, f"{kind.__name__} is not on the list of models known to answer row by row")
        doubt = _doubt(getattr(model, "formula", None))
        return RowIndependence(doubt is None, doubt or f"statsmodels' {kind.__name__} answers row by row")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors, has_gpu
        return ("pandas", "statsmodels.api")


def load_results(stored: Stored) -> Any:
    """The results themselves.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    own = stored.of("statsmodels")
    path = part_of(stored.folder, own.get("data") or stored.of("python_function").get("data") or _FILE, "data")
    check_allowed(stored.terms, pickle_need(path.name))
    try:
        import statsmodels.api  # noqa: F401
    except ImportError as error:
        raise MissingDependency("statsmodels", "This model", "statsmodels") from error
    return load_pickle(path)


def _is_time_series(results: Any) -> bool:
    from statsmodels.tsa.base.tsa_model import TimeSeriesModel

    return isinstance(getattr(results, "model", None), TimeSeriesModel)


def _doubt(formula: Any) -> str | None:
    """Why a formula may look at more than one row at a time; None where it does not, or there is none."""
    if formula is None:
        return None
    if not isinstance(formula, str):
        return "its formula is an object that podium does not read"
    # What stands before the ~ is not computed to predict.
    terms = formula.rpartition("~")[2]
    if "[" in terms:
        return "its formula indexes a column"
    foreign = [name for name in _CALL.findall(terms) if name not in _ELEMENTWISE]
    return f"its formula calls {', '.join(sorted(set(foreign)))}" if foreign else None
