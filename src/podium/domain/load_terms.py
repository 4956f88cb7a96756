"""On what terms a model is loaded: where it computes, how exactly, and whether its folder may run code."""

import re
from dataclasses import dataclass

from podium.errors import Misconfigured

AUTO = "auto"
PRECISIONS = ("full", "bf16", "fp16")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True, slots=True)
class LoadTerms:
    """What whoever serves a model grants and asks; a flavor takes of it what its library knows.

    Args:
        device: `auto` takes a GPU where the library finds one, else the CPU; `cpu`, `cuda`, `cuda:N`, `mps`.
        precision: `full` is the model's own; `bf16` and `fp16` let the library compute in less where it can (autocast).
        compiles: Whether the library may compile the model (`torch.compile`).
        allows_code: Whether loading may run what the folder brings: pickles, code, loaders, types beyond podium's list.

    Raises:
        Misconfigured: A word that it does not know.
    """

    device: str = AUTO
    precision: str = "full"
    compiles: bool = False
    allows_code: bool = True

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise Misconfigured(f"device = {self.device!r}: must be auto, cpu, cuda, cuda:N (N a number) or mps")
        if self.precision not in PRECISIONS:
            raise Misconfigured(f"precision = {self.precision!r}: must be one of {', '.join(PRECISIONS)}")


DEFAULT_TERMS = LoadTerms()
