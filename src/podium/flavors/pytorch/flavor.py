"""PyTorch: a graph (pt2) where an example lets one be made, else a pickle; whatever MLflow saved is read."""

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from podium.domain.signature import Signature
from podium.errors import InvalidInput
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.devices import choose_device, torch_device
from podium.flavors.notes import note
from podium.flavors.pickles import modules_in, pickler_module
from podium.flavors.pytorch.call import LoadedModule, ModuleTerms
from podium.flavors.pytorch.export import NoGraph, export, in_evaluation
from podium.flavors.pytorch.files import (
    GRAPH_FILE,
    MLFLOW_PICKLER,
    PICKLE_FILE,
    PICKLER_FILE,
    data_folder,
    import_torch,
    read_module,
)

PT2, PICKLE = "pt2", "pickle"
_FORMATS = (PT2, PICKLE)
_DATA = "data"
_OWN_OPERATORS = {"aten", "prim", "prims", "higher_order", "_operator", "quantized", "quantized_decomposed"}

# Layers that give each row its answer whatever stands beside it, in evaluation mode.
_ROW_BY_ROW = frozenset(
    """
    Linear Bilinear Identity Flatten Unflatten Embedding Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d
    ConvTranspose3d MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d
    AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d BatchNorm1d BatchNorm2d BatchNorm3d
    SyncBatchNorm GroupNorm LayerNorm RMSNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LocalResponseNorm Dropout
    Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout ReLU ReLU6 LeakyReLU PReLU ELU SELU CELU GELU SiLU Mish
    Sigmoid Tanh Hardtanh Hardsigmoid Hardswish Hardshrink Softshrink Tanhshrink Softplus Softsign LogSigmoid Threshold
    GLU Upsample PixelShuffle PixelUnshuffle ZeroPad1d ZeroPad2d ZeroPad3d ConstantPad1d ConstantPad2d ConstantPad3d
    ReflectionPad1d ReflectionPad2d ReplicationPad1d ReplicationPad2d ChannelShuffle
    """.split()  # noqa: SIM905 - a list of words is easier to read and to keep than one of literals
)
_OVER_AN_AXIS = frozenset({"Softmax", "LogSoftmax", "Softmin"})


class PytorchFlavor:
    """MLflow's `pytorch` flavor."""

    name = "pytorch"
    loader_modules: tuple[str, ...] = ("mlflow.pytorch",)
    options: tuple[str, ...] = ("serialization_format", "pickle_module", "dynamic_axes")

    def claims(self, model: Any) -> bool:
        module = sys.modules.get("torch.nn")
        return module is not None and isinstance(model, module.Module)

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the module.

        Args:
            model: A torch.nn.Module, scripted ones included.
            folder: Existing, empty.
            example: What a graph is traced with: an array, a dict of arrays, a DataFrame.
            options: `serialization_format` (`pt2`, `pickle`; None: pt2 where it can), `pickle_module`, `dynamic_axes`
                (more axes that vary than the rows: `{"tokens": [1]}`).

        Raises:
            InvalidInput: An unknown format, or pt2 was asked for and no graph can be made.
        """
        torch = import_torch()
        asked, pickler = options.get("serialization_format"), options.get("pickle_module")
        if not isinstance(model, torch.nn.Module):
            raise InvalidInput(f"pytorch_model is a {type(model).__name__}; expected a torch.nn.Module.")
        if asked is not None and asked not in _FORMATS:
            raise InvalidInput(f"serialization_format is {asked!r}; expected one of {list(_FORMATS)}.")
        if asked == PT2 and pickler is not None:
            raise InvalidInput("pickle_module is for serialization_format='pickle'; a graph (pt2) is no pickle.")
        (folder / _DATA).mkdir()
        requirements, modules = ["torch", "numpy"], set[str]()
        program = None
        if asked != PICKLE and pickler is None:
            program = _graph(torch, model, example, asked, options.get("dynamic_axes"))
        if program is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.export.save(program, str(folder / _DATA / GRAPH_FILE))
            modules = _operators_of(program)
        else:
            modules = _write_pickle(torch, model, folder / _DATA, pickler)
            requirements.append("cloudpickle")
        entries: dict[str, dict[str, Any]] = {
            "pytorch": {"code": None, "model_data": _DATA, "pytorch_version": str(torch.__version__)},
            "python_function": {
                "config": {"device": None},
                "data": _DATA,
                "loader_module": "mlflow.pytorch",
                "pickle_module_name": MLFLOW_PICKLER if pickler is None else pickler.__name__,
            },
        }
        return Saved(entries, requirements, frozenset(modules))

    def load(self, stored: Stored) -> Loaded:
        torch = import_torch()
        configured = (stored.config or {}).get("device")
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        name = choose_device(stored.terms.device, configured, os.environ, gpus)
        device = torch_device(torch, name)
        module, inputs = read_module(torch, data_folder(stored.folder, stored.flavors), device, stored.terms)
        autocast = {"full": None, "bf16": torch.bfloat16, "fp16": torch.float16}[stored.terms.precision]
        return LoadedModule(torch, module, inputs, ModuleTerms(device, autocast, stored.terms.compiles))

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        """A graph may do anything with its first dimension: that it varies is a hint, and the probe's word decides."""
        del signature
        if not isinstance(loaded, LoadedModule):
            return RowIndependence(False, "no PyTorch module")
        fixed = loaded.inputs.static_batch
        if fixed is not None:
            return RowIndependence(False, f"the graph was exported for batches of exactly {fixed}", static_batch=fixed)
        if loaded.inputs.is_graph:
            return RowIndependence(True, "the graph's first dimension varies")
        doubt = _doubt(import_torch(), loaded.native)
        if doubt is None:
            return RowIndependence(True, "a Sequential of layers that answer row by row")
        return RowIndependence(False, doubt)

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors
        return None if has_gpu else ("torch",)


