"""Estimators as a worker meets them: behind an input plan, with the proof that it makes at load."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from podium.domain.inputs.plan import InputPlan, plan_for
from podium.domain.signature import Signature
from podium.flavors.contract import RowIndependence
from podium.flavors.sklearn.flavor import LoadedEstimator
from podium.models.assemble import Assembler
from podium.models.infer import infer_signature
from podium.models.predictor import Predictor
from podium.worker.proofs.cases import Case
from podium.worker.proofs.shortcut import Shortcut, find_shortcut


def signature_of(data: Any) -> Signature:
    """What MLflow would infer of a data frame; of an array, one tensor."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The inferred schema contains integer columns")
        return infer_signature(data if isinstance(data, pd.DataFrame) else np.asarray(data))


def plan_of(data: Any) -> InputPlan:
    """The plan for inputs like these."""
    plan = plan_for(signature_of(data))
    assert plan is not None
    return plan


def shortcut_for(model: Any, data: Any, method: str = "predict", example: Any = None) -> Shortcut | None:
    """What a worker would answer by, proven; None where the model answers by itself."""
    return shortcut_of(LoadedEstimator(model, method), data, example)


def shortcut_of(loaded: Any, data: Any, example: Any = None) -> Shortcut | None:
    """The same for a model that a flavor loaded."""
    plan = plan_of(data)
    predictor = Predictor(loaded, signature_of(data), "a flavor", RowIndependence(True, ""), {})
    return find_shortcut(predictor, plan, Assembler(plan), example)


def answer_by(shortcut: Shortcut, data: Any) -> Any:
    """Its answer to rows that come by the plan."""
    case = _case(data)
    return shortcut.answer(case.rows, case.block, case.texts)


def as_served(data: Any) -> Any:
    """The rows as a request's frame or array lies in memory, on which a model's last bits may depend."""
    case = _case(data)
    return Assembler(case.plan).assemble(case.rows, case.block, case.texts)


def _case(data: Any) -> Case:
    columns = [data[name].to_numpy() for name in data] if isinstance(data, pd.DataFrame) else list(np.asarray(data).T)
    return Case("", tuple(columns), plan_of(data))


def is_same(expected: Any, found: Any) -> bool:
    """To the last bit."""
    return (
        type(expected) is type(found)
        and expected.dtype == found.dtype
        and expected.shape == found.shape
        and (expected.tolist() == found.tolist() if expected.dtype.hasobject else expected.tobytes() == found.tobytes())
    )
