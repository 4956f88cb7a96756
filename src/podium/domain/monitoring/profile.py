"""The reference profile: what a model's columns and predictions looked like when it was made, without any of the rows.

It lies in the model folder as `monitoring/profile.json`. Everything in it is counted or a quantile; `profile_id` is the
SHA-256 of the rest in canonical form (keys sorted, no spaces, ASCII), but for the time when it was made, so that the same
data give the same id. `profile_reading.py` reads one from a file that nobody vouches for.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any

from podium.domain.monitoring.bins import CategoryBins, NumberBins
from podium.domain.monitoring.counts import ColumnCounts, ModelCounts
from podium.domain.monitoring.quality.tasks import SaidTask

SCHEMA = 1
PROFILE_PATH = "monitoring/profile.json"

# Shares that are told of a number column. They show where it lies; drift is judged by the bins.
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

# Fewer rows say little of a distribution: below the first it is said, the second is what we recommend.
FEW_ROWS = 500
ENOUGH_ROWS = 1000


class SourceKind(StrEnum):
    """Where the rows came from."""

    TRAINING = "training"
    VALIDATION = "validation"
    PRODUCTION_BOOTSTRAP = "production_bootstrap"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a profile's rows came from.

    Attributes:
        kind: A bootstrap is made of the first rows in production: what was wrong then, it takes for right.
        rows: How many.
        since: Moment of the first, RFC 3339; None where no time is known.
        until: Moment of the last.
        run_id: MLflow's run that the model came from.
    """

    kind: SourceKind
    rows: int
    since: str | None = None
    until: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class NumberProfile:
    """A column of numbers.

    Attributes:
        dtype: The column's type, MLflow's name or numpy's; values are rounded to it before they are counted.
        bins: Its bins, with the smallest and largest value.
        counts: How many of the reference's rows fell where.
        mean: None where there is no number, or none that doubles can hold.
        std: Standard deviation, by the number of rows.
        quantiles: At `SHARES`; empty where there is no number.
        chunk_psi_q99: How far a day of the reference was from all of it: the 99th percentile of PSI over its days.
        hour_psi_max: How far an hour of the day was from all of it: the largest PSI.
    """

    dtype: str
    bins: NumberBins
    counts: ColumnCounts
    mean: float | None = None
    std: float | None = None
    quantiles: tuple[float, ...] = ()
    chunk_psi_q99: float | None = None
    hour_psi_max: float | None = None


@dataclass(frozen=True, slots=True)
class CategoryProfile:
    """A column of categories.

    Attributes:
        dtype: The column's type.
        bins: The categories that are named: the most frequent, of ten rows at least.
        counts: How many rows have which; `unseen` are the rows of those that are not named.
        distinct: How many different values there were.
        chunk_psi_q99, hour_psi_max: As of numbers.
    """

    dtype: str
    bins: CategoryBins
    counts: ColumnCounts
    distinct: int
    chunk_psi_q99: float | None = None
    hour_psi_max: float | None = None


@dataclass(frozen=True, slots=True)
class TextProfile:
    """A column of text, of which only the lengths are known."""

    dtype: str
    length: NumberProfile

    @property
    def counts(self) -> ColumnCounts:
        return self.length.counts


