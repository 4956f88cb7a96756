"""statsmodels: regressions on tables and arrays, formulas, time series by position and by date."""

NEEDS = ("statsmodels", "pandas")
# Dates of a newer pandas, pickled, are none to the older one that MLflow 2 asks for.
REFUSED = {"2": dict.fromkeys(("arima", "autoreg", "holt"), "AssertionError")}
SPLIT = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0], [-3.5, 0.25]]}}
TABLES = [
    SPLIT,
    {"dataframe_records": [{"a": 1, "b": 2.5}, {"a": -1.5, "b": None}]},
    {"inputs": {"a": [0.5, 1.0], "b": [2.0, -4.0]}},
    ("a,b\n1.5,2.5\n-2.0,0.0\n", "text/csv"),
    {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}},
]
FORMULA = [
    {"dataframe_records": [{"a": 1, "b": 2.5, "kind": "x"}, {"a": -1.5, "b": 0.5, "kind": "z"}]},
    {"dataframe_records": [{"a": 1, "b": 2.5, "kind": "unknown"}]},
]
SPANS = [
    {"dataframe_split": {"columns": ["start", "end"], "data": [[48, 51]]}},
    {"dataframe_records": [{"start": 3, "end": 5}]},
    {"dataframe_records": [{"start": 3, "end": 5}, {"start": 4, "end": 6}]},
    {"dataframe_records": [{"start": 3}]},
]
DATES = [
    {"dataframe_records": [{"start": "2024-01-01", "end": "2024-04-01"}]},
    {"dataframe_records": [{"start": "long ago", "end": "2024-04-01"}]},
]


def models():
    import numpy as np
    import pandas as pd
    import statsmodels.api as sm
    import statsmodels.formula.api as smf
    from statsmodels.tsa.ar_model import AutoReg
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    chance = np.random.default_rng(7)
    data = pd.DataFrame(chance.normal(size=(60, 2)), columns=["a", "b"])
    noisy = (data["a"] - data["b"] + chance.normal(size=60)).rename("y")
    hit, kind = (chance.random(60) > 0.5).astype(int), np.tile(["x", "y", "z"], 60)[:60]
    known = data.assign(y=noisy, kind=kind)
    series = pd.Series(np.sin(np.arange(48.0)) + np.arange(48) / 9, pd.date_range("2020-01-01", periods=48, freq="MS"))
    span, dates = pd.DataFrame({"start": [48], "end": [50]}), pd.DataFrame({"start": ["2024-01-01"], "end": ["2024-02-01"]})
    return {
        "ols": (sm.OLS(noisy, data).fit(), data, TABLES),
        "array": (sm.OLS(noisy.to_numpy(), data.to_numpy()).fit(), data.to_numpy(), [{"inputs": [[1.0, 2.0]]}, SPLIT]),
        "glm": (sm.GLM(hit, data, family=sm.families.Binomial()).fit(), data, TABLES),
        "mnlogit": (sm.MNLogit(pd.factorize(kind)[0], data).fit(disp=0), data, TABLES),
        "robust": (sm.RLM(noisy, data).fit(), data, TABLES),
        "formula": (smf.ols("y ~ np.exp(a) + I(b**2) * C(kind)", known).fit(), known[["a", "b", "kind"]], FORMULA),
        "arima": (sm.tsa.ARIMA(series, order=(1, 0, 0)).fit(), span, SPANS),
        "autoreg": (AutoReg(series, 2).fit(), dates, DATES),
        "holt": (ExponentialSmoothing(series, trend="add").fit(), span, SPANS),
    }


def saved(save, root):
    asked = {}
    for name, (results, data, requests) in models().items():
        save(results, root / name, input_example=data[:2])
        asked[name] = requests
        if name == "ols":
            save(results, root / "no-signature")
            save(results, root / "bare", input_example=data[:2], remove_data=True)
            asked |= {"no-signature": [*TABLES[:3], {"inputs": [[1.0, 2.0]]}], "bare": TABLES[:2]}
    return asked


def saved_by_mlflow(root):
    import mlflow.statsmodels
    from mlflow.models import infer_signature

    def save(results, path, input_example=None, **options):
        # Told what it needs, MLflow does not load each model once more to find out.
        signature = None if input_example is None else infer_signature(input_example)
        options |= {"input_example": input_example, "signature": signature, "pip_requirements": ["mlflow"]}
        mlflow.statsmodels.save_model(results, path, **options)

    return saved(save, root)


def saved_by_podium(root):
    import podium.statsmodels

    return saved(podium.statsmodels.save_model, root)


def native(library, folder):
    import numpy as np

    results = library.load_model(str(folder))
    return [type(results).__name__, np.asarray(results.params).tolist()] if "holt" not in str(folder) else None
