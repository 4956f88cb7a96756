"""LightGBM: Boosters and the scikit-learn API on tables and arrays, every format, holes and categories."""

NEEDS = ("lightgbm", "sklearn", "skops", "pandas")
SPLIT = {"dataframe_split": {"columns": ["a", "b c", "n"], "data": [[1.0, 2.0, 3], [-3.5, 0.25, -1]]}}
TABLES = [
    SPLIT,
    {"dataframe_records": [{"n": 1, "a": 1, "b c": 2.5, "more": 1}, {"a": -1.5, "b c": None, "n": 0}]},
    {"inputs": {"a": [0.5, 1.0], "b c": [2.0, -4.0], "n": [2, 3]}},
    ("a,b c,n\n1.5,2.5,3\n-2.0,,0\n", "text/csv"),
    {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}},
    {"dataframe_split": {"columns": ["a", "b c", "n"], "data": [["x", 1.0, 1]]}},
]
ARRAYS = [{"inputs": [[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]}, {"inputs": [[1.0]]}, {"instances": [[1, 2, 3]]}]
# MLflow 2 reads every estimator with cloudpickle, whatever MLmodel says.
NO_SKOPS = "UnpicklingError"
REFUSED = {"2": dict.fromkeys(("default", "ranker"), NO_SKOPS)}
QUIET = {"verbose": -1, "num_threads": 1}


def models():
    import lightgbm
    import numpy as np
    import pandas as pd

    chance = np.random.default_rng(7)
    frame = pd.DataFrame(chance.normal(size=(90, 2)), columns=["a", "b c"]).assign(n=np.arange(90) % 7)
    few, three = (frame["a"] > 0).astype(int), np.digitize(frame["a"], [-0.5, 0.5])
    words = np.where(frame["a"] > 0, "yes", "no")
    array = frame.to_numpy()
    return frame, {
        "booster": (lightgbm.train({"objective": "binary", **QUIET}, lightgbm.Dataset(frame, few), 6), frame),
        "multiclass": (
            lightgbm.train({"objective": "multiclass", "num_class": 3, **QUIET}, lightgbm.Dataset(frame, three), 4),
            frame,
        ),
        "array-booster": (lightgbm.train(QUIET, lightgbm.Dataset(array, few), 4), array),
        "words": (lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(frame, words), frame),
        "three": (lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(frame, three), frame),
        "quantile": (
            lightgbm.LGBMRegressor(n_estimators=5, n_jobs=1, verbose=-1, objective="quantile").fit(frame, frame["a"]),
            frame,
        ),
        "array-classifier": (lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(array, words), array),
    }


def ranker(frame):
    import lightgbm
    import numpy as np

    labels = np.digitize(frame["a"], [-0.5, 0.5])
    return lightgbm.LGBMRanker(n_estimators=5, n_jobs=1, verbose=-1).fit(frame, labels, group=[40, 50])


def categories():
    import lightgbm
    import numpy as np
    import pandas as pd

    table = pd.DataFrame(
        {
            "size": np.tile(np.arange(10.0), 40),
            "colour": pd.Categorical(np.repeat(["red", "green", "blue", "grey"], 100)),
            "shelf": pd.Categorical(np.tile([10, 20], 200)),
        }
    )
    prices = np.repeat([1.0, 5.0, 2.0, 9.0], 100) + np.tile([0.0, 3.0], 200)
    params = {"min_data_per_group": 1, "cat_smooth": 0.1, "objective": "regression"}
    return table, lightgbm.train({**QUIET, **params}, lightgbm.Dataset(table, prices), 6)


def saved(save, root):
    frame, made = models()
    asked = {}
    for name, (model, data) in made.items():
        # By cloudpickle, which both series of MLflow read.
        kept = {} if "booster" in name or name == "multiclass" else {"serialization_format": "cloudpickle"}
        save(model, root / name, input_example=data[:2], **kept)
        asked[name] = TABLES if data is frame else ARRAYS
    save(made["words"][0], root / "pickled", input_example=frame[:2], serialization_format="pickle")
    save(made["words"][0], root / "default", input_example=frame[:2])
    save(ranker(frame), root / "ranker", input_example=frame[:2])
    save(made["booster"][0], root / "no-signature")
    asked |= dict.fromkeys(("pickled", "default", "ranker"), TABLES[:2])
    asked["no-signature"] = [*TABLES[:3], {"inputs": [[1.0, 2.0, 3.0]]}]
    table, model = categories()
    save(model, root / "categories", input_example=table[:4])
    names = ["size", "colour", "shelf"]
    rows = [[3.0, "green", 10], [3.0, "grey", 20], [3.0, None, 20], [3.0, "violet", 10]]
    said = {"dataframe_split": {"columns": names, "data": rows}}
    asked["categories"] = [(said, "application/json", {"predictions": answers(model, table, names, rows)})]
    return asked


def answers(model, table, names, rows):
    import pandas as pd

    data = pd.DataFrame(rows, columns=names).replace("violet", None).astype(dict(table.dtypes))
    return model.predict(data).tolist()


def saved_by_mlflow(root):
    import mlflow.lightgbm
    from mlflow.models import infer_signature

    is_old = mlflow.__version__.startswith("2.")

    def save(model, path, input_example=None, **options):
        # Told what it needs, MLflow does not load each model once more to find out.
        options |= {"input_example": input_example, "pip_requirements": ["mlflow"]}
        if is_old:
            options.pop("serialization_format", None)
        elif type(model).__name__ == "LGBMRanker":
            options["skops_trusted_types"] = ["lightgbm.sklearn.LGBMRanker"]
        signature = None if input_example is None else infer_signature(input_example)
        mlflow.lightgbm.save_model(model, path, signature=signature, **options)

    return saved(save, root)


def saved_by_podium(root):
    import podium.lightgbm

    return saved(podium.lightgbm.save_model, root)


def native(library, folder):
    import pandas as pd

    model = library.load_model(str(folder))
    kind = type(model).__name__
    if "categories" in str(folder):
        return [kind]
    data = pd.DataFrame({"a": [0.5, -1.0], "b c": [2.0, 0.1], "n": [1, 2]})
    return [kind, model.predict(data.to_numpy() if "array" in str(folder) else data).tolist()]
