"""One row by gRPC's ModelInfer: podium beside MLServer, by turns, the same model and the same client.

    python benchmarks/grpc_rows.py --mlserver PATH/TO/ITS/bin/python [--seconds 5] [--rounds 2] [--calls 32]

Prints calls a second and the servers' processor microseconds a call, which a busy machine changes less. The client is
asyncio's and takes a processor of its own: with two, calls a second say less than the microseconds do.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import grpc.aio
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from driven import Podium, free_port, wait_until  # noqa: E402  the path comes first

from podium.serving.grpc.messages import Messages  # noqa: E402

MESSAGES = Messages()
_METHOD = "/inference.GRPCInferenceService/"
_TRAIN = """
import joblib, podium.sklearn
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=500).fit(X, y)
podium.sklearn.save_model(model, "iris", input_example=X[:1])
joblib.dump(model, "iris.joblib")
"""


def request(is_raw: bool) -> object:
    row = np.array([[5.1, 3.5, 1.4, 0.2]])
    message = MESSAGES.ModelInferRequest(model_name="iris")
    tensor = message.inputs.add(name="input", datatype="FP64", shape=row.shape)
    if is_raw:
        message.raw_input_contents.append(row.tobytes())
    else:
        tensor.contents.fp64_contents.extend(row.ravel())
    return message


async def load(address: str, seconds: float, calls: int, is_raw: bool) -> tuple[int, float]:
    """How many calls were answered, and in how long."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(min(4, calls))]
    asked, done = request(is_raw), 0
    began = time.monotonic()

    async def ask(channel: grpc.aio.Channel) -> None:
        nonlocal done
        infer = channel.unary_unary(
            f"{_METHOD}ModelInfer", MESSAGES.ModelInferRequest.SerializeToString, MESSAGES.ModelInferResponse.FromString
        )
        while time.monotonic() < began + seconds:
            answer = await infer(asked)
            assert len(answer.outputs) == 1
            done += 1

    await asyncio.gather(*[ask(channels[number % len(channels)]) for number in range(calls)])
    took = time.monotonic() - began
    for channel in channels:
        await channel.close()
    return done, took


def processor_s(pid: int) -> float:
    """Processor seconds of a process and all that it started and still lives."""
    pids, found, ticks = [pid], 0.0, os.sysconf("SC_CLK_TCK")
    while pids:
        each = pids.pop()
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            children = Path(f"/proc/{each}/task/{each}/children").read_text().split()
        except OSError:
            continue
        found += (int(fields[11]) + int(fields[12])) / ticks
        pids += map(int, children)
    return found


@contextmanager
def mlserver(python: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Its process and address; its own defaults but for ports."""
    ports = {"http_port": free_port(), "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "debug": False, **ports}))
    model = {"name": "iris", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "iris.joblib"}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(python).parent / "mlserver"), "start", str(folder)]
    with (folder / "mlserver.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        address = f"127.0.0.1:{ports['grpc_port']}"
        wait_until(lambda: is_ready(address), 90, "MLServer is ready")
        yield process.pid, address
    finally:
        process.terminate()
        process.wait(30)


def is_ready(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        ready = channel.unary_unary(
            f"{_METHOD}ModelReady", MESSAGES.ModelReadyRequest.SerializeToString, MESSAGES.ModelReadyResponse.FromString
        )
        try:
            return bool(ready(MESSAGES.ModelReadyRequest(name="iris"), timeout=5).ready)
        except grpc.RpcError:
            return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlserver", required=True, help="the interpreter of an environment with mlserver-sklearn")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--calls", type=int, default=32, help="at a time")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        podium = Podium(Path(name))
        try:
            podium.python(_TRAIN)
            server = podium.serve("iris", "-w", "1", "--gateways", "1", "--grpc-port", "0")
            address = server.status()["grpc_address"]
            with mlserver(chosen.mlserver, Path(name)) as (theirs, their_address):
                pairs = {"podium": (server.pid, address), "MLServer": (theirs, their_address)}
                measure(pairs, chosen)
            server.stop()
        finally:
            podium.end()
    return 0


def measure(pairs: dict[str, tuple[int, str]], chosen: argparse.Namespace) -> None:
    for is_raw in (False, True):
        rates: dict[str, list[float]] = {name: [] for name in pairs}
        costs: dict[str, list[float]] = {name: [] for name in pairs}
        for _ in range(chosen.rounds):
            for name, (pid, address) in pairs.items():
                asyncio.run(load(address, 1.0, chosen.calls, is_raw))
                before = processor_s(pid)
                done, took = asyncio.run(load(address, chosen.seconds, chosen.calls, is_raw))
                rates[name].append(done / took)
                costs[name].append(1e6 * (processor_s(pid) - before) / done)
        for name in pairs:
            rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
            print(f"{'raw' if is_raw else 'typed':6} {name:9} {rate:8.0f} calls/s {cost:8.0f} processor µs a call")


if __name__ == "__main__":
    sys.exit(main())
