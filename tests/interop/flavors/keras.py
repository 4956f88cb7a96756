"""Keras 3: arrays and tables, several inputs and outputs, the types that JSON has, and exported graphs."""

import os

NEEDS = ("keras", "tensorflow", "pandas")


def models():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import pandas as pd

    layers = keras.layers
    keras.utils.set_random_seed(7)
    dense = keras.Sequential([keras.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(2)])
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    both = keras.Model([a, b], layers.Dense(2, name="score")(layers.Concatenate()([a, b])))
    twins = keras.Model([a, b], [layers.Add(name="sum")([a, b]), layers.Subtract(name="difference")([a, b])])
    unlike = keras.Model([a, b], {"sum": layers.Add()([a, b]), "first": keras.ops.max(a, axis=1, keepdims=True)})
    places = keras.Sequential([keras.Input((2,), dtype="int32"), layers.Embedding(5, 2), layers.Flatten()])
    series = keras.Sequential([keras.Input((None, 2)), layers.LSTM(3)])

    array = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, 0.0]])
    plain = [
        {"inputs": [[0.5, -1.0, 2.0]]},
        {"instances": [[1, 2, 3], [3, 4, 5]]},
        {"inputs": [[0.5, -1.0]]},
        {"inputs": [[0.1 * i, i, -i] for i in range(40)]},
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[0.5, -1.0, 2.0], [1, 0, 3]]}},
        {"dataframe_split": {"columns": ["a", "b", "c"], "index": [5, 3], "data": [[0.5, -1.0, 2.0], [1, 0, 3]]}},
        ("a,b,c\n1.5,2.5,-1\n", "text/csv"),
    ]
    pair = {"a": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array([[0.5, 0.5], [0.25, 8.0]])}
    pairs = [
        {"inputs": {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]]}},
        {"instances": [{"a": [1.0, 2.0], "b": [3.0, 4.0]}, {"a": [0.0, 2.0], "b": [3.0, 0.0]}]},
        {"inputs": {"a": [[1.0, 2.0]]}},
        {"inputs": {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]], "c": [[1.0, 2.0]]}},
    ]
    return [
        ("dense", dense, array, plain, {}),
        ("dense-nameless", dense, None, plain, {}),
        ("dense-table", dense, pd.DataFrame(array, columns=list("abc")), plain, {}),
        ("float32", dense, array.astype(np.float32), plain, {}),
        ("both", both, pair, pairs, {}),
        ("both-nameless", both, None, pairs, {}),
        ("twins", twins, pair, pairs[:2], {}),
        ("unlike", unlike, pair, pairs[:2], {}),
        ("places", places, np.array([[0, 1], [4, 2]]), [{"inputs": [[0, 1]]}, {"inputs": [[1.0, 2.0]]},
                                                        {"inputs": [[7, 9]]}], {}),
        ("series", series, np.ones((2, 5, 2)), [{"inputs": [[[1.0, 2.0], [0.5, 0.25], [1, 1], [2, 2], [0, 0]]]}], {}),
        ("exported", dense, array.astype(np.float32), plain[:4], {"save_exported_model": True}),
        ("exported-double", dense, array, plain[:4], {"save_exported_model": True}),
    ]  # fmt: skip


def saved_by_mlflow(root):
    import mlflow.keras
    from mlflow.models import infer_signature

    asked = {}
    for name, model, example, requests, options in models():
        signature = None
        # MLflow's save_model refuses signatures of columns; its log_model writes them.
        if example is not None and not name.endswith("table"):
            signature = infer_signature(example)
        mlflow.keras.save_model(model, str(root / name), signature=signature, pip_requirements=["mlflow"], **options)
        asked[name] = requests
    return asked


def saved_by_podium(root):
    import podium.keras

    asked = {}
    for name, model, example, requests, options in models():
        # MLflow's log_model takes no tables here either.
        podium.keras.save_model(model, root / name, input_example=None if name.endswith("table") else example, **options)
        asked[name] = requests
    return asked


def native(library, folder):
    model = library.load_model(str(folder))
    if not hasattr(model, "layers"):
        return ["serve", hasattr(model, "serve")]
    return [type(model).__name__, [each.name for each in model.layers], model.count_params()]
