"""statsmodels results: what is written, which of them answer row by row, and how time series are asked."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from podium.errors import InvalidInput, LoadFailed
from podium.flavors.catalog import flavor_claiming
from podium.flavors.contract import Stored
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.statsmodels import StatsmodelsFlavor

FLAVOR = StatsmodelsFlavor()
RNG = np.random.default_rng(6)
DATA = pd.DataFrame(RNG.standard_normal((60, 2)), columns=["a", "b"])
DATA["y"] = DATA["a"] - DATA["b"] + RNG.standard_normal(60)
DATA["hit"] = (RNG.random(60) > 0.5).astype(int)
DATA["kind"] = np.tile(["x", "y", "z"], 20)
SERIES = pd.Series(np.sin(np.arange(48.0)) + np.arange(48) / 9, pd.date_range("2020-01-01", periods=48, freq="MS"))

TABLES: dict[str, Any] = {
    "OLS": lambda: sm.OLS(DATA["y"], DATA[["a", "b"]]).fit(),
    "GLM": lambda: sm.GLM(DATA["hit"], DATA[["a", "b"]], family=sm.families.Binomial()).fit(),
    "MNLogit": lambda: sm.MNLogit(pd.factorize(DATA["kind"])[0], DATA[["a", "b"]]).fit(disp=0),
    "QuantReg": lambda: sm.QuantReg(DATA["y"], DATA[["a", "b"]]).fit(q=0.7),
    "formula": lambda: smf.ols("y ~ np.exp(a) + I(b**2) * C(kind)", DATA).fit(),
}


def loaded(folder: Path, results: Any, **options: Any) -> Any:
    return FLAVOR.load(Stored(folder, FLAVOR.save(results, folder, **options).flavors))


@pytest.mark.parametrize("name", list(TABLES))
def test_regressions_answer_as_they_did_and_row_by_row(tmp_path: Path, name: str) -> None:
    """Formulas too, where they look at one row at a time."""
    results = TABLES[name]()
    found = loaded(tmp_path, results)
    table = DATA if name == "formula" else DATA[["a", "b"]]
    row = FLAVOR.rows(found, None)

    assert flavor_claiming(results).name == "statsmodels"
    assert np.array_equal(results.predict(table), found.predict(table, {"ignored": 1}))
    assert row.is_known_independent, row.reason
    assert np.allclose(np.asarray(results.predict(table))[5:7], np.asarray(found.predict(table[5:7])), rtol=1e-12)


@pytest.mark.parametrize("terms", ["a.rank()", "a + I(b - np.mean(b) * a)", "a + (b - b.mean())", "standardize(a)"])
def test_a_formula_that_may_look_at_the_whole_column_is_not_known(tmp_path: Path, terms: str) -> None:
    """A rank among the rows of whatever requests came together would be another one."""
    found = loaded(tmp_path, smf.ols(f"y ~ {terms}", DATA).fit())

    assert not FLAVOR.rows(found, None).is_known_independent


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExponentialSmoothing(SERIES, trend="add").fit(),
        lambda: AutoReg(SERIES, 2).fit(),
        lambda: sm.tsa.ARIMA(SERIES, order=(1, 0, 0)).fit(),
    ],
    ids=["holt", "autoreg", "arima"],
)
def test_a_time_series_answers_one_span(tmp_path: Path, make: Any) -> None:
    """By positions or by dates; never are two requests one call."""
    results = make()
    found = loaded(tmp_path, results)
    row = FLAVOR.rows(found, None)

    expected = results.predict(start=48, end=51)
    assert expected.equals(found.predict(pd.DataFrame({"start": [48], "end": [51]})))
    assert expected.equals(found.predict(pd.DataFrame({"end": ["2024-04-01"], "start": ["2024-01-01"]}, index=[7])))
    assert (row.is_known_independent, row.reason.partition(" is ")[2]) == (False, "a time series: a request is one span")


@pytest.mark.parametrize(
    "data",
    [pd.DataFrame({"start": [1, 2], "end": [3, 4]}), pd.DataFrame({"start": [1]}), pd.DataFrame()],
)
def test_another_table_for_a_time_series_is_refused_in_mlflows_words(tmp_path: Path, data: Any) -> None:
    """Its clients know them."""
    found = loaded(tmp_path, AutoReg(SERIES, 2).fit())

    with pytest.raises(MlflowException, match="must have exactly one row and include columns called start and end"):
        found.predict(data)


def test_an_array_for_a_time_series_is_refused(tmp_path: Path) -> None:
    """It has no columns start and end; MLflow fails on it."""
    found = loaded(tmp_path, AutoReg(SERIES, 2).fit())

    with pytest.raises(InvalidInput, match="a table of one row, start and end; got a ndarray"):
        found.predict(np.array([[1, 3]]))


def test_the_data_is_left_out_on_request(tmp_path: Path) -> None:
    """A tenth of the size, and the same answers."""
    many = pd.DataFrame(RNG.standard_normal((5000, 2)), columns=["a", "b"])
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        results = sm.OLS(many["a"] * 2, many).fit()
        expected = results.predict(many[:3])
        assert np.array_equal(expected, loaded(tmp_path / name, results, remove_data=name == "without").predict(many[:3]))
    sizes = [(tmp_path / name / "model.statsmodels").stat().st_size for name in ("with", "without")]

    assert sizes[1] < sizes[0] / 10


def test_a_null_is_answered_with_a_null(tmp_path: Path) -> None:
    """In the row that has it, and no other."""
    found = loaded(tmp_path, TABLES["OLS"]())
    answer = found.predict(pd.DataFrame({"a": [1.0, np.nan], "b": [1.0, 1.0]}))

    assert list(np.isnan(answer)) == [False, True]


def test_the_switch_against_pickles_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """statsmodels has no other format."""
    saved = FLAVOR.save(TABLES["OLS"](), tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")

    with pytest.raises(LoadFailed, match="MLFLOW_ALLOW_PICKLE_DESERIALIZATION"):
        FLAVOR.load(Stored(tmp_path, saved.flavors))


def test_the_packages_that_the_pickle_names_are_required(tmp_path: Path) -> None:
    """Beside statsmodels itself."""
    saved = FLAVOR.save(TABLES["OLS"](), tmp_path)

    assert {"statsmodels", "numpy", "pandas"} <= saved.modules


@pytest.mark.parametrize("model", ["text", sm.OLS])
def test_what_is_no_result_is_refused(tmp_path: Path, model: Any) -> None:
    """With what is expected."""
    with pytest.raises(InvalidInput, match=r"fit\(\)"):
        FLAVOR.save(model, tmp_path)
