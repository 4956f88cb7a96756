"""Making a graph of a PyTorch module: torch.export with a batch dimension that varies, checked against the module itself.

torch.export bakes in every size of 1 that it meets, and MLflow traces the example as it is: an example of one row makes a
graph for batches of exactly one. Here the example's rows are repeated to a number that no other size has.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from podium.flavors.pytorch.call import forward_names

_TRACED_ROWS = (5, 7, 11, 13, 17, 19)
_TOLERANCE = 1e-4


class NoGraph(Exception):
    """A module that torch.export makes no graph of, or none that answers as the module does; says why."""


def export(module: Any, example: Any, dynamic_axes: Mapping[str, Sequence[int]] | None = None) -> Any:
    """An ExportedProgram of a module in evaluation mode, for any number of rows where the module takes any.

    Args:
        module: In whatever mode; it is left in the same.
        example: An array; a dict of arrays by forward's argument names; a DataFrame, of which MLflow makes float32.
        dynamic_axes: More axes that vary, by input (`x` and `0` name the first both): a sequence's length.

    Raises:
        NoGraph: Says what is in the way.
    """
    import torch

    arrays = example_arrays(module, example)
    with in_evaluation(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = tuple(_on_device(torch, module, values) for values in arrays.values())
        try:
            module(*given)
        except Exception as error:
            raise NoGraph(f"the module fails on its input example ({_told(error)})") from error
        attempts = [_varying(torch, given), _static(given)]
        reasons = []
        for rows, first in attempts:
            shapes = [_axes(torch, position, name, first, dynamic_axes) for position, name in enumerate(arrays)]
            try:
                program = torch.export.export(module, rows, dynamic_shapes=_by_name(module, arrays, shapes))
                _compare(torch, module, program.module(), given, is_varying=bool(first))
            except NoGraph as error:
                reasons.append(str(error))
            except Exception as error:  # noqa: BLE001 - torch.export raises whatever tracing a stranger's code does
                reasons.append(_told(error))
            else:
                # Tracing leaves marks on the rows, and a file with more than tensors in it counts as code.
                inputs, named = program.example_inputs
                program.example_inputs = tuple(each.clone() for each in inputs), named
                return program
    raise NoGraph(f"torch.export makes no graph of it ({reasons[-1]})")


def example_arrays(module: Any, example: Any) -> dict[str, Any]:
    """The example as arrays by the names of forward's arguments.

    Raises:
        NoGraph: It holds something else than arrays, or names that forward has not.
    """
    names = forward_names(module)
    if hasattr(example, "to_numpy"):
        try:
            example = example.to_numpy(dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise NoGraph(f"the example's table does not become float32 ({error})") from error
    if isinstance(example, np.ndarray):
        return {names[0] if names else "x": example}
    if isinstance(example, dict) and example and all(isinstance(each, np.ndarray) for each in example.values()):
        if unknown := [name for name in example if name not in names]:
            raise NoGraph(f"the example names {unknown}, and forward takes {names}")
        order = [name for name in names if name in example]
        if order != names[: len(order)]:
            raise NoGraph(f"the example leaves out an argument between {order}, and forward takes {names}")
        return {name: example[name] for name in order}
    raise NoGraph(f"the example is a {type(example).__name__}; arrays and tables of numbers can be traced")


@contextmanager
def in_evaluation(module: Any) -> Iterator[None]:
    """The module and all its parts in evaluation mode for a while: a graph keeps the mode that it was traced in."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _on_device(torch: Any, module: Any, values: Any) -> Any:
    first = next(module.parameters(), None)
    tensor = torch.from_numpy(np.array(values))
    return tensor if first is None else tensor.to(first.device)


def _varying(torch: Any, given: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
    """The example with a number of rows that stands for itself, if its inputs are made of the same rows."""
    counts = {tensor.shape[0] if tensor.ndim else 0 for tensor in given}
    if len(counts) != 1 or 0 in counts:
        return given, False
    sizes = {size for tensor in given for size in tensor.shape[1:]}
    rows = next((count for count in _TRACED_ROWS if count not in sizes), 23)
    picked = torch.arange(rows, device=given[0].device) % counts.pop()
    return tuple(tensor[picked.to(tensor.device)] for tensor in given), True


def _static(given: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
    return given, False


def _axes(torch: Any, position: int, name: str, has_rows: bool, more: Mapping[str, Sequence[int]] | None) -> Any:
    axes = {axis: torch.export.Dim.AUTO for key in (name, str(position)) for axis in (more or {}).get(key, ())}
    if has_rows:
        axes[0] = torch.export.Dim.DYNAMIC
    else:
        axes.pop(0, None)
    return axes or None


def _by_name(module: Any, arrays: Mapping[str, Any], shapes: Sequence[Any]) -> Any:
    """As torch.export wants them: by forward's names, or in order where forward takes `*args`."""
    names = forward_names(module)
    return dict(zip(arrays, shapes, strict=True)) if all(name in names for name in arrays) else tuple(shapes)


def _compare(torch: Any, module: Any, graph: Any, given: tuple[Any, ...], is_varying: bool) -> None:
    """Hold the graph's answers against the module's: on the example and, where rows vary, on one row and on three."""
    samples: list[Callable[[Any], Any]] = [lambda tensor: tensor]
    if is_varying:
        samples += [lambda tensor: tensor[:1], lambda tensor: torch.cat([tensor[:1]] * 3)]
    for sample in samples:
        picked = tuple(sample(tensor) for tensor in given)
        expected, again = _leaves(torch, module(*picked)), _leaves(torch, module(*picked))
        found = _leaves(torch, graph(*picked))
        if [each.shape for each in expected] != [each.shape for each in found]:
            raise NoGraph("the graph answers in another shape than the module")
        if not _are_close(torch, expected, again):
            continue  # it draws random numbers, and agrees not even with itself
        if not _are_close(torch, expected, found):
            raise NoGraph("the graph answers otherwise than the module: its code takes other ways for other values")


def _leaves(torch: Any, output: Any) -> list[Any]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]


def _are_close(torch: Any, one: list[Any], other: list[Any]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.allclose(a.double(), b.double(), rtol=_TOLERANCE, atol=1e-5, equal_nan=True) for a, b in pairs)


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