ColumnProfile = NumberProfile | CategoryProfile | TextProfile


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model answered on the reference; each is None where there was none.

    Attributes:
        value: Of a regression.
        classes: Of a classification.
        score: Of a classification, from 0 to 1, in twenty bins of equal width.
    """

    value: ColumnProfile | None = None
    classes: CategoryProfile | None = None
    score: NumberProfile | None = None

    def present(self) -> dict[str, ColumnProfile]:
        """Those that there are, by name."""
        every = {"value": self.value, "classes": self.classes, "score": self.score}
        return {name: profile for name, profile in every.items() if profile is not None}


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising line of straight pieces from the model's score to the probability that was seen.

    Attributes:
        x: Scores, ascending.
        y: Probabilities, never falling, as many.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Multivariate:
    """How well few directions describe the columns together (principal components).

    Attributes:
        columns: Names, in the order of the vectors.
        mean: Of each column, as many.
        std: Of each column, as many.
        components: Directions, each with a number for each column.
        error_mean: Mean distance of a row from what the directions keep of it, over chunks of the reference.
        error_std: Standard deviation of that.
        rows: On how many rows that rests; 0 where nobody said, and then nothing is judged by it.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    error_mean: float
    error_std: float
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model's data looked like.

    Attributes:
        created_at: RFC 3339, UTC.
        source: Where the rows came from.
        columns: By name.
        predictions: What the model answered.
        quality: How good it was, by the metric's name.
        calibration: From score to probability.
        multivariate: The columns together.
        said: What whoever made it said that the model is for.
        left_out: Inputs that are not monitored, and why.
        is_private: Smallest and largest are quantiles (0.1 % and 99.9 %) rather than somebody's value.
        key_mark: By which the key of hashed categories is known; empty where none are hashed.
    """

    created_at: str
    source: Source
    columns: Mapping[str, ColumnProfile]
    predictions: Predictions = field(default_factory=Predictions)
    quality: Mapping[str, float] = field(default_factory=dict)
    calibration: Calibration | None = None
    multivariate: Multivariate | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    is_private: bool = False
    key_mark: str = ""
    said: SaidTask = field(default_factory=SaidTask)
    _known_id: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def profile_id(self) -> str:
        """`sha256:` and the digest of everything but when it was made."""
        known = self._known_id
        if known is None:
            content = _content(self)
            del content["created_at"]
            known = "sha256:" + sha256(_canonical(content).encode()).hexdigest()
            # Worked out once: it is asked for with every window, and a large profile takes 100 ms.
            object.__setattr__(self, "_known_id", known)
        return known

    @property
    def is_bootstrapped(self) -> bool:
        """Made of the first rows in production; to be shown as such."""
        return self.source.kind is SourceKind.PRODUCTION_BOOTSTRAP

    def counts(self) -> ModelCounts:
        """The reference's own counts."""
        columns = {name: column.counts for name, column in self.columns.items()}
        predictions = {name: column.counts for name, column in self.predictions.present().items()}
        return ModelCounts(self.profile_id, self.source.rows, columns, predictions)

    def to_json(self) -> str:
        """The file's text: canonical, one line."""
        return _canonical(_content(self) | {"profile_id": self.profile_id}) + "\n"


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _content(profile: Profile) -> dict[str, Any]:
    source = profile.source
    content: dict[str, Any] = {
        "podium_profile": SCHEMA,
        "created_at": profile.created_at,
        "source": _known(
            {
                "kind": source.kind.value,
                "rows": source.rows,
                "from": source.since,
                "to": source.until,
                "run_id": source.run_id,
            }
        ),
        "columns": {name: _column(column) for name, column in profile.columns.items()},
        "predictions": {name: _column(column) for name, column in profile.predictions.present().items()},
        "quality": {name: _short(value) for name, value in profile.quality.items()},
        "left_out": dict(profile.left_out),
        "private": profile.is_private,
    }
    if profile.key_mark:
        content["key_mark"] = profile.key_mark
    if (line := profile.calibration) is not None:
        content["calibration"] = {"isotonic_x": list(map(_short, line.x)), "isotonic_y": list(map(_short, line.y))}
    if (together := profile.multivariate) is not None:
        content["multivariate"] = {
            "columns": list(together.columns),
            "mean": list(map(_short, together.mean)),
            "std": list(map(_short, together.std)),
            "components": [list(map(_short, direction)) for direction in together.components],
            "error_mean": _short(together.error_mean),
            "error_std": _short(together.error_std),
        }
        if together.rows:
            content["multivariate"]["rows"] = together.rows
    if (said := profile.said) != SaidTask():
        content["said"] = _known({"task": said.task and said.task.value, "positive": said.positive})
    return content


def _column(column: ColumnProfile) -> dict[str, Any]:
    if isinstance(column, TextProfile):
        return {"type": "text", "dtype": column.dtype, "length": _column(column.length)}
    counts = column.counts
    content: dict[str, Any] = {"dtype": column.dtype, "count": counts.known, "missing": counts.missing}
    if isinstance(column, CategoryProfile):
        content |= {
            "type": "category",
            "of": column.bins.of.value,
            "hashed": column.bins.is_hashed,
            "distinct": column.distinct,
            "categories": [list(pair) for pair in zip(column.bins.names, counts.bins, strict=True)],
            "other": counts.unseen,
            "non_finite": counts.non_finite,
        }
    else:
        content |= {
            "type": "number",
            "non_finite": counts.non_finite,
            "below": counts.below,
            "above": counts.above,
            "mean": column.mean,
            "std": column.std,
            "min": column.bins.low,
            "max": column.bins.high,
            "quantiles": dict(zip(map(str, SHARES), map(_short, column.quantiles), strict=False)),
            "atoms": list(map(_short, column.bins.atoms)),
            "edges": list(map(_short, column.bins.edges)),
            "counts": list(counts.bins),
        }
    return _known(content | {"chunk_psi_q99": column.chunk_psi_q99, "hour_psi_max": column.hour_psi_max})


def _known(content: dict[str, Any]) -> dict[str, Any]:
    """Without what is not known."""
    return {
        name: _short(value) if isinstance(value, float) else value for name, value in content.items() if value is not None
    }


def _short(value: float) -> float | int:
    """The same number, whole ones without a point, so that reading and writing a file gives the same bytes."""
    return int(value) if value == int(value) and abs(value) < 2**53 else value
