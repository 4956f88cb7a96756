"""One row by gRPC's ModelInfer: podium beside MLServer, by turns, the same model, message and client.

    python benchmarks/grpc_rows.py --mlserver PATH/TO/ITS/bin/python [--seconds 4] [--rounds 3] [--calls 32]

Prints calls a second and the servers' processor microseconds a call, which a busy machine changes less. The client is
nghttp2's h2load, for one in Python needs as much of the machine as a server; each answer's length is checked by it, and
what is in them once before. Raw is what tritonclient sends, typed what KServe's and most others do.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from driven import Podium, free_port, wait_until  # noqa: E402  the path comes first

from podium.serving.grpc.messages import Messages  # noqa: E402

MESSAGES = Messages()
TARGET = 3.0  # times MLServer's calls a second
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


def answer_bytes(address: str, is_raw: bool) -> int:
    """How long an answer is on the wire, which is looked into."""
    with grpc.insecure_channel(address) as channel:
        infer = channel.unary_unary(f"{_METHOD}ModelInfer", MESSAGES.ModelInferRequest.SerializeToString, None)
        for _ in range(3):  # the second goes podium's quick way
            data: bytes = infer(request(is_raw), timeout=30)
    answer = MESSAGES.ModelInferResponse.FromString(data)
    (output,) = answer.outputs
    raw = b"".join(answer.raw_output_contents)
    assert (raw == bytes(8)) if is_raw else list(output.contents.int64_contents) == [0], answer
    return 5 + len(data)  # with gRPC's own head


def load(address: str, body: Path, seconds: float, calls: int, expected_bytes: int) -> tuple[int, float]:
    """How many calls were answered, and in how long."""
    connections = min(4, calls)
    rate = run_h2load(address, body, calls, connections, max(200, 20 * calls), expected_bytes)
    count = max(200, int(rate * seconds))
    return count, count / run_h2load(address, body, calls, connections, count, expected_bytes)


def run_h2load(address: str, body: Path, calls: int, connections: int, count: int, expected_bytes: int) -> float:
    """Calls a second; all of them answered, with so many bytes each."""
    headers = ("-H", "content-type: application/grpc", "-H", "te: trailers")
    done = subprocess.run(
        ["h2load", "-n", str(count), "-c", str(connections), "-m", str(calls // connections), "-d", str(body), *headers,
         f"http://{address}{_METHOD}ModelInfer"],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    finished = re.search(r"finished in \S+, ([0-9.]+) req/s", done.stdout)
    assert finished is not None, done.stdout
    succeeded = re.search(r"(\d+) succeeded, 0 failed, 0 errored", done.stdout)
    sent = re.search(r"\((\d+)\) data", done.stdout)
    # An error of gRPC's is HTTP's 200, without data.
    assert succeeded is not None, done.stdout
    assert int(succeeded[1]) == count, done.stdout
    assert sent is not None, done.stdout
    assert int(sent[1]) == count * expected_bytes, done.stdout
    return float(finished[1])


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
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=32, help="at a time")
    parser.add_argument("--json", type=Path, help="write every run there")
    chosen = parser.parse_args()
    if shutil.which("h2load") is None:
        raise SystemExit("h2load is not installed; on Debian or Ubuntu: apt install nghttp2-client")
    with tempfile.TemporaryDirectory() as name:
        podium = Podium(Path(name))
        try:
            podium.python(_TRAIN)
            server = podium.serve("iris", "-w", "1", "--gateways", "1", "--grpc-port", "0")
            address = server.status()["grpc_address"]
            with mlserver(chosen.mlserver, Path(name)) as (theirs, their_address):
                pairs = {"podium": (server.pid, address), "MLServer": (theirs, their_address)}
                runs = [measure(pairs, chosen, Path(name), is_raw) for is_raw in (True, False)]
            server.stop()
        finally:
            podium.end()
    print("\n".join([f"{'':8}{'':10}{'calls/s':>10}{'CPU us':>10}", *[line for run in runs for line in run["lines"]]]))
    if chosen.json:
        chosen.json.write_text(json.dumps(runs, indent=1))
    return 0


def measure(pairs: dict[str, tuple[int, str]], chosen: argparse.Namespace, folder: Path, is_raw: bool) -> dict[str, object]:
    """Both servers by turns; the table's lines with what came of it."""
    message = request(is_raw).SerializeToString()  # type: ignore[attr-defined]
    body = folder / "message"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    expected = {name: answer_bytes(address, is_raw) for name, (_, address) in pairs.items()}
    rates: dict[str, list[float]] = {name: [] for name in pairs}
    costs: dict[str, list[float]] = {name: [] for name in pairs}
    for _ in range(chosen.rounds):
        for name, (pid, address) in pairs.items():
            run_h2load(address, body, chosen.calls, min(4, chosen.calls), 10 * chosen.calls, expected[name])
            before = processor_s(pid)
            done, took = load(address, body, chosen.seconds, chosen.calls, expected[name])
            rates[name].append(done / took)
            costs[name].append(1e6 * (processor_s(pid) - before) / (done + max(200, 20 * chosen.calls)))
    kind = "raw" if is_raw else "typed"
    lines = [
        f"{kind:8}{name:10}{statistics.median(rates[name]):10,.0f}{statistics.median(costs[name]):10,.0f}" for name in pairs
    ]
    by_round = [mine / theirs for mine, theirs in zip(rates["podium"], rates["MLServer"], strict=True)]
    spent = [theirs / mine for mine, theirs in zip(costs["podium"], costs["MLServer"], strict=True)]
    rate, cost = statistics.median(by_round), statistics.median(spent)
    verdict = "met" if rate >= TARGET else "MISSED"
    lines.append(
        f"{kind:8}times MLServer's calls/s: {rate:.2f} (wanted {TARGET:g}: {verdict}); its CPU: {cost:.2f} times ours"
    )
    return {"kind": kind, "rates": rates, "cpu_us": costs, "times": rate, "is_met": rate >= TARGET, "lines": lines}


if __name__ == "__main__":
    sys.exit(main())
