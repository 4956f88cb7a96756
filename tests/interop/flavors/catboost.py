"""CatBoost: each kind of model on tables and arrays, both formats, holes and categories."""

NEEDS = ("catboost", "pandas")
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
COLOURS = [
    {"dataframe_split": {"columns": ["size", "colour"], "data": [[3.0, "green"], [3.0, "grey"], [3.0, "violet"]]}},
    {"dataframe_split": {"columns": ["size", "colour"], "data": [[3.0, None]]}},
    {"dataframe_records": [{"size": 1, "colour": "red"}]},
]
QUIET = {"iterations": 5, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


def models():
    import catboost
    import numpy as np
    import pandas as pd

    chance = np.random.default_rng(7)
    frame = pd.DataFrame(chance.normal(size=(90, 2)), columns=["a", "b c"]).assign(n=np.arange(90) % 7)
    array, three = frame.to_numpy(), np.digitize(frame["a"], [-0.5, 0.5])
    words = np.where(frame["a"] > 0, "yes", "no")
    table = pd.DataFrame({"size": np.arange(40.0), "colour": ["red", "green", "blue", "grey"] * 10})
    return {
        "words": (catboost.CatBoostClassifier(**QUIET).fit(frame, words), frame, TABLES),
        "three": (catboost.CatBoostClassifier(**QUIET).fit(frame, three), frame, TABLES),
        "regressor": (catboost.CatBoostRegressor(**QUIET).fit(frame, frame["a"]), frame, TABLES),
        "two": (
            catboost.CatBoostRegressor(loss_function="MultiRMSE", **QUIET).fit(frame, frame[["a", "n"]]), frame, TABLES,
        ),
        "unsure": (
            catboost.CatBoostRegressor(loss_function="RMSEWithUncertainty", **QUIET).fit(frame, frame["a"]), frame, TABLES,
        ),
        "ranker": (
            catboost.CatBoostRanker(**QUIET).fit(frame, three, group_id=np.repeat(range(9), 10)), frame, TABLES[:3],
        ),
        "plain": (catboost.CatBoost({"loss_function": "RMSE", **QUIET}).fit(frame, frame["a"]), frame, TABLES[:3]),
        "array": (catboost.CatBoostClassifier(**QUIET).fit(array, words), array, ARRAYS),
        "categories": (
            catboost.CatBoostRegressor(cat_features=["colour"], **QUIET).fit(table, table["size"]), table, COLOURS,
        ),
    }  # fmt: skip


def saved(save, root):
    asked = {}
    for name, (model, data, requests) in models().items():
        save(model, root / name, input_example=data[:2])
        asked[name] = requests
        if name == "words":
            save(model, root / "as-json", input_example=data[:2], format="json")
            save(model, root / "no-signature")
            asked["as-json"] = TABLES[:2]
            asked["no-signature"] = [*TABLES[:3], {"inputs": [[1.0, 2.0, 3.0]]}]
    return asked


def saved_by_mlflow(root):
    import mlflow.catboost
    from mlflow.models import infer_signature

    def save(model, path, input_example=None, **options):
        # Told what it needs, MLflow does not load each model once more to find out.
        signature = None if input_example is None else infer_signature(input_example)
        options |= {"input_example": input_example, "signature": signature, "pip_requirements": ["mlflow"]}
        mlflow.catboost.save_model(model, path, **options)

    return saved(save, root)


def saved_by_podium(root):
    import podium.catboost

    return saved(podium.catboost.save_model, root)


def native(library, folder):
    import pandas as pd

    model = library.load_model(str(folder))
    kind = type(model).__name__
    if "categories" in str(folder):
        data = pd.DataFrame({"size": [0.5, 3.0], "colour": ["red", "blue"]})
    else:
        data = pd.DataFrame({"a": [0.5, -1.0], "b c": [2.0, 0.1], "n": [1, 2]})
    return [kind, model.predict(data.to_numpy() if str(folder).endswith("array") else data).tolist()]
