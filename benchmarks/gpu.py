"""A GPU against the CPU: one call of a PyTorch model as the worker makes it, array in and array out, by rows and precision.

    python benchmarks/gpu.py [--device cuda:0] [--rows 1,64,256,4096] [--layers 4] [--width 1024] [--seconds 1]

Prints microseconds of a call (the median) and rows a second. The way to the GPU and back is part of it, for it is part of
every request. Without a GPU it says so, measures the CPU alone and exits with 0.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from podium.domain.load_terms import PRECISIONS, LoadTerms
from podium.flavors.contract import Stored
from podium.flavors.devices import use_of
from podium.flavors.pytorch.flavor import PytorchFlavor


def main() -> int:
    """Measure and print."""
    chosen = _arguments()
    has_gpu = torch.cuda.is_available()
    print(f"Python {platform.python_version()}, PyTorch {torch.__version__}, {torch.get_num_threads()} CPU threads")
    if not has_gpu:
        print("No GPU: this PyTorch finds no CUDA device here. The CPU alone is measured.", file=sys.stderr)
    devices = ["cpu", *([chosen.device] if has_gpu else [])]
    torch.manual_seed(7)
    layers = [part for _ in range(chosen.layers) for part in (torch.nn.Linear(chosen.width, chosen.width), torch.nn.ReLU())]
    example = np.random.default_rng(7).normal(size=(max(chosen.rows), chosen.width)).astype(np.float32)
    print(f"{chosen.layers} layers of {chosen.width} x {chosen.width}, float32\n")
    print(f"{'device':10} {'precision':10} {'rows':>6} {'us a call':>12} {'rows/s':>12} {'x cpu':>8}")
    with tempfile.TemporaryDirectory() as place:
        saved = PytorchFlavor().save(torch.nn.Sequential(*layers), Path(place), example[:2])
        on_cpu: dict[int, float] = {}
        for device in devices:
            for precision in PRECISIONS if device != "cpu" else PRECISIONS[:1]:
                model = PytorchFlavor().load(Stored(Path(place), saved.flavors, terms=LoadTerms(device, precision)))
                for rows in chosen.rows:
                    took_us = _microseconds(model, example[:rows], chosen.seconds)
                    on_cpu.setdefault(rows, took_us)
                    speed = f"{1e6 * rows / took_us:12,.0f} {on_cpu[rows] / took_us:8.1f}"
                    print(f"{device:10} {precision:10} {rows:6} {took_us:12,.1f} {speed}", flush=True)
        if has_gpu:
            use = use_of(torch, torch.device(chosen.device))
            print(f"\n{use.name}: {use.used_bytes / 2**20:,.0f} of {use.total_bytes / 2**20:,.0f} MiB in use")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="which GPU")
    parser.add_argument("--rows", type=_numbers, default=[1, 64, 256, 4096], help="rows of a call, comma-separated")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _microseconds(model: Any, rows: Any, seconds: float) -> float:
    """The median; an answer is an array of the CPU's, so that nothing is left running on the device."""
    for _ in range(3):
        model.predict(rows)
    took: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(took) < 3:
        began = time.perf_counter()
        model.predict(rows)
        took.append(time.perf_counter() - began)
    return 1e6 * statistics.median(took)


if __name__ == "__main__":
    sys.exit(main())
