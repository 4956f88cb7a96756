"""The GPUs of this machine, as far as they can be known without a library of theirs, and which replica has which."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from podium.domain.devices import Placement, place
from podium.domain.load_terms import AUTO

VISIBLE = "CUDA_VISIBLE_DEVICES"
_ROOT = Path("/")
_MOST = 64


def visible_gpus(environ: Mapping[str, str] = os.environ, root: Path = _ROOT) -> tuple[str, ...]:
    """What `CUDA_VISIBLE_DEVICES` may name here, in CUDA's order; empty where there is none or nobody can tell.

    Args:
        environ: `CUDA_VISIBLE_DEVICES` counts as CUDA reads it: up to the first name that is none.
        root: Where /dev and /proc are.
    """
    said = environ.get(VISIBLE)
    if said is not None:
        names: list[str] = []
        for name in said.split(","):
            if not re.fullmatch(r"\d{1,4}|(GPU|MIG)-[\w./-]+", name.strip()):
                break
            names.append(name.strip())
        return tuple(names[:_MOST])
    # A container has the driver's list of the machine and the devices that it was given.
    nodes = _count(root / "dev", r"nvidia\d+")
    listed = _count(root / "proc/driver/nvidia/gpus", r".+")
    return tuple(str(number) for number in range(min(nodes, listed or nodes, _MOST)))


def _count(folder: Path, pattern: str) -> int:
    try:
        return sum(re.fullmatch(pattern, name) is not None for name in os.listdir(folder))
    except OSError:
        return 0


class GpuBook:
    """Says which GPU each replica gets, of all models of a server. One for a server.

    Args:
        names: As `visible_gpus` gives them.
        preferred: What MLFLOW_DEFAULT_PREDICTION_DEVICE says, which `auto` leaves the say.
    """

    def __init__(self, names: tuple[str, ...], preferred: str = "") -> None:
        self._names = names
        self._preferred = preferred if re.fullmatch(r"cuda(:\d{1,3})?", preferred) else AUTO
        self._taken: dict[int, int] = {}

    def take(self, replica: int, device: str) -> Placement:
        """Place a replica; `give_back` is called when it is over.

        Args:
            replica: Its id.
            device: The setting.
        """
        placement = place(device, len(self._names), list(self._taken.values()))
        if device == AUTO and placement.gpu is not None:
            # Which device it is in the end is the library's to say, which knows the model's own config too.
            placement = Placement(AUTO, place(self._preferred, len(self._names), list(self._taken.values())).gpu)
        if placement.gpu is not None:
            self._taken[replica] = placement.gpu
        return placement

    def give_back(self, replica: int) -> None:
        self._taken.pop(replica, None)

    def environ(self, placement: Placement) -> dict[str, str]:
        """The variables that show a worker its GPU and no other; nothing is said where no GPU is known of."""
        if placement.gpu is not None:
            return {VISIBLE: self._names[placement.gpu]}
        # What was told to take the CPU shall not touch a GPU's memory by merely looking.
        return {VISIBLE: ""} if self._names and placement.device == "cpu" else {}
