"""Where replicas compute: which GPU each gets, and what a device says of itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# MLflow's variable for the device of a model that says none itself.
DEFAULT_DEVICE = "MLFLOW_DEFAULT_PREDICTION_DEVICE"


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """A device as a worker sees it.

    Args:
        device: `cpu`, `cuda:0`, …
        name: What its maker calls it; empty for a CPU.
        used_bytes, total_bytes: Its memory, whoever uses it; 0 where nobody counts it.
        utilisation_percent: How busy it was lately; None where that cannot be asked.
    """

    device: str = "cpu"
    name: str = ""
    used_bytes: int = 0
    total_bytes: int = 0
    utilisation_percent: int | None = None


CPU = DeviceUse()


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one replica is to compute.

    Args:
        device: What its library is asked for: with one GPU in sight, `cuda:3` has become `cuda`.
        gpu: The position of the one GPU that it gets to see; None leaves all of them in sight.
    """

    device: str
    gpu: int | None = None


def place(device: str, gpus: int, taken: Sequence[int]) -> Placement:
    """The GPU for one more replica: the one with the fewest replicas, the first of those.

    A replica sees one GPU only. So whatever its library is, it finds the right one first and puts nothing onto the others.
    Replica k of N equal ones gets GPU k mod N; one that is started again gets the place that it left.

    Args:
        device: The setting: `auto`, `cpu`, `cuda`, `cuda:N`, `mps`.
        gpus: How many there are, as far as is known; with 0 nothing is decided here.
        taken: The position of the GPU of each replica that lives, of whatever model.
    """
    kind, _, index = device.partition(":")
    if kind not in {"auto", "cuda"} or gpus < 1:
        return Placement(device)
    if index:
        # One that is not there is for the library to refuse, in its own words and with what it does see.
        return Placement("cuda", int(index)) if int(index) < gpus else Placement(device)
    crowd = Counter(taken)
    return Placement(device, min(range(gpus), key=lambda gpu: (crowd[gpu], gpu)))
