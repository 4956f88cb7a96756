"""Steps before the last one of a scikit-learn pipeline, in numpy from the input plan's records, without a data frame.

Each step claims only what it knows: exactly scikit-learn's own class, and only the parameters listed here. What a step does
not know ends the attempt (`NotTakenError`), and the model answers by itself. Values go through as scikit-learn's own code
takes them: the same types, the same operations in the same order.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, NotTakenError
from podium.flavors.sklearn.stages import Column, ColumnSource, Numbers, Restate, Stage, Steps


def _scaled(steps: Steps, scaler: Any, stage: Stage) -> Stage:
    """StandardScaler, MinMaxScaler, MaxAbsScaler and RobustScaler: in place, in this order."""
    before = steps.numbers(stage)
    if before.is_sparse:
        raise NotTakenError("a sparse matrix")
    name = type(scaler).__name__
    minus, over, times, plus = _SCALES[name](scaler)
    dtype = before.dtype if before.dtype.kind == "f" else np.dtype(np.float64)
    if name == "StandardScaler":
        minus, over = (None if each is None else each.astype(dtype) for each in (minus, over))
    bounds = scaler.feature_range if getattr(scaler, "clip", False) else None

    for i, origin in enumerate(before.origins):
        if origin is not None and origin[1:] == (1.0, 0.0):
            steps.categories.setdefault(origin[0], []).extend(_seen_by(scaler, i))

    def run(batch: Batch) -> Any:
        rows = before.run(batch).astype(dtype, copy=False)
        if minus is not None:
            rows -= minus
        if over is not None:
            rows /= over
        if times is not None:
            rows *= times
            rows += plus
        return rows if bounds is None else np.clip(rows, *bounds)

    factors = (1.0 if over is None else 1.0 / over) * (1.0 if times is None else times) * np.ones(len(before.origins))
    shifts = (0.0 if minus is None else -minus) * factors + (0.0 if plus is None else plus)
    moved = zip(before.origins, factors.tolist(), shifts.tolist(), strict=True)
    origins = tuple(None if each is None else (each[0], each[1] * f, each[2] * f + s) for each, f, s in moved)
    return Numbers(run, dtype, origins)


def _seen_by(scaler: Any, column: int) -> list[float]:
    """What a scaler tells of the numbers that it was fitted with: where their middle and their ends are."""
    if type(scaler).__name__ == "MinMaxScaler":
        return [float(scaler.data_min_[column]), float(scaler.data_max_[column])]
    middle = getattr(scaler, "mean_", None) if hasattr(scaler, "mean_") else getattr(scaler, "center_", None)
    spread = getattr(scaler, "scale_", None)
    center = 0.0 if middle is None else float(middle[column])
    width = 1.0 if spread is None else float(spread[column])
    return [center - width, center, center + width]


_SCALES: Mapping[str, Callable[[Any], tuple[Any, Any, Any, Any]]] = {
    "StandardScaler": lambda s: (s.mean_ if s.with_mean else None, s.scale_ if s.with_std else None, None, None),
    "RobustScaler": lambda s: (s.center_ if s.with_centering else None, s.scale_ if s.with_scaling else None, None, None),
    "MaxAbsScaler": lambda s: (None, s.scale_, None, None),
    "MinMaxScaler": lambda s: (None, None, s.scale_, s.min_),
}


def _imputed(steps: Steps, imputer: Any, stage: Stage) -> Stage:
    """SimpleImputer: the plan has no gaps, so that only a number that stands for a missing one is replaced."""
    missing = imputer.missing_values
    is_nan = isinstance(missing, float) and np.isnan(missing)
    if imputer.add_indicator:
        raise NotTakenError("an indicator of what was missing")
    if isinstance(stage, ColumnSource) and steps.is_text(stage) and (is_nan or missing is None):
        return stage
    before = steps.numbers(stage)
    fitted = np.dtype(getattr(imputer, "_fit_dtype", before.dtype))
    if (
        before.is_sparse
        or before.dtype.kind == "b"
        or fitted.kind not in "fi"
        or (fitted.kind, before.dtype.kind) == ("i", "f")
    ):
        raise NotTakenError("not a matrix of numbers as it was fitted with")
    statistics = np.asarray(imputer.statistics_, np.float64)
    if np.isnan(statistics).any():
        raise NotTakenError("columns without a value to impute")
    if is_nan:
        return Numbers(lambda batch: before.run(batch).astype(fitted, copy=False), fitted, before.origins)
    if type(missing) not in (int, float):
        raise NotTakenError("what stands for a missing value is no number")
    filled = statistics.astype(getattr(imputer, "_fill_dtype", fitted)).astype(fitted)
    for origin in before.origins:
        if origin is not None:
            steps.categories.setdefault(origin[0], []).append(missing)

    def run(batch: Batch) -> Any:
        rows = before.run(batch).astype(fitted, copy=False)
        return np.where(rows == missing, filled, rows)

    return Numbers(run, fitted, before.origins)


def _one_hot(steps: Steps, encoder: Any, stage: Stage) -> Stage:
    if encoder.handle_unknown not in {"ignore", "error"} or getattr(encoder, "_infrequent_enabled", False):
        raise NotTakenError("infrequent categories, or unknown ones that are warned of")
    if np.dtype(encoder.dtype) != np.float64:
        raise NotTakenError("another type than double")
    dropped = encoder.drop_idx_ if encoder.drop_idx_ is not None else [None] * len(encoder.categories_)
    maps, start = [], 0
    for known, drop in zip(encoder.categories_, dropped, strict=True):
        kept = [value for i, value in enumerate(known.tolist()) if drop is None or i != drop]
        # A dropped category is one of those known: a row of zeros.
        places: dict[Any, int | None] = dict.fromkeys(known.tolist())
        places.update({value: start + i for i, value in enumerate(kept)})
        maps.append(places)
        start += len(kept)
    width, columns, matrix = start, *_encoded_columns(steps, encoder, stage)
    readers = list(zip([read for _, read, _ in columns], maps, strict=True))
    is_strict = encoder.handle_unknown == "error"

    def run(batch: Batch) -> Any:
        made = np.zeros((batch.rows, width))
        rows = None if matrix is None else matrix.run(batch)
        for read, places in readers:
            for row, value in enumerate(read(batch, rows)):
                place = places.get(value)
                if place is not None:
                    made[row, place] = 1.0
                elif is_strict and value not in places:
                    raise NotTakenError("an unknown category")
        return made

    is_sparse = bool(getattr(encoder, "sparse_output", getattr(encoder, "sparse", True)))
    return Numbers(run, np.dtype(np.float64), (None,) * width, is_sparse)


def _ordinal(steps: Steps, encoder: Any, stage: Stage) -> Stage:
    if encoder.handle_unknown not in {"error", "use_encoded_value"} or getattr(encoder, "_infrequent_enabled", False):
        raise NotTakenError("infrequent categories")
    if np.dtype(encoder.dtype) != np.float64:
        raise NotTakenError("another type than double")
    columns, matrix = _encoded_columns(steps, encoder, stage)
    maps = [{value: float(i) for i, value in enumerate(known.tolist())} for known in encoder.categories_]
    readers = list(zip([read for _, read, _ in columns], maps, strict=True))
    unknown = None if encoder.handle_unknown == "error" else float(encoder.unknown_value)

    def run(batch: Batch) -> Any:
        made = np.empty((batch.rows, len(readers)))
        rows = None if matrix is None else matrix.run(batch)
        for i, (read, places) in enumerate(readers):
            for row, value in enumerate(read(batch, rows)):
                place = places.get(value, unknown)
                if place is None:
                    raise NotTakenError("an unknown category")
                made[row, i] = place
        return made

    return Numbers(run, np.dtype(np.float64), (None,) * len(readers))


def _encoded_columns(steps: Steps, encoder: Any, stage: Stage) -> tuple[list[Column], Numbers | None]:
    """The columns that an encoder looks at; the matrix that they stand in, if it is one already."""
    columns = steps.columns(stage)
    if len(columns) != len(encoder.categories_):
        raise NotTakenError("another number of columns")
    for (dtype, _, origin), known in zip(columns, encoder.categories_, strict=True):
        values = known.tolist()
        if dtype is None:
            # Text of a fixed width loses what it cannot hold, such as a last NUL.
            is_alike = known.dtype == object and all(type(value) is str for value in values)
        else:
            is_alike = known.dtype == dtype and all(value == value for value in values)
        if not is_alike or len(set(values)) != len(values):
            raise NotTakenError("categories of another type than the column")
        if origin is not None and origin[1:] == (1.0, 0.0):
            steps.categories.setdefault(origin[0], []).extend(values)
    return columns, stage if isinstance(stage, Numbers) else None


def _same(steps: Steps, transformer: Any, stage: Stage) -> Stage:
    """What ColumnTransformer makes of "passthrough"."""
    del steps
    if transformer.func is not None or transformer.validate:
        raise NotTakenError("a function")
    return stage


def _by_columns(steps: Steps, transformer: Any, stage: Stage) -> Stage:
    if not isinstance(stage, ColumnSource):
        raise NotTakenError("columns of a matrix that was made before")
    parts = []
    for _, each, wanted in transformer.transformers_:
        if each == "drop" or (not isinstance(wanted, str | slice) and len(wanted) == 0):
            continue
        weights = getattr(transformer, "transformer_weights", None)
        if weights:
            raise NotTakenError("weights of transformers")
        chosen = ColumnSource(tuple(stage.positions[i] for i in _positions(steps, transformer, wanted)))
        part = steps.numbers(steps.after(each, chosen))
        # Truth values become numbers where they meet some.
        parts.append(part)
    dtype = np.result_type(*(part.dtype for part in parts))
    if not parts or dtype.kind != "f":
        raise NotTakenError("no matrix of floats")
    runs = [part.run for part in parts]

    def run(batch: Batch) -> Any:
        return np.concatenate([each(batch) for each in runs], axis=1)

    origins = tuple(origin for part in parts for origin in part.origins)
    is_sparse = any(part.is_sparse for part in parts) and bool(transformer.sparse_output_)
    return Numbers(run, dtype, origins, is_sparse)


def _positions(steps: Steps, transformer: Any, wanted: Any) -> list[int]:
    """Positions among the inputs of a transformer's columns.

    By number only where the inputs are exactly what it was fitted with, so that no number can mean another column.
    """
    names = steps.inputs.names
    fitted = getattr(transformer, "feature_names_in_", None)
    if isinstance(wanted, str):
        raise NotTakenError("a column by itself is handed over in one dimension")
    if names is not None:
        if fitted is None or len(set(names)) != len(names):
            raise NotTakenError("columns without names of their own")
    elif fitted is not None:
        raise NotTakenError("fitted with a data frame, called with a matrix")
    count = len(steps.inputs.dtypes)
    if not isinstance(wanted, slice) and all(isinstance(each, str) for each in wanted):
        if names is None or not set(wanted) <= set(names):
            raise NotTakenError("columns that are not among the inputs")
        return [names.index(each) for each in wanted]
    if (names is not None and fitted is not None and names != tuple(fitted)) or count != int(transformer.n_features_in_):
        raise NotTakenError("columns by number, and other columns than it was fitted with")
    picked: list[int] = np.arange(count)[wanted if isinstance(wanted, slice) else np.asarray(wanted)].tolist()
    return picked


KNOWN: Mapping[str, Restate] = {
    **dict.fromkeys(_SCALES, _scaled),
    "SimpleImputer": _imputed,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "FunctionTransformer": _same,
    "ColumnTransformer": _by_columns,
}
