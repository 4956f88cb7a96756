"""XGBoost: Boosters and the scikit-learn API on tables and arrays, every format, params, holes and categories."""

NEEDS = ("xgboost", "sklearn", "pandas")
SPLIT = {"dataframe_split": {"columns": ["a", "b c", "n"], "data": [[1.0, 2.0, 3], [-3.5, 0.25, -1]]}}
TABLES = [
    SPLIT,
    {"dataframe_records": [{"n": 1, "a": 1, "b c": 2.5, "more": 1}, {"a": -1.5, "b c": None, "n": 0}]},
    {"inputs": {"a": [0.5, 1.0], "b c": [2.0, -4.0], "n": [2, 3]}},
    ("a,b c,n\n1.5,2.5,3\n-2.0,,0\n", "text/csv"),
    {"dataframe_split": {"columns": ["a"], "data": [[1.0]]}},
    {"dataframe_split": {"columns": ["a", "b c", "n"], "data": [[1e39, 1.0, 1]]}},
    {"dataframe_split": {"columns": ["a", "b c", "n"], "data": [["x", 1.0, 1]]}},
]
ARRAYS = [{"inputs": [[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]]}, {"inputs": [[1.0]]}, {"instances": [[1, 2, 3]]}]
PARAMS = {"iteration_range": [0, 3], "output_margin": True, "else": "x"}


def models():
    import numpy as np
    import pandas as pd
    import xgboost

    chance = np.random.default_rng(7)
    frame = pd.DataFrame(chance.normal(size=(90, 2)), columns=["a", "b c"]).assign(n=np.arange(90) % 7)
    array, few = frame.to_numpy(), (frame["a"] > 0).astype(int)
    three = np.digitize(frame["a"], [-0.5, 0.5])
    made = {
        "booster": xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(frame, few), 6),
        "softprob": xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(frame, three), 4),
        "dart": xgboost.train({"booster": "dart", "rate_drop": 0.5}, xgboost.DMatrix(frame, frame["a"]), 9),
        "linear": xgboost.train({"booster": "gblinear"}, xgboost.DMatrix(frame, frame["a"]), 9),
        "classifier": xgboost.XGBClassifier(n_estimators=6).fit(frame, three),
        "regressor": xgboost.XGBRegressor(n_estimators=6).fit(frame, frame[["a", "n"]]),
        "quantile": xgboost.XGBRegressor(
            n_estimators=6, objective="reg:quantileerror", quantile_alpha=np.array([0.1, 0.9])
        ).fit(frame, frame["a"]),
        "forest": xgboost.XGBRFRegressor(n_estimators=6).fit(frame, frame["a"]),
        "ranker": xgboost.XGBRanker(n_estimators=6).fit(frame, three, qid=np.repeat(range(9), 10)),
        "stopped": xgboost.XGBRegressor(n_estimators=80, early_stopping_rounds=2, learning_rate=0.9).fit(
            frame[:60], frame["b c"][:60], eval_set=[(frame[60:], frame["b c"][60:])], verbose=False
        ),
    }
    arrays = {
        "array-booster": xgboost.train({}, xgboost.DMatrix(array, few), 4),
        "array-classifier": xgboost.XGBClassifier(n_estimators=4).fit(array, few),
    }
    return frame, array, made, arrays


def categories():
    import numpy as np
    import pandas as pd
    import xgboost

    table = pd.DataFrame({"size": np.arange(40.0), "colour": pd.Categorical(["red", "green", "blue", "grey"] * 10)})
    return table[:4], xgboost.XGBRegressor(n_estimators=6, enable_categorical=True).fit(
        table, np.tile([1.0, 5.0, 2.0, 9.0], 10)
    )


def saved(save, root, signature):
    frame, array, made, arrays = models()
    asked = {}
    for name, model in made.items():
        save(model, root / name, input_example=frame[:2])
        asked[name] = TABLES
    for name, model in arrays.items():
        save(model, root / name, input_example=array[:2])
        asked[name] = ARRAYS
    for each in ("ubj", "json"):
        save(made["booster"], root / f"as-{each}", model_format=each, input_example=frame[:2])
        asked[f"as-{each}"] = TABLES[:2]
    save(made["booster"], root / "params", signature=signature(frame[:2], params=PARAMS))
    more = [SPLIT | {"params": params} for params in ({"iteration_range": [1, 4]}, {"output_margin": False})]
    asked["params"] = [SPLIT, *more]
    save(made["booster"], root / "no-signature")
    asked["no-signature"] = [*TABLES[:3], {"inputs": [[1.0, 2.0, 3.0]]}]
    # Null in an optional whole number: MLflow's server refuses it.
    hole = {"dataframe_split": {"columns": ["a", "b c", "n"], "data": [[1.0, 2.0, None], [1.0, 2.0, 3]]}}
    save(made["booster"], root / "optional", signature=signature(frame[:2].astype({"n": "Int64"}).reindex(range(3))))
    asked["optional"] = [SPLIT, (hole, "application/json", answer_of(made["booster"], hole))]
    table, model = categories()
    save(model, root / "categories", input_example=table)
    said = {"dataframe_split": {"columns": ["size", "colour"], "data": [[3.0, "green"], [3.0, "grey"], [3.0, None]]}}
    asked["categories"] = [(said, "application/json", answer_of(model, said))]
    return asked


def answer_of(model, body):
    import numpy as np
    import pandas as pd
    import xgboost

    data = pd.DataFrame(body["dataframe_split"]["data"], columns=body["dataframe_split"]["columns"])
    if "colour" in data:
        data = data.astype({"colour": "category"})
    found = model.predict(xgboost.DMatrix(data) if isinstance(model, xgboost.Booster) else data)
    return {"predictions": np.asarray(found).tolist()}


def saved_by_mlflow(root):
    import mlflow.xgboost
    from mlflow.models import infer_signature

    def save(model, path, input_example=None, signature=None, **options):
        # Told what it needs, MLflow does not load each model once more to find out.
        signature = signature or (None if input_example is None else infer_signature(input_example))
        options |= {"input_example": input_example, "signature": signature, "pip_requirements": ["mlflow"]}
        mlflow.xgboost.save_model(model, path, **options)

    return saved(save, root, infer_signature)


def saved_by_podium(root):
    import podium
    import podium.xgboost

    return saved(podium.xgboost.save_model, root, podium.infer_signature)


def native(library, folder):
    import numpy as np
    import pandas as pd
    import xgboost

    model = library.load_model(str(folder))
    kind = type(model).__name__
    if "categories" in str(folder):
        return [kind]
    data = pd.DataFrame({"a": [0.5, -1.0], "b c": [2.0, 0.1], "n": [1, 2]})
    if "array" in str(folder):
        data = data.to_numpy()
    return [kind, np.asarray(model.predict(xgboost.DMatrix(data) if kind == "Booster" else data)).tolist()]
