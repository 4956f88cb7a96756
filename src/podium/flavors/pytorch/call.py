"""Calling a PyTorch module as MLflow's wrapper does, and with named tensors: what goes in, what comes out, and where."""

import contextlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from podium.domain.devices import DeviceUse
from podium.errors import InvalidInput, InvalidParams, OutOfDeviceMemory
from podium.flavors.conversions import Converter
from podium.flavors.devices import is_out_of_memory, use_of
from podium.flavors.notes import note

_MOST_FORMS = 4096


@dataclass(frozen=True, slots=True)
class ModuleInputs:
    """What a module takes.

    Args:
        names: Of the tensors, in order; empty where nobody can tell.
        keywords: Those among them that must be given by name.
        static_batch: How many rows each call must have; None where any number may come.
        is_graph: Whether it is a graph whose first dimension varies.
        required: How many of the names have no default.
    """

    names: tuple[str, ...] = ()
    keywords: frozenset[str] = frozenset()
    static_batch: int | None = None
    is_graph: bool = False
    required: int = 1


@dataclass(frozen=True, slots=True)
class ModuleTerms:
    """How a module is called.

    Args:
        device: A torch.device.
        autocast: The torch.dtype to compute in where that is as good; None computes as the module says.
        compiles: Whether torch.compile may make another program of it.
    """

    device: Any
    autocast: Any = None
    compiles: bool = False


class LoadedModule:
    """A module in evaluation mode that takes what MLflow's wrapper takes, and dicts of arrays by forward's argument names.

    A DataFrame becomes float32 and is answered with a DataFrame of the same index; arrays keep their dtype. Several outputs
    become a dict of arrays: by their names where they have some, else `output_0`, `output_1`, …
    """

    def __init__(self, torch: Any, module: Any, inputs: ModuleInputs, terms: ModuleTerms) -> None:
        self.native = module
        self.inputs = inputs
        self.device = terms.device
        self._torch = torch
        self._autocast = terms.autocast
        self._call: Callable[..., Any] = torch.compile(module, dynamic=True) if terms.compiles else module
        self._mode = torch.inference_mode
        self._is_proven = False
        self._is_remote = terms.device.type != "cpu"
        # What a graph's own checks let through once they would let through again: they cost as much as a small model.
        self._checked: set[Any] | None = set() if inputs.is_graph and not terms.compiles else None

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the module; params are forward's keyword arguments.

        Raises:
            InvalidInput: Neither a table nor arrays that forward takes.
            InvalidParams: `device` is among the params.
            OutOfDeviceMemory: The device has too little memory for so many rows.
        """
        if params and "device" in params:
            raise InvalidParams(
                "The device cannot be chosen for one request. It is chosen when the model is loaded: by the setting "
                "device, or by model_config={'device': 'cuda'}."
            )
        pandas = sys.modules.get("pandas")
        is_frame = pandas is not None and isinstance(data, pandas.DataFrame)
        arrays, named = self._fed(data.to_numpy(dtype=np.float32) if is_frame else data)
        output = self._plain(self._run(arrays, {**named, **(params or {})}))
        if pandas is not None and is_frame and isinstance(output, np.ndarray) and output.ndim in {1, 2}:
            answer = pandas.DataFrame(output)
            answer.index = data.index
            return answer
        return output

    def converter(self) -> Converter:
        """See `flavors.contract.Convertible`."""
        # It needs what stands here.
        from podium.flavors.pytorch.conversion import ModuleConverter

        return ModuleConverter(self._torch, self.native, self.inputs)

    def use(self) -> DeviceUse:
        """The device and how full it is now."""
        return use_of(self._torch, self.device)

    def _fed(self, data: Any) -> tuple[list[Any], dict[str, Any]]:
        """The arrays that go to forward by position, and those that go by name."""
        names, keywords = self.inputs.names, self.inputs.keywords
        if isinstance(data, np.ndarray):
            if self.inputs.required > 1:
                raise InvalidInput(f"The model takes {self.inputs.required} tensors; send them by name: {list(names)}.")
            return ([], {names[0]: data}) if keywords and names[0] in keywords else ([data], {})
        if not isinstance(data, dict) or not all(isinstance(each, np.ndarray) for each in data.values()):
            raise InvalidInput(
                f"The model takes a table, an array, or arrays by the names of forward's arguments, {list(names)}; "
                f"got {type(data).__name__}."
            )
        if unknown := [name for name in data if name not in names]:
            raise InvalidInput(f"The model's forward takes {list(names)}; there is no {unknown} among them.")
        if missing := [name for name in names[: self.inputs.required] if name not in data]:
            raise InvalidInput(f"The model's forward takes {list(names)}; {missing} were not sent.")
        if self.inputs.is_graph:
            by_position = [data[name] for name in names if name in data and name not in keywords]
            return by_position, {name: values for name, values in data.items() if name in keywords}
        return [], dict(data)

    def _run(self, arrays: list[Any], named: Mapping[str, Any]) -> Any:
        torch = self._torch
        try:
            given = [self._tensor(values) for values in arrays]
            by_name = {
                name: self._tensor(values) if isinstance(values, np.ndarray) else values for name, values in named.items()
            }
            output = self._answered(given, by_name)
        except Exception as error:
            if not is_out_of_memory(torch, error):
                raise
            # The frames of the failed call hold its tensors.
            traceback.clear_frames(error.__traceback__)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            rows = [len(values) for values in [*arrays, *named.values()] if isinstance(values, np.ndarray) and values.ndim]
            raise OutOfDeviceMemory(str(self.device), max(rows, default=0)) from error
        return output

    def _answered(self, given: list[Any], named: dict[str, Any]) -> Any:
        if not self._is_proven:
            return self._first(given, named)
        if self._checked is None or named:
            return self._forward(self._call, given, named)
        form = tuple([(tensor.shape, tensor.dtype) for tensor in given])
        if form in self._checked:
            return self._forward(self.native.forward, given, named)
        output = self._forward(self._call, given, named)
        if len(self._checked) < _MOST_FORMS:
            self._checked.add(form)
        return output

    def _first(self, given: list[Any], named: dict[str, Any]) -> Any:
        """A call while none has succeeded yet: what the module cannot stand of ours is left out from then on.

        That is torch.compile, and then inference_mode, which forbids more than MLflow's no_grad: modules that take
        gradients inside of forward (forces, attributions) run under the one and not under the other.
        """
        try:
            output = self._forward(self._call, given, named)
        except Exception as error:
            if is_out_of_memory(self._torch, error):
                raise
            for mode in (self._torch.inference_mode, self._torch.no_grad):
                with contextlib.suppress(Exception):
                    output = self._forward(self.native, given, named, mode)
                    break
            else:
                raise
            if self._call is not self.native:
                note(f"torch.compile failed on this model ({type(error).__name__}: {_line(error)}); it runs uncompiled.")
            self._call, self._mode = self.native, mode
        self._is_proven = True
        return output

    def _forward(self, call: Callable[..., Any], given: list[Any], named: Mapping[str, Any], mode: Any = None) -> Any:
        with (mode or self._mode)():
            if self._autocast is None:
                return call(*given, **named)
            with self._torch.autocast(self.device.type, dtype=self._autocast):
                return call(*given, **named)

    def _tensor(self, values: Any) -> Any:
        # A call may write into what it is given, and torch takes neither strides from behind nor others' byte orders.
        if not (values.flags.writeable and values.flags.c_contiguous and values.dtype.isnative):
            values = np.array(values, values.dtype.newbyteorder("="), order="C")
        tensor = self._torch.from_numpy(values)
        if not self._is_remote:
            return tensor
        if self.device.type == "cuda":
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)

    def _plain(self, output: Any) -> Any:
        if isinstance(output, self._torch.Tensor):
            return self._array(output)
        named = _named(output)
        if not named or not all(isinstance(each, self._torch.Tensor) for each in named.values()):
            raise TypeError(
                "The model must answer with a tensor, or with several in a tuple, a list, a dict or a dataclass; "
                f"it answered with {_kind(output, named)}."
            )
        return {name: self._array(each) for name, each in named.items()}

    def _array(self, tensor: Any) -> Any:
        torch = self._torch
        tensor = tensor.detach()
        if tensor.is_quantized:
            tensor = tensor.dequantize()
        if tensor.layout is not torch.strided:
            tensor = tensor.to_dense()
        if tensor.dtype is torch.bfloat16 or (self._autocast is not None and tensor.dtype is torch.float16):
            tensor = tensor.float()  # numpy has no bfloat16; and what was saved for speed is no news to clients
        return tensor.cpu().resolve_conj().resolve_neg().numpy()


def forward_names(module: Any) -> list[str]:
    """The names of forward's arguments that can be given by position; empty where it takes `*args`."""
    return [name for name, _ in _positional(module)]


