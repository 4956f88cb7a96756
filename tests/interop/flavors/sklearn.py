"""scikit-learn: estimators on tables and arrays, every serialization, methods beside predict."""

import functools

NEEDS = ("sklearn", "skops", "pandas")
SPLIT = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2.0], [-3.5, 0.25]]}}
# MLflow 2 has no skops, which is what both podium and MLflow 3 write unless told otherwise.
NO_SKOPS = "Unrecognized serialization format: skops"
REFUSED = {"2": dict.fromkeys(("pipeline", "forest", "regression", "two-outputs", "clusters", "as-skops", "proba",
                               "no-signature"), NO_SKOPS)}  # fmt: skip
REQUESTS = [
    SPLIT,
    {"dataframe_records": [{"a": 1, "b": 2.5}, {"a": -1.5, "b": 0}]},
    {"instances": [{"a": 0.5, "b": 0.5}]},
    {"inputs": {"a": [0.5, 1.0], "b": [2.0, -4.0]}},
    ("a,b\n1.5,2.5\n-2.0,0.0\n", "text/csv"),
    {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}},
    ("{no JSON", "application/json"),
]


def models():
    import numpy as np
    import pandas as pd
    from sklearn.cluster import KMeans
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chance = np.random.default_rng(7)
    frame = pd.DataFrame(chance.normal(size=(60, 2)), columns=["a", "b"])
    words = pd.Series(np.where(frame["a"] + frame["b"] > 0, "yes", "no"), dtype=object)
    array, two = frame.to_numpy(), np.stack([frame["a"] * 2, frame["b"] - 1], axis=1)
    return frame, {
        "pipeline": (make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, words), frame),
        "forest": (RandomForestClassifier(7, random_state=1).fit(frame, words), frame),
        "regression": (LinearRegression().fit(array, array[:, 0] * 3), array),
        "two-outputs": (LinearRegression().fit(array, two), array),
        "clusters": (KMeans(2, n_init=1, random_state=3).fit(frame), frame),
    }


def saved(save, root, formats):
    frame, made = models()
    asked = {}
    for name, (model, data) in made.items():
        save(model, root / name, input_example=data[:2])
        asked[name] = REQUESTS if data is frame else [{"inputs": [[1.0, 2.0], [0.5, -1.0]]}, {"inputs": [[1.0]]}, SPLIT]
    for each in formats:
        save(made["pipeline"][0], root / f"as-{each}", serialization_format=each, input_example=frame[:2])
        asked[f"as-{each}"] = REQUESTS[:2]
    save(made["forest"][0], root / "proba", pyfunc_predict_fn="predict_proba", input_example=frame[:2])
    save(made["forest"][0], root / "no-signature")
    for name in ("forest", "clusters"):
        save(made[name][0], root / f"{name}-pickled", serialization_format="cloudpickle", input_example=frame[:2])
        asked[f"{name}-pickled"] = REQUESTS
    return asked | {"proba": REQUESTS, "no-signature": [SPLIT, {"inputs": [[1.0, 2.0]]}]}


def saved_by_mlflow(root):
    import mlflow.sklearn

    is_old = mlflow.__version__.startswith("2.")
    # Told what it needs, MLflow does not load each model once more to find out. Its skops trusts no forest.
    kept = {"pip_requirements": ["mlflow"]} | ({} if is_old else {"serialization_format": "cloudpickle"})

    def save(model, path, **options):
        mlflow.sklearn.save_model(model, path, **(kept | options))

    return saved(save, root, ["pickle", "cloudpickle"] if is_old else ["pickle", "skops"])


def saved_by_podium(root):
    import podium.sklearn

    return saved(functools.partial(podium.sklearn.save_model), root, ["pickle", "cloudpickle", "skops"])


def native(library, folder):
    import pandas as pd

    model = library.load_model(str(folder))
    data = pd.DataFrame({"a": [0.5, -1.0], "b": [2.0, 0.1]})
    return model.predict(data if hasattr(model, "feature_names_in_") else data.to_numpy()).tolist()
