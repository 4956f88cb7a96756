"""Runs in an interpreter that has Evidently and NannyML: what both say of the same rows, as one line of JSON.

Args:
    A file of numpy's (.npz): `REFERENCE|NAME` and `CURRENT|NAME`, columns of two sets of rows, and `scores` with
    probabilities of a classifier, and `labels`. Names that begin with `number` are numbers, those with `category`
    categories; those with `joint`, and those with `far`, are looked at together.
"""

import json
import os
import sys
import warnings

# Before either is imported: nothing is to be told to anybody.
os.environ["DO_NOT_TRACK"] = "1"
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
warnings.simplefilter("ignore")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402


def columns(content, kind):
    """Of each column of a kind both sets of rows, which may differ in length."""
    names = [key.split("|")[1] for key in content.files if key.startswith(f"REFERENCE|{kind}")]
    return {name: [pd.Series(content[f"{side}|{name}"], name=name) for side in ("REFERENCE", "CURRENT")] for name in names}


def of_evidently(content):
    """Of each column, each test's score."""
    from evidently.legacy.calculations import stattests as tests
    from evidently.legacy.core import ColumnType

    methods = {
        "number": (ColumnType.Numerical, {"psi": tests.psi_stat_test, "wasserstein": tests.wasserstein_stat_test}),
        "category": (
            ColumnType.Categorical,
            {"psi": tests.psi_stat_test, "js": tests.jensenshannon_stat_test, "chi2": tests.chi_stat_test},
        ),
    }
    return {
        name: {each: float(test(*sides, column_type, 0.1).drift_score) for each, test in of_kind.items()}
        for kind, (column_type, of_kind) in methods.items()
        for name, sides in columns(content, kind).items()
    }


def of_nannyml(content):
    """Of each column, each method's value; columns together; and estimates without labels."""
    import nannyml

    found = {}
    for kind, argument, methods in (
        ("number", "continuous_methods", ["jensen_shannon", "kolmogorov_smirnov", "wasserstein"]),
        ("category", "categorical_methods", ["jensen_shannon", "chi2", "l_infinity"]),
    ):
        for name, (before, now) in columns(content, kind).items():
            calculator = nannyml.UnivariateDriftCalculator(
                column_names=[name],
                treat_as_categorical=[name] if kind == "category" else None,
                chunk_number=1,
                **{argument: methods},
            )
            calculator.fit(before.to_frame())
            table = calculator.calculate(now.to_frame()).filter(period="analysis").to_df(multilevel=True)
            found[name] = {each: float(table[name, each, "value"].iloc[0]) for each in methods}
    for kind in ("joint", "far"):
        found[kind] = together(nannyml, *map(pd.DataFrame, sides(content, kind)))
    before, now = map(pd.DataFrame, sides(content, "joint"))
    classifier = nannyml.DomainClassifierCalculator(feature_column_names=list(before), chunk_number=1)
    classifier.fit(before)
    table = classifier.calculate(now).filter(period="analysis").to_df(multilevel=True)
    found["classifier"] = float(table["domain_classifier_auroc", "value"].iloc[0])
    return found | {"estimated": estimated(nannyml, content["scores"], content["labels"])}


def sides(content, kind):
    """Both sets of rows whole: the columns of a kind by name."""
    every = columns(content, kind)
    return [{name: both[side] for name, both in every.items()} for side in (0, 1)]


def together(nannyml, before, now):
    """How far rows are from what directions keep of them, and between which limits nothing is told."""
    calculator = nannyml.DataReconstructionDriftCalculator(column_names=list(before), chunk_number=10)
    calculator.fit(before)
    table = calculator.calculate(now).to_df(multilevel=True)
    of_now = table[table["chunk", "period"] == "analysis"]["reconstruction_error"]
    weights = [len(part) for part in np.array_split(np.arange(len(now)), 10)]
    return {
        "error": float(np.average(of_now["value"], weights=weights)),
        "low": float(of_now["lower_threshold"].iloc[0]),
        "high": float(of_now["upper_threshold"].iloc[0]),
    }


def estimated(nannyml, scores, labels):
    """CBPE's figures for scores that need no calibration."""
    frame = pd.DataFrame({"score": scores, "told": (scores >= 0.5).astype(int), "true": labels})
    names = ["accuracy", "precision", "recall", "f1", "roc_auc"]
    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_pred_proba="score",
        y_pred="told",
        y_true="true",
        metrics=names,
        chunk_number=1,
        calibrator=_AsIs(),
    )
    estimator.fit(frame)
    table = estimator.estimate(frame.drop(columns="true")).filter(period="analysis").to_df(multilevel=True)
    return {name: float(table[name, "value"].iloc[0]) for name in names}


class _AsIs:
    def fit(self, *args, **kwargs):
        return None

    def calibrate(self, y_pred_proba, *args, **kwargs):
        return np.asarray(y_pred_proba)


if __name__ == "__main__":
    with np.load(sys.argv[1], allow_pickle=True) as content:
        print(json.dumps({"evidently": of_evidently(content), "nannyml": of_nannyml(content)}))