def load_module(folder: Path, flavors: Mapping[str, Mapping[str, Any]], device: str | None = None) -> Any:
    """The module itself; None as device leaves it where it was saved from, or takes the CPU where there is no GPU.

    Raises:
        LoadFailed, InvalidModel, MissingDependency.
    """
    torch = import_torch()
    if device is None:
        chosen = None if torch.cuda.is_available() else torch.device("cpu")
    else:
        chosen = torch_device(torch, device)
    return read_module(torch, data_folder(folder, flavors), chosen, Stored(folder, flavors).terms)[0]


def _graph(torch: Any, model: Any, example: Any, asked: str | None, axes: Mapping[str, Sequence[int]] | None) -> Any:
    """An exported program; None where a pickle is to be written, after saying why."""
    if isinstance(model, torch.jit.ScriptModule):
        why = "a scripted module is TorchScript already"
    elif example is None:
        why = "making a graph needs an input_example"
    else:
        try:
            return export(model, example, axes)
        except NoGraph as error:
            why = str(error)
    if asked == PT2:
        raise InvalidInput(f"serialization_format='pt2' is not possible: {why}. serialization_format='pickle' is.")
    if asked is None and not isinstance(model, torch.jit.ScriptModule):
        note(
            f"Saved as a pickle instead of a graph: {why}. A pickle runs code when it is loaded; "
            "serialization_format='pickle' says that this is meant."
        )
    return None


def _write_pickle(torch: Any, model: Any, data: Path, pickler: ModuleType | None) -> set[str]:
    """Write the pickle, or TorchScript, and by whom it is to be read; returns the top-level modules that it names."""
    name = MLFLOW_PICKLER if pickler is None else pickler.__name__
    (data / PICKLER_FILE).write_text(name, encoding="utf-8")
    path = data / PICKLE_FILE
    if isinstance(model, torch.jit.ScriptModule):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
            torch.jit.save(model, str(path))
        return set()
    with in_evaluation(model):
        # By value whatever is not in an importable module, and podium's classes as MLflow's.
        torch.save(model, str(path), pickle_module=pickler or pickler_module())
        return modules_in(model)


def _operators_of(program: Any) -> set[str]:
    """The packages whose own operators a graph calls: they must be imported where it is loaded."""
    spaces = {
        node.target.namespace
        for node in program.graph.nodes
        if node.op == "call_function" and isinstance(getattr(node.target, "namespace", None), str)
    }
    return {space for space in spaces - _OWN_OPERATORS if space in sys.modules}


def _doubt(torch: Any, module: Any) -> str | None:
    """Why a module is not known to answer row by row; None when it is."""
    kind = type(module)
    own = getattr(torch.nn, kind.__name__, None)
    if own is not kind:
        return f"{kind.__name__}.forward is code that podium cannot see through"
    if any(module._forward_hooks.values()) or any(module._forward_pre_hooks.values()):
        return f"{kind.__name__} has hooks, code that podium cannot see through"
    if kind.__name__ == "Sequential":
        return next((doubt for part in module if (doubt := _doubt(torch, part)) is not None), None)
    if kind.__name__ in _OVER_AN_AXIS:
        return None if module.dim not in {None, 0} else f"{kind.__name__} with dim={module.dim} looks at all rows together"
    if kind.__name__ not in _ROW_BY_ROW:
        return f"{kind.__name__} is not on the list of layers known to answer row by row"
    if kind.__name__.startswith(("BatchNorm", "SyncBatchNorm")) and module.running_mean is None:
        return f"{kind.__name__} without running statistics looks at all rows together"
    return None
