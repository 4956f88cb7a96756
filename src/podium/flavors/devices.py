"""Where a model computes: which device is taken, what it says of itself, and what running out of its memory looks like."""

import contextlib
from collections.abc import Mapping
from typing import Any

from podium.domain.devices import DEFAULT_DEVICE, DeviceUse
from podium.domain.load_terms import AUTO
from podium.errors import LoadFailed


def choose_device(asked: str, configured: object, environ: Mapping[str, str], gpus: int) -> str:
    """The device's name, in MLflow's order beneath what the operator says.

    Args:
        asked: The setting `device`; `auto` leaves it to the rest.
        configured: The model's own `model_config.device`, or None.
        environ: `MLFLOW_DEFAULT_PREDICTION_DEVICE` counts.
        gpus: How many the library sees. A worker sees one: a number that the model or the variable says was meant for
            the whole machine, and the supervisor has placed the worker already.
    """
    if asked != AUTO:
        return asked
    said = str(configured) if configured not in {None, AUTO} else environ.get(DEFAULT_DEVICE)
    if not said:
        return "cuda" if gpus else "cpu"
    kind, _, index = said.partition(":")
    return kind if kind == "cuda" and index.isdigit() and gpus == 1 else said


def torch_device(torch: Any, name: str) -> Any:
    """The torch.device of this name.

    Raises:
        LoadFailed: PyTorch knows no such device, or this machine has none.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise LoadFailed(f"device is {name!r}, which PyTorch does not know: {error}") from error
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise LoadFailed(
            f"device is {name}, and this PyTorch ({torch.__version__}) finds {found or 'no'} CUDA device"
            f"{'' if found == 1 else 's'} here. Take device = auto or cpu, or install a PyTorch built for the GPU's driver."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise LoadFailed(
            f"device is mps, and this PyTorch ({torch.__version__}) finds none here. Take device = auto or cpu."
        )
    return device


def use_of(torch: Any, device: Any) -> DeviceUse:
    """What a device is called and how full it is now; a CPU's memory is the machine's business and not counted here."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        busy = None
        with contextlib.suppress(Exception):  # it needs pynvml, which PyTorch does not bring
            busy = int(torch.cuda.utilization(device))
        return DeviceUse(f"cuda:{device.index or 0}", torch.cuda.get_device_name(device), total - free, total, busy)
    if device.type == "mps":
        return DeviceUse("mps", "Apple GPU", torch.mps.driver_allocated_memory(), torch.mps.recommended_max_memory())
    return DeviceUse(device.type)


def is_out_of_memory(torch: Any, error: BaseException) -> bool:
    """Whether a call failed for want of memory, on whatever device: fewer rows may well succeed."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU's allocator has no class of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate memory" in str(error)
