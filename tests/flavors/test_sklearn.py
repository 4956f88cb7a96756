"""scikit-learn's formats, the fall-back from skops, and what is known of rows."""

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from podium.errors import InvalidInput, InvalidModel, LoadFailed
from podium.flavors.contract import Stored
from podium.flavors.sklearn.flavor import SklearnFlavor, load_estimator
from podium.flavors.sklearn.rows import rows_of

X, Y = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 3.0]]), np.array([0, 0, 1, 1])
FLAVOR = SklearnFlavor()


class Own(LogisticRegression):
    """An estimator that comes from no package."""


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(3, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    ("asked", "file"),
    [(None, "model.skops"), ("skops", "model.skops"), ("cloudpickle", "model.pkl"), ("pickle", "model.pkl")],
)
def test_each_format_gives_back_the_same_answers(tmp_path: Path, asked: str | None, file: str) -> None:
    """skops unless another is asked for."""
    model = LogisticRegression().fit(X, Y)
    saved = FLAVOR.save(model, tmp_path, serialization_format=asked)
    loaded = FLAVOR.load(Stored(tmp_path, saved.flavors))

    assert [file] == [path.name for path in tmp_path.iterdir()]
    assert (asked or "skops") == saved.flavors["sklearn"]["serialization_format"]
    assert np.array_equal(model.predict(X), loaded.predict(X))


@pytest.mark.parametrize("asked", [None, "skops"])
@pytest.mark.parametrize(
    "model",
    [
        forest(),
        KNeighborsClassifier(1).fit(X, Y),
        GridSearchCV(DecisionTreeRegressor(), {"max_depth": [1, 2]}, cv=2).fit(X, Y),
        VotingClassifier([("a", LogisticRegression()), ("b", forest())]).fit(X, Y),
    ],
    ids=lambda each: type(each).__name__,
)
def test_types_of_scikit_learn_itself_are_trusted_and_written_down(tmp_path: Path, model: Any, asked: str | None) -> None:
    """skops knows no trees, but whoever made the forest does; what is written down is what MLflow trusts as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved = FLAVOR.save(model, tmp_path, serialization_format=asked)

    assert saved.flavors["sklearn"]["serialization_format"] == "skops"
    assert all(name.startswith("sklearn.") for name in saved.flavors["sklearn"]["skops_trusted_types"])
    assert np.array_equal(model.predict(X), FLAVOR.load(Stored(tmp_path, saved.flavors)).predict(X))


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An estimator whose class comes from a module of the user's own."""
    (tmp_path / "src").mkdir()
    code = "from sklearn.linear_model import LogisticRegression\n\nclass Own(LogisticRegression):\n    pass\n"
    (tmp_path / "src" / "foreign_estimator.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path / "src")
    return importlib.import_module("foreign_estimator").Own().fit(X, Y)


def test_types_of_other_packages_fall_back_with_a_note(tmp_path: Path, foreign: Any) -> None:
    """The note names them, so that whoever trusts them can say so; and it points at the caller's line."""
    (folder := tmp_path / "model").mkdir()
    with pytest.warns(
        UserWarning, match=r"cloudpickle instead of skops.*foreign_estimator.Own.*skops_trusted_types"
    ) as seen:
        saved = FLAVOR.save(foreign, folder)

    assert seen[0].filename == __file__
    assert [path.name for path in folder.iterdir()] == ["model.pkl"]
    assert saved.flavors["sklearn"]["serialization_format"] == "cloudpickle"
    assert saved.requirements == ["scikit-learn", "cloudpickle"]


def test_types_that_the_user_trusts_are_written_into_the_model(tmp_path: Path, foreign: Any) -> None:
    """And are trusted when it is loaded, as in MLflow."""
    (folder := tmp_path / "model").mkdir()
    saved = FLAVOR.save(foreign, folder, skops_trusted_types=["foreign_estimator.Own"])

    assert saved.flavors["sklearn"]["skops_trusted_types"] == ["foreign_estimator.Own"]
    assert np.array_equal(foreign.predict(X), FLAVOR.load(Stored(folder, saved.flavors)).predict(X))


def test_skops_by_name_does_not_fall_back(tmp_path: Path, foreign: Any) -> None:
    """Who asks for it gets it or an error that says what is in the way."""
    (folder := tmp_path / "model").mkdir()
    with pytest.raises(InvalidInput, match=r"foreign_estimator\.Own"):
        FLAVOR.save(foreign, folder, serialization_format="skops")

    assert list(folder.iterdir()) == []


def of_main() -> FunctionTransformer:
    """A transformer with a function that a script defines."""
    main = sys.modules["__main__"].__dict__
    exec("def own(x):\n    return x * 2", main)
    return FunctionTransformer(main["own"]).fit(X)


def test_what_a_script_defines_is_taken_along_or_the_author_is_told(tmp_path: Path) -> None:
    """By name alone it would be found in the author's session and nowhere else."""
    with pytest.raises(InvalidInput, match=r"__main__\.own.*outside of this script.*cloudpickle"):
        FLAVOR.save(of_main(), tmp_path, serialization_format="skops")
    with pytest.warns(UserWarning, match="load nowhere else.*cloudpickle"):
        FLAVOR.save(of_main(), tmp_path, serialization_format="pickle")
    with pytest.warns(UserWarning, match="cloudpickle instead of skops"):
        FLAVOR.save(of_main(), tmp_path)


@pytest.mark.parametrize("asked", ["skops", "cloudpickle", "pickle"])
def test_models_with_large_arrays_can_be_saved(tmp_path: Path, asked: str) -> None:
    """Pickle hands arrays beyond its frame's size over as they are."""
    model = LinearRegression().fit(np.eye(2, 20_000), [0.0, 1.0])

    saved = FLAVOR.save(model, tmp_path, serialization_format=asked)

    assert np.array_equal(model.coef_, load_estimator(tmp_path, saved.flavors).coef_)


def test_a_lambda_and_pickle_do_not_go_together(tmp_path: Path) -> None:
    """The error says so and names the format that can."""
    with pytest.raises(InvalidInput, match=r"pickle cannot hold.*cloudpickle"):
        FLAVOR.save(make_pipeline(FunctionTransformer(lambda x: x)), tmp_path, serialization_format="pickle")


def test_a_model_that_trusts_nothing_cannot_make_skops_load_more(tmp_path: Path) -> None:
    """The list is the model's own; without it skops refuses."""
    saved = FLAVOR.save(forest(), tmp_path, skops_trusted_types=["sklearn.tree._tree.Tree"])
    saved.flavors["sklearn"]["skops_trusted_types"] = None

    with pytest.raises(Exception, match="Untrusted types"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))


