"""Making an onnxruntime session as MLflow's MLmodel asks for it: providers, and the five session options."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.domain.load_terms import AUTO
from podium.errors import InvalidInput, InvalidModel, LoadFailed, MissingDependency
from podium.flavors.threads import granted_threads

DEFAULT_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_OPTIONS = (
    "inter_op_num_threads",
    "intra_op_num_threads",
    "execution_mode",
    "graph_optimization_level",
    "extra_session_config",
)


def open_session(path: Path, entry: Mapping[str, Any], device: str = AUTO) -> Any:
    """An InferenceSession on the providers that are here, else on the CPU, with a warning for each that is missing.

    Without options in the entry, one thread runs an operator (or OMP_NUM_THREADS) and idle threads do not spin: replicas
    share the machine's cores, and onnxruntime would take all of them for each.

    Args:
        path: The .onnx file; external data beside it is found by onnxruntime.
        entry: MLmodel's `onnx` entry.
        device: The setting: `auto` takes what MLmodel names and is here; `cpu` the CPU alone; `cuda` must be had.

    Raises:
        LoadFailed: The device that was asked for is none of this onnxruntime's.
        MissingDependency, InvalidModel.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependency("onnxruntime", "An ONNX model", "onnx") from error
    options = _session_options(onnxruntime, entry.get("onnx_session_options") or {})
    available = set(onnxruntime.get_available_providers())
    wanted = _on_device(_providers(entry.get("providers")), device, available)
    usable = [provider for provider in wanted if _name(provider) in available] or [_CPU]
    missing = [_name(provider) for provider in wanted if _name(provider) not in available]
    # MLflow writes CUDA first into every model; its absence on a machine without a GPU is no news.
    if missing and missing != [_CUDA]:
        warnings.warn(f"This onnxruntime has no {missing}; the model runs on {[_name(p) for p in usable]}.", stacklevel=2)
    try:
        session = onnxruntime.InferenceSession(str(path), providers=usable, sess_options=options)
    except Exception as error:
        if usable == [_CPU]:
            raise
        warnings.warn(
            f"onnxruntime could not start {[_name(p) for p in usable]} ({error}); the model runs on the CPU.", stacklevel=2
        )
        return onnxruntime.InferenceSession(str(path), providers=[_CPU], sess_options=options)
    dropped = [_name(provider) for provider in usable if _name(provider) not in session.get_providers()]
    if dropped:
        warnings.warn(f"onnxruntime dropped {dropped}; the model runs on {session.get_providers()}.", stacklevel=2)
    return session


def _on_device(wanted: Sequence[Any], device: str, available: set[str]) -> Sequence[Any]:
    """The providers that a device leaves: the model's own with their options, the device's first."""
    if device == AUTO:
        return wanted
    kind, _, index = device.partition(":")
    rest = [provider for provider in wanted if _name(provider) == _CPU] or [_CPU]
    if kind == "cpu":
        return rest
    if kind != "cuda" or _CUDA not in available:
        raise LoadFailed(
            f"device is {device}, and this onnxruntime has {sorted(available)}. Take device = auto or cpu, "
            "or install onnxruntime-gpu in the model's environment."
        )
    own = next((provider for provider in wanted if _name(provider) == _CUDA), _CUDA)
    options = dict(own[1]) if isinstance(own, tuple) and len(own) > 1 else {}
    if index:
        options["device_id"] = index
    return [(_CUDA, options) if options else _CUDA, *rest]


def check_options(options: Mapping[str, Any] | None) -> None:
    """Refuse session options that would be written and never read.

    Raises:
        InvalidInput: Names the option, expected and got.
    """
    for name, value in (options or {}).items():
        if name not in _OPTIONS:
            raise InvalidInput(f"onnx_session_options has {name!r}; expected some of {list(_OPTIONS)}.")
        if name == "extra_session_config" and not isinstance(value, Mapping):
            raise InvalidInput(f"onnx_session_options: extra_session_config is a {type(value).__name__}; expected a dict.")
        if name == "execution_mode" and str(value).upper() not in {"SEQUENTIAL", "PARALLEL"}:
            raise InvalidInput(f"onnx_session_options: execution_mode is {value!r}; expected 'sequential' or 'parallel'.")
        if name == "graph_optimization_level" and value not in {0, 1, 2, 99}:
            raise InvalidInput(f"onnx_session_options: graph_optimization_level is {value!r}; expected 0, 1, 2 or 99.")
        if name.endswith("num_threads") and (not isinstance(value, int) or value < 0):
            raise InvalidInput(f"onnx_session_options: {name} is {value!r}; expected a number of threads, 0 for all.")


def _session_options(onnxruntime: Any, asked: Mapping[str, Any]) -> Any:
    options = onnxruntime.SessionOptions()
    # MLflow reads 0 as "not said"; so here, where not said means one thread and not all.
    options.intra_op_num_threads = asked.get("intra_op_num_threads") or granted_threads() or 1
    if asked.get("inter_op_num_threads"):
        options.inter_op_num_threads = asked["inter_op_num_threads"]
    modes = onnxruntime.ExecutionMode
    mode = str(asked.get("execution_mode") or "SEQUENTIAL").upper()
    options.execution_mode = modes.ORT_PARALLEL if mode == "PARALLEL" else modes.ORT_SEQUENTIAL
    if asked.get("graph_optimization_level") is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel(asked["graph_optimization_level"])
    extra = {
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
        **(asked.get("extra_session_config") or {}),
    }
    for name, value in extra.items():
        options.add_session_config_entry(str(name), str(value))
    return options


def _providers(written: object) -> Sequence[Any]:
    """MLmodel's `providers`: names, or pairs of a name and options, which onnxruntime wants as tuples."""
    if isinstance(written, str):
        return [written]
    if not isinstance(written, list | tuple) or not written:
        return DEFAULT_PROVIDERS
    providers = [tuple(each) if isinstance(each, list) else each for each in written]
    if not all(_name(each) for each in providers):
        raise InvalidModel(f"MLmodel's providers are {written!r}; expected names or [name, options].")
    return providers


def _name(provider: Any) -> str:
    name = provider[0] if isinstance(provider, tuple) and provider else provider
    return name if isinstance(name, str) else ""
