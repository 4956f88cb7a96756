"""Writing Keras models: the file, the pickles beside it, and the names of the packages that will read them."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.errors import InvalidInput
from podium.flavors.keras.files import CUSTOM_OBJECTS
from podium.flavors.owners import module_owners
from podium.flavors.pickles import dump_cloudpickle


def is_keras_model(model: Any) -> bool:
    """Whether this is a model of the Keras that is imported; imports nothing."""
    keras = sys.modules.get("keras")
    kind = getattr(keras, "Model", None)
    return isinstance(kind, type) and isinstance(model, kind)


def write_keras(model: Any, path: Path, arguments: Mapping[str, Any]) -> None:
    """Save into a `.keras` or `.h5` file.

    Raises:
        InvalidInput: Keras cannot.
    """
    try:
        model.save(str(path), **arguments)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise InvalidInput(f"Keras cannot save this {type(model).__name__} as {path.name}: {error}") from error


def write_objects(data: Path, custom_objects: Mapping[str, Any] | None) -> set[str]:
    """Pickle what the file names and Keras does not have; returns the modules that the pickles name.

    Keras' registry goes along too, as MLflow has it: classes with @register_keras_serializable() that a module in
    code_paths defines are named in the pickle, those of a script are held by it.
    """
    modules: set[str] = set()
    for name, objects in zip(CUSTOM_OBJECTS, (_registered(), custom_objects), strict=True):
        if objects:
            modules |= dump_cloudpickle(dict(objects), data / name)
    return modules


def _registered() -> dict[str, Any]:
    keras = sys.modules.get("keras")
    return {} if keras is None else dict(keras.saving.get_custom_objects())


def library_names(*modules: str) -> list[str]:
    """The packages that these modules come from here: tensorflow-cpu stands for tensorflow where that is installed."""
    owners = module_owners()
    found = []
    for module in modules:
        named = [name.replace("_", "-") for name in owners.get(module, [module])]
        found.append(module if module in named else min(named, key=len))
    return found


def export_keras(keras: Any, model: Any, path: Path, example: Any) -> None:
    """Write the model's graph, for batches of any size, as MLflow's keras flavor reads it: an entry called `serve`.

    Args:
        keras: The module.
        model: Functional, sequential, or subclassed with an example.
        path: The SavedModel's folder; made.
        example: What it takes; its types are those that the graph takes.

    Raises:
        InvalidInput: There is no TensorFlow, or nothing says what the model takes.
    """
    import numpy as np

    from podium.domain.load_terms import DEFAULT_TERMS
    from podium.flavors.keras.inputs import KerasInputs
    from podium.flavors.tensorflow.files import import_tensorflow

    tensorflow = import_tensorflow(DEFAULT_TERMS)
    inputs = KerasInputs.of(model, str(keras.config.floatx()), None)
    given = example if isinstance(example, dict) else {None: example}
    arrays = {name: np.asarray(each) for name, each in given.items()} if example is not None else {}
    if inputs is None and len(arrays) != 1:
        raise InvalidInput(
            "save_exported_model=True needs to know what the model takes: pass an input_example, or call the model once."
        )

    def spec(name: str, shape: tuple[int | None, ...], dtype: str) -> Any:
        array = arrays.get(name, arrays.get(None))
        is_number = array is not None and array.dtype.kind in "fiub" and dtype != "string"
        return tensorflow.TensorSpec(
            (None, *shape[1:]), array.dtype if array is not None and is_number else dtype, name=name
        )

    if inputs is None:
        ((_, array),) = arrays.items()
        specs: Any = [spec("inputs", array.shape, str(array.dtype))]
    elif len(inputs.each) == 1:
        specs = [spec(each.name, each.shape, each.dtype) for each in inputs.each]
    else:
        specs = [{each.name: spec(each.name, each.shape, each.dtype) for each in inputs.each}]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(name="serve", fn=lambda x: model(x, training=False), input_signature=specs)
    archive.write_out(str(path), verbose=False)
