"""What people give as a PyTorch model's input example, as the arrays that a model folder keeps."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.errors import InvalidInput
from podium.flavors.pytorch.call import forward_names


def example_of(module: Any, given: Any) -> Any:
    """The example without tensors: arrays, or a dict of them by forward's argument names for a tuple or list of several.

    Args:
        module: Whose forward has the names.
        given: Whatever `input_example` may be, `(that, params)` too.

    Raises:
        InvalidInput: More inputs than forward has names.
    """
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict) and not _are_arrays(given[1].values()):
        return (example_of(module, given[0]), given[1])
    if isinstance(given, list | tuple) and given and _are_arrays(given):
        names = forward_names(module)
        if len(given) > len(names):
            raise InvalidInput(f"input_example has {len(given)} inputs, and the module's forward takes {names}.")
        arrays = [_array(each) for each in given]
        return arrays[0] if len(arrays) == 1 else dict(zip(names, arrays, strict=False))
    if isinstance(given, Mapping):
        return {name: _array(each) for name, each in given.items()}
    return _array(given)


def takes_params(example: Any, signature: Any) -> bool:
    """Whether requests to this model will have params, by its example or its signature."""
    has_params = isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict)
    return (has_params and not _are_arrays(example[1].values())) or bool(getattr(signature, "params", None))


def axes_of(signature: Any) -> dict[str, Sequence[int]] | None:
    """The axes beside the first that a tensor signature, podium's or MLflow's, leaves open; None where there are none."""
    inputs = getattr(signature, "inputs", None)
    tensors = getattr(inputs, "tensors", None) or getattr(inputs, "inputs", None) or ()
    open_axes = {
        str(getattr(tensor, "name", None) or position): [axis for axis, size in enumerate(shape) if axis and size == -1]
        for position, tensor in enumerate(tensors)
        if (shape := getattr(tensor, "shape", None)) is not None
    }
    return {name: axes for name, axes in open_axes.items() if axes} or None


def _array(given: Any) -> Any:
    return given.detach().cpu().numpy() if _is_tensor(given) else given


def _is_tensor(given: Any) -> bool:
    return hasattr(given, "detach") and hasattr(given, "numpy")


def _are_arrays(given: Any) -> bool:
    return all(_is_tensor(each) or type(each).__module__ == "numpy" for each in given)
