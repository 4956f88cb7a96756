"""Figures of quality as people read them. Pure."""

from collections.abc import Callable, Mapping

from podium.dashboard import wording
from podium.domain.monitoring.windows import DAY_S, HOUR_S

TONES: Mapping[str, str] = {"ok": "ok", "warn": "warn", "alert": "bad", "insufficient_data": "quiet"}
"""Of verdicts, as pages show them."""

WORDS: Mapping[str, str] = {
    "ok": "as good", "warn": "perhaps worse", "alert": "worse", "insufficient_data": "few labels",
}  # fmt: skip
"""And what they are called."""

_UNLIMITED = frozenset({"log_loss", "brier", "ece", "mae", "rmse", "bias", "mape", "r2"})
_TITLES = {
    "f1": "F1", "roc_auc": "ROC AUC", "roc_auc_macro": "ROC AUC, macro", "log_loss": "log-loss", "brier": "Brier score",
    "ece": "calibration error", "mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R²",
    "mape": "mean relative error", "precision_macro": "precision, macro", "recall_macro": "recall, macro",
    "f1_macro": "F1, macro", "f1_weighted": "F1, weighted",
}  # fmt: skip
_SHORT = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "ece": "calibration"}
_LENGTHS = {HOUR_S: "hour", DAY_S: "day", 7 * DAY_S: "week", 30 * DAY_S: "month"}


def title_of(metric: str) -> str:
    """A figure's name."""
    return _TITLES.get(metric, metric.replace("_", " "))


def short_title_of(metric: str) -> str:
    """The same where there is little room."""
    return _SHORT.get(metric, title_of(metric))


def form_of(metric: str) -> Callable[[float | None], str]:
    """How its value is written."""
    return wording.number if metric in _UNLIMITED else wording.score


def length_of(seconds: int) -> str:
    """How far back a figure reaches: `day`, as in the last one."""
    return _LENGTHS.get(seconds) or wording.seconds(seconds)