def test_a_lambda_is_pickled_by_value(tmp_path: Path) -> None:
    """skops cannot; cloudpickle can."""
    model = make_pipeline(FunctionTransformer(lambda x: x * 2), LinearRegression()).fit(X, Y)
    with pytest.warns(UserWarning, match="cloudpickle instead of skops"):
        saved = FLAVOR.save(model, tmp_path)

    assert np.allclose(model.predict(X), FLAVOR.load(Stored(tmp_path, saved.flavors)).predict(X))


def test_an_absent_format_means_pickle(tmp_path: Path) -> None:
    """As in files of MLflow 1; a skops file then fails instead of being guessed at."""
    FLAVOR.save(LogisticRegression().fit(X, Y), tmp_path, serialization_format="pickle")
    flavors: dict[str, dict[str, Any]] = {"sklearn": {}, "python_function": {"data": "model.pkl"}}

    assert isinstance(load_estimator(tmp_path, flavors), LogisticRegression)


def test_an_estimator_without_predict_has_no_python_function(tmp_path: Path) -> None:
    """It loads natively, and cannot be scored."""
    saved = FLAVOR.save(DBSCAN().fit(X), tmp_path)

    assert list(saved.flavors) == ["sklearn"]
    assert isinstance(load_estimator(tmp_path, saved.flavors), DBSCAN)


def test_another_method_may_answer(tmp_path: Path) -> None:
    """pyfunc_predict_fn, written as predict_fn."""
    model = LogisticRegression().fit(X, Y)
    saved = FLAVOR.save(model, tmp_path, pyfunc_predict_fn="predict_proba")

    assert np.allclose(model.predict_proba(X), FLAVOR.load(Stored(tmp_path, saved.flavors)).predict(X, {"ignored": 1}))