def inputs_of(module: Any) -> ModuleInputs:
    """What an eager or scripted module takes, by the signature of its forward."""
    found = _positional(module)
    required = sum(not has_default for _, has_default in found)
    return ModuleInputs(tuple(name for name, _ in found), required=max(required, 1))


def _positional(module: Any) -> list[tuple[str, bool]]:
    schema = getattr(getattr(module, "forward", None), "schema", None)
    if schema is not None:
        return [(each.name, each.has_default_value()) for each in schema.arguments[1:]]
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (AttributeError, TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [(each.name, each.default is not each.empty) for each in parameters if each.kind in kinds]


def _named(output: Any) -> dict[str, Any]:
    """Several outputs by name; those that are None are left out, as the models that leave them so mean it."""
    if isinstance(output, Mapping):
        found = {str(name): each for name, each in output.items()}
    elif is_dataclass(output) and not isinstance(output, type):
        found = {each.name: getattr(output, each.name) for each in fields(output)}
    elif isinstance(output, tuple | list):
        names = getattr(output, "_fields", None) or [f"output_{position}" for position in range(len(output))]
        found = dict(zip(names, output, strict=True))
    else:
        return {}
    return {name: each for name, each in found.items() if each is not None}


def _kind(output: Any, named: Mapping[str, Any]) -> str:
    other = next((f"{type(each).__name__} as {name}" for name, each in named.items() if not hasattr(each, "detach")), None)
    return f"a {type(output).__name__}" + ("" if other is None else f" that holds a {other}")


def _line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200]
