"""TensorFlow: Keras models as `.keras` and `.h5`, custom objects, tf.Modules, and a signature of named tensors."""

import os

NEEDS = ("tensorflow", "pandas")


def models():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf

    keras = tf.keras
    keras.utils.set_random_seed(7)

    class Tripling(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 3.0

    class Weighing(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(tf.fill((3, 2), 2.0))

        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])
        def __call__(self, x):
            return x @ self.weights

    class Joining(tf.Module):
        @tf.function
        def join(self, number, place):
            return {"sum": number + tf.cast(place, tf.float32), "place": place}

    joining = Joining()
    specs = tf.TensorSpec((None,), tf.float32, name="number"), tf.TensorSpec((None,), tf.int32, name="place")
    signature = joining.join.get_concrete_function(*specs)
    dense = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2)])
    custom = keras.Sequential([keras.Input((3,)), Tripling()])
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    both = keras.Model([a, b], [keras.layers.Add(name="sum")([a, b]), keras.layers.Dense(1, name="score")(a)])

    array = np.array([[0.5, -1.0, 2.0], [1.0, 0.25, 0.0]])
    plain = [
        {"inputs": [[0.5, -1.0, 2.0]]},
        {"instances": [[1, 2, 3], [3, 4, 5]]},
        {"inputs": [[0.5, -1.0]]},
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[0.5, -1.0, 2.0], [1, 0, 3]]}},
        ("a,b,c\n1.5,2.5,-1\n", "text/csv"),
    ]
    pair = {"a": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array([[0.5, 0.5], [0.25, 8.0]])}
    pairs = [{"inputs": {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]]}}, {"inputs": {"a": [[1.0, 2.0]]}}]
    join = {"number": np.array([0.5, 1.5], np.float32), "place": np.array([1, 2], np.int32)}
    joined = ({"inputs": {"number": [0.5, 0.25], "place": [1, 2]}}, "application/json",
              {"predictions": {"place": [1, 2], "sum": [1.5, 2.25]}})  # fmt: skip
    doubled = ({"inputs": [[1, 1, 1]]}, "application/json", {"predictions": [[6.0, 6.0]]})
    return [
        ("dense", dense, array, plain, {}),
        ("dense-nameless", dense, None, plain, {}),
        ("dense-h5", dense, array, plain, {"keras_model_kwargs": {"save_format": "h5"}}),
        ("custom", custom, array, plain[:2], {"custom_objects": {"Tripling": Tripling}}),
        ("both", both, pair, pairs, {}),
        ("module", Weighing(), array.astype(np.float32), plain[:3], {}),
        ("module-double", Weighing(), None, [doubled], {}),
        ("joining", joining, join, [joined], {"saved_model_kwargs": {"signatures": signature}}),
    ]


def saved_by_mlflow(root):
    import mlflow.tensorflow
    from mlflow.models import infer_signature

    asked = {}
    for name, model, example, requests, options in models():
        signature = infer_signature(example) if example is not None else None
        mlflow.tensorflow.save_model(model, root / name, signature=signature, pip_requirements=["mlflow"], **options)
        asked[name] = requests
    return asked


def saved_by_podium(root):
    import podium.tensorflow

    asked = {}
    for name, model, example, requests, options in models():
        podium.tensorflow.save_model(model, root / name, input_example=example, **options)
        asked[name] = requests
    return asked


def native(library, folder):
    model = library.load_model(str(folder))
    if not hasattr(model, "layers"):
        return ["module", sorted(model.signatures)]
    return [type(model).__name__, [each.name for each in model.layers], model.count_params()]