@pytest.mark.parametrize(
    ("options", "why"),
    [({"serialization_format": "joblib"}, "joblib"), ({"pyfunc_predict_fn": "fit"}, "pyfunc_predict_fn")],
)
def test_unknown_options_are_refused(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    """With what would be right."""
    with pytest.raises(InvalidInput, match=why):
        FLAVOR.save(LogisticRegression().fit(X, Y), tmp_path, **options)


@pytest.mark.parametrize(
    ("flavors", "why"),
    [
        ({"sklearn": {"pickled_model": "absent.pkl"}}, "not in the model's folder"),
        ({"sklearn": {}}, "expected a path"),
        ({"sklearn": {"pickled_model": "../outside.pkl"}}, "leaves the model's folder"),
        ({"sklearn": {"pickled_model": "link.pkl"}}, "leaves the model's folder"),
        ({"sklearn": {"pickled_model": "model.pkl", "serialization_format": "dill"}}, "dill"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, flavors: dict[str, Any], why: str) -> None:
    """Nothing outside of the folder is unpickled, not even through a link."""
    (tmp_path.parent / "outside.pkl").write_bytes(b"")
    (tmp_path / "link.pkl").symlink_to(tmp_path.parent / "outside.pkl")
    (tmp_path / "model.pkl").write_bytes(b"")

    with pytest.raises(InvalidModel, match=why):
        load_estimator(tmp_path, flavors)


def test_the_switch_against_pickles_covers_skops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its list of trusted types is the model's own."""
    saved = FLAVOR.save(LogisticRegression().fit(X, Y), tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "False")

    with pytest.raises(LoadFailed, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        RandomForestClassifier(),
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()),
        make_pipeline(
            ColumnTransformer([("a", StandardScaler(), [0]), ("b", "passthrough", [1])], remainder="drop"),
            LinearRegression(),
        ),
        GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}),
        VotingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())]),
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        make_pipeline(FunctionTransformer(np.log1p), LinearRegression()),
    ],
)
def test_estimators_on_the_list_are_known_to_answer_row_by_row(estimator: Any) -> None:
    """Pipelines and the like when each of their steps is."""
    assert rows_of(estimator, "predict").is_known_independent


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (Own(), "not one of scikit-learn's own"),
        (make_pipeline(StandardScaler(), Own()), "not one of scikit-learn's own"),
        (make_pipeline(IterativeImputer(), LinearRegression()), "IterativeImputer is not on the list"),
        (make_pipeline(FunctionTransformer(json.dumps), LinearRegression()), "func=dumps"),
        (KNeighborsClassifier(metric=lambda a, b: 0.0), "metric="),
        (ColumnTransformer([("a", make_pipeline(Own()), [0])]), "not one of scikit-learn's own"),
        (GridSearchCV(Own(), {}), "not one of scikit-learn's own"),
        (VotingClassifier([("a", Own())]), "not one of scikit-learn's own"),
        (make_pipeline(TfidfVectorizer(tokenizer=str.split), LinearRegression()), "tokenizer="),
    ],
)
def test_whatever_else_is_not_known(estimator: Any, why: str) -> None:
    """Third parties' code, functions of the user's, and estimators that look at several rows."""
    row = rows_of(estimator, "predict")

    assert not row.is_known_independent
    assert why in row.reason


def test_a_score_is_of_all_rows_together() -> None:
    """Whatever the estimator."""
    assert not rows_of(LogisticRegression(), "score").is_known_independent


def test_every_name_on_the_list_is_an_estimator_of_scikit_learn() -> None:
    """A misspelt name would never match anything."""
    from sklearn.utils import all_estimators

    from podium.flavors.sklearn import rows as sklearn_rows

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = {name for name, _ in all_estimators()}
    gone = {"PassiveAggressiveClassifier", "PassiveAggressiveRegressor"}

    assert set() == (sklearn_rows._ROW_BY_ROW | sklearn_rows._MADE_OF_OTHERS) - known - gone


@pytest.mark.parametrize(("model", "said"), [(3, "a int"), (LogisticRegression, "LogisticRegression, a class")])
def test_what_is_no_estimator_is_refused(tmp_path: Path, model: Any, said: str) -> None:
    """skops and pickle would take it, and nothing could be done with it."""
    with pytest.raises(InvalidInput, match=f"sk_model is {said}; expected a fitted"):
        FLAVOR.save(model, tmp_path)


def test_a_model_of_another_flavor_is_not_unpickled(tmp_path: Path) -> None:
    """Asked for the estimator of an ONNX model, the flavors that it has are named."""
    with pytest.raises(InvalidModel, match=r"no scikit-learn estimator.*\['onnx', 'python_function'\]"):
        load_estimator(tmp_path, {"onnx": {}, "python_function": {"loader_module": "mlflow.onnx", "data": "model.onnx"}})
