"""A pipeline restated in numpy answers as scikit-learn's does, in every bit, or is left alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from by_plan import answer_by, as_served, is_same, plan_of, shortcut_for
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from podium.flavors.claims import NotTakenError
from podium.flavors.sklearn.shortcuts import claims_of
from podium.models.assemble import Batches


def customers(count: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.uniform(18, 90, count).round(1),
            "country": rng.choice(["DE", "FR", "IT", "1", ""], count),
            "visits": rng.integers(0, 50, count),
            "plan": rng.choice(["free", "basic", "pro"], count),
            "is_new": rng.random(count) < 0.5,
            "income": rng.normal(4e4, 1.5e4, count).round(2),
        }
    )


TABLE = customers()
LABELS = ((TABLE["income"] / 4e4 - TABLE["age"] / 40 + (TABLE["plan"] == "free")) > 0.5).astype(int)
NUMBERS, TEXTS = ["age", "visits", "income"], ["country", "plan"]
TREES = GradientBoostingClassifier(n_estimators=5, random_state=0)
LINE = LogisticRegression(max_iter=5000)


def columns(*parts: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([(f"part{i}", *part) for i, part in enumerate(parts)], **options)


def scaled(scaler: Any) -> ColumnTransformer:
    return columns((make_pipeline(SimpleImputer(), scaler), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), TEXTS))


RESTATED: list[tuple[str, Any]] = [
    ("the benchmark's", make_pipeline(scaled(StandardScaler()), TREES)),
    ("linear, after a sparse matrix", make_pipeline(scaled(StandardScaler()).set_params(sparse_threshold=1.0), LINE)),
    ("linear, after a dense matrix", make_pipeline(scaled(StandardScaler()).set_params(sparse_threshold=0.0), LINE)),
    (
        "a regression, after a sparse matrix",
        make_pipeline(scaled(MinMaxScaler()).set_params(sparse_threshold=1), LinearRegression()),
    ),
    ("from 0 to 1, cut off", make_pipeline(scaled(MinMaxScaler(clip=True)), TREES)),
    ("by the largest", make_pipeline(scaled(MaxAbsScaler()), RandomForestClassifier(5, random_state=0))),
    ("by quartiles", make_pipeline(scaled(RobustScaler()), LINE)),
    ("centred alone", make_pipeline(scaled(StandardScaler(with_std=False)), LINE)),
    (
        "whole numbers, imputed where they are 0",
        make_pipeline(columns((SimpleImputer(missing_values=0), ["visits"])), TREES),
    ),
    (
        "texts as they are",
        make_pipeline(
            columns(
                (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), TEXTS)
            ),
            TREES,
        ),
    ),
    (
        "ordinals",
        make_pipeline(
            columns(
                (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), TEXTS), ("passthrough", NUMBERS)
            ),
            TREES,
        ),
    ),
    (
        "a first category dropped",
        make_pipeline(columns((OneHotEncoder(drop="first"), TEXTS), ("passthrough", ["age"])), LINE),
    ),
    (
        "whole numbers and text in one encoder",
        make_pipeline(columns((OneHotEncoder(handle_unknown="ignore"), ["visits", "plan"])), TREES),
    ),
    (
        "truth values passed through",
        make_pipeline(columns(("passthrough", ["is_new"]), (StandardScaler(), NUMBERS)), TREES),
    ),
    ("truth values encoded", make_pipeline(columns((OneHotEncoder(), ["is_new"]), (StandardScaler(), NUMBERS)), TREES)),
    (
        "the rest passed through",
        make_pipeline(
            columns((OneHotEncoder(handle_unknown="ignore"), TEXTS), ("drop", ["is_new"]), remainder="passthrough"), TREES
        ),
    ),
    (
        "columns by number, slice and mask",
        make_pipeline(
            columns(
                (StandardScaler(), [5, 0]),
                (StandardScaler(), slice(2, 3)),
                (OneHotEncoder(handle_unknown="ignore"), [False, True, False, True, False, False]),
            ),
            TREES,
        ),
    ),
    ("a column dropped", make_pipeline(columns(("drop", ["visits"]), (StandardScaler(), ["income", "age"])), LINE)),
    ("one column twice", make_pipeline(columns((StandardScaler(), ["age"]), (MinMaxScaler(), ["age", "income"])), LINE)),
    (
        "a step of scikit-learn's own method",
        make_pipeline(columns((make_pipeline(StandardScaler(), PCA(2)), NUMBERS)), TREES),
    ),
    ("products of columns", make_pipeline(columns((PolynomialFeatures(), NUMBERS)), StandardScaler(), LinearRegression())),
    ("chosen columns", make_pipeline(columns((StandardScaler(), NUMBERS)), SelectKBest(k=2), LINE)),
    ("a step left out", Pipeline([("a", scaled(StandardScaler())), ("b", "passthrough"), ("c", None), ("d", TREES)])),
    (
        "a search's best",
        GridSearchCV(make_pipeline(scaled(StandardScaler()), LINE), {"logisticregression__C": [1.0, 0.1]}, cv=2),
    ),
    (
        "histograms",
        make_pipeline(scaled(StandardScaler()).set_params(sparse_threshold=0), HistGradientBoostingRegressor(max_iter=5)),
    ),
]


@pytest.mark.parametrize(("why", "model"), RESTATED, ids=[row[0] for row in RESTATED])
def test_answers_to_the_last_bit(why: str, model: Any) -> None:
    model.fit(TABLE, LABELS)

    found = shortcut_for(model, TABLE, example=TABLE[:5])

    assert found is not None
    assert found.proof.rows["example"] > 0
    assert sum(found.proof.rows.values()) > 200
    fresh = customers(70, seed=1)
    for size in (1, 2, 33, 70):
        rows = fresh[:size]
        assert is_same(model.predict(as_served(rows)), answer_by(found, rows))


@pytest.mark.parametrize("last", [TREES, LINE], ids=["trees", "line"])
def test_so_do_probabilities(last: Any) -> None:
    model = make_pipeline(scaled(StandardScaler()).set_params(sparse_threshold=0), last).fit(TABLE, LABELS)

    found = shortcut_for(model, TABLE, "predict_proba")

    assert found is not None
    assert is_same(model.predict_proba(as_served(TABLE)), answer_by(found, TABLE))


def test_columns_come_in_the_signatures_order_and_more_of_them() -> None:
    """ColumnTransformer goes by names: neither another order nor a column that it does not know makes a difference."""
    model = make_pipeline(scaled(StandardScaler()), TREES).fit(TABLE, LABELS)
    wider = customers(50, seed=2)[["plan", "income", "is_new", "country", "visits", "age"]]
    wider.insert(0, "unused", "x")

    found = shortcut_for(model, wider)

    assert found is not None
    assert is_same(model.predict(as_served(wider)), answer_by(found, wider))


def test_single_precision_stays_single() -> None:
    x = customers()[["age", "income"]].astype(np.float32)
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(x, LABELS)

    found = shortcut_for(model, x)

    assert found is not None
    assert is_same(model.predict(as_served(x)), answer_by(found, x))


def test_an_unknown_category_that_is_an_error_is_left_to_the_model() -> None:
    model = make_pipeline(columns((OneHotEncoder(), TEXTS)), TREES).fit(TABLE, LABELS)
    rows = TABLE[:2].assign(plan=["free", "unheard of"])
    found = shortcut_for(model, TABLE)

    assert found is not None
    with pytest.raises(NotTakenError):
        answer_by(found, rows)


class Theirs(BaseEstimator, TransformerMixin):  # type: ignore[misc]
    """Subtracts the mean of the batch: what a row becomes depends on who stands beside it."""

    def fit(self, x: Any, y: Any = None) -> "Theirs":
        return self

    def transform(self, x: Any) -> Any:
        return x - np.mean(x, axis=0)


class Scaler(StandardScaler):
    """A subclass that changes nothing, as far as one can see."""


def with_user_transform(model: Any) -> Any:
    """A rule for one customer in a thousand, which no proof would happen upon."""
    scaler = model[0]
    theirs = scaler.transform
    scaler.transform = lambda x: theirs(x) + (np.asarray(x)[:, :1] == 12345.6)
    return model


ON_NUMBERS = TABLE[["age", "income"]]
LEFT_ALONE: list[tuple[str, Callable[[], Any], Any]] = [
    ("somebody's transformer", lambda: make_pipeline(Theirs(), LogisticRegression()), ON_NUMBERS),
    ("a subclass", lambda: make_pipeline(Scaler(), LogisticRegression()), ON_NUMBERS),
    ("a function", lambda: make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), ON_NUMBERS),
    (
        "frames between the steps",
        lambda: make_pipeline(StandardScaler(), LogisticRegression()).set_output(transform="pandas"),
        ON_NUMBERS,
    ),
    (
        "infrequent categories",
        lambda: make_pipeline(OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist"), LogisticRegression()),
        TABLE[TEXTS],
    ),
    ("an indicator of gaps", lambda: make_pipeline(SimpleImputer(add_indicator=True), LogisticRegression()), ON_NUMBERS),
    (
        "weights",
        lambda: make_pipeline(
            columns((StandardScaler(), ["age"]), transformer_weights={"part0": 2.0}), LogisticRegression()
        ),
        ON_NUMBERS,
    ),
    ("a function in a forest's place", lambda: make_pipeline(StandardScaler(), FunctionTransformer()), ON_NUMBERS),
]


@pytest.mark.parametrize(("why", "make", "data"), LEFT_ALONE, ids=[row[0] for row in LEFT_ALONE])
def test_what_is_not_known_to_be_the_same_is_left_alone(why: str, make: Callable[[], Any], data: Any) -> None:
    model = make().fit(data, LABELS)

    assert claims_of(model, "predict", Batches(plan_of(data)).inputs) == []


def test_a_transform_of_the_users_is_left_alone() -> None:
    model = with_user_transform(make_pipeline(StandardScaler(), LogisticRegression()).fit(ON_NUMBERS, LABELS))

    assert shortcut_for(model, ON_NUMBERS) is None


def test_a_patched_class_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class is scikit-learn's, and its method is not."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(ON_NUMBERS, LABELS)
    theirs = StandardScaler.transform
    monkeypatch.setattr(StandardScaler, "transform", lambda self, x, copy=None: theirs(self, x, copy) + 0.0)

    assert shortcut_for(model, ON_NUMBERS) is None


def test_frames_everywhere_are_left_alone() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(ON_NUMBERS, LABELS)

    with config_context(transform_output="pandas"):
        assert shortcut_for(model, ON_NUMBERS) is None


def test_numbers_that_were_texts_at_fit_are_left_alone() -> None:
    """1 is not "1", though both look alike in a CSV."""
    texts = pd.DataFrame({"code": ["1", "2", "3", "2"] * 50})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(texts, LABELS)
    numbers = pd.DataFrame({"code": [1, 2, 3, 2] * 50})

    found = shortcut_for(model, numbers)

    assert found is None


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**63 - 1])
def test_whole_numbers_beyond_doubles_are_rounded_as_pandas_does(value: int) -> None:
    x = pd.DataFrame({"id": [1, 2**53, 2**53 + 2, value] * 50, "age": [1.0, 2.0, 3.0, 4.0] * 50})
    model = make_pipeline(StandardScaler(), RandomForestClassifier(5, random_state=0)).fit(x, [0, 1, 0, 1] * 50)

    found = shortcut_for(model, x)

    assert found is not None
    assert is_same(model.predict(as_served(x)), answer_by(found, x))


def test_a_threshold_is_met_to_the_last_bit_of_single_precision() -> None:
    """Trees compare single precision with a threshold of double precision: at it, just below and just above."""
    x = pd.DataFrame({"a": [0.1, 0.2, 0.30000001, 0.3] * 50})
    model = make_pipeline(StandardScaler(), TREES).fit(x, [0, 1, 0, 1] * 50)
    found = shortcut_for(model, x)

    assert found is not None
    near = np.array(found.claim.edges[0])
    every = np.concatenate([near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), near * (1 + 1e-7)])
    rows = pd.DataFrame({"a": every})
    assert is_same(model.predict(as_served(rows)), answer_by(found, rows))


def test_sums_are_added_in_the_order_of_the_models_own_matrix() -> None:
    """Places of categories are small whole numbers, and so are sums of most made-up rows: they hide another order."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"f": rng.normal(size=300) * 10, "i": rng.integers(-5, 5, 300)})
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-7)
    model = make_pipeline(encoder, BayesianRidge()).fit(table, table["f"] + table["i"] + rng.normal(size=300))
    shortcut = shortcut_for(model, table)
    assert shortcut is not None

    for size in (1, 2, 3, 5, 8):
        for start in range(0, 300 - size, size):
            rows = table.iloc[start : start + size].reset_index(drop=True)
            assert is_same(model.predict(as_served(rows)), answer_by(shortcut, rows))
