"""Keras models and tf.Modules that the tests save, and what brings them through a folder."""

from pathlib import Path
from typing import Any

from podium.flavors.contract import Stored


def through(flavor: Any, model: Any, folder: Path, example: Any = None, signature: Any = None, **options: Any) -> Any:
    """What the flavor loads of what it saved."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = flavor.save(model, folder, example, **options)
    return flavor.load(Stored(folder, saved.flavors, signature=signature))


def perceptron(keras: Any) -> Any:
    """Three numbers in, two shares out."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    return keras.Sequential([keras.Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(2, activation="softmax")])


def two_in_two_out(keras: Any, is_named: bool = True) -> Any:
    """Two inputs; a sum and a score, by name or in a list."""
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    both = keras.layers.Concatenate()([a, b])
    added, score = keras.layers.Add(name="added")([a, b]), keras.layers.Dense(1, name="score")(both)
    return keras.Model([a, b], {"added": added, "score": score} if is_named else [added, score])
