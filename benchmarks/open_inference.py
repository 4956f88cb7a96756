"""The Open Inference Protocol beside MLflow's on one server, taking turns under wrk: requests a second and processor time.

    python benchmarks/open_inference.py [--seconds 2] [--rounds 3] [--json FILE]

One gateway, one worker, and a logistic regression of 30 float32 (scikit-learn): JSON and bytes ask it in the same way, and
it takes little of either, for else predict() would hide what they cost. Single rows come over 64 connections, 1,000 over 4.
The processor time of a request is the server's alone (/proc), and says the same on a machine that
others use, too. The last lines say whether the figures that are wanted were reached, as medians over the rounds.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import podium
import podium.sklearn

_HERE = Path(__file__).resolve().parent
_WIDTH, _ROWS = 30, 1000
_NAMES = ("invocations 1 row", "V2 1 row", "V2 1 row, id", "V2 1 row, bytes", "V2 1,000 rows", "V2 1,000 rows, bytes")
_WANTED = (
    ("V2 1 row", "invocations 1 row", 0.85),
    ("V2 1 row, id", "invocations 1 row", 0.85),
    ("V2 1,000 rows, bytes", "V2 1,000 rows", 5.0),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="of one run of wrk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write every run there")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; on Debian or Ubuntu: apt install wrk")
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as server:
        loads = _loads(Path(folder))
        for name in _NAMES:  # answers are right, and the quick way is learnt, before a clock runs
            _check(server.url, loads[name])
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in _NAMES}
        for turn in range(arguments.rounds):
            for name in _NAMES[turn % len(_NAMES) :] + _NAMES[: turn % len(_NAMES)]:
                runs[name].append(_run(server, loads[name], arguments.seconds))
    print(_table(runs))
    if arguments.json:
        arguments.json.write_text(json.dumps(runs, indent=1))


def _loads(folder: Path) -> dict[str, dict[str, Any]]:
    """What is sent, where to, over how many connections."""
    rows = np.random.default_rng(7).normal(size=(_ROWS, _WIDTH)).astype("<f4")

    def body(count: int, is_binary: bool, **more: Any) -> tuple[bytes, int | None]:
        entry: dict[str, Any] = {"name": "x", "shape": [count, _WIDTH], "datatype": "FP32"}
        if not is_binary:
            return json.dumps({**more, "inputs": [entry | {"data": rows[:count].ravel().tolist()}]}).encode(), None
        entry["parameters"] = {"binary_data_size": 4 * count * _WIDTH}
        text = json.dumps({**more, "inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
        return text + rows[:count].tobytes(), len(text)

    bodies = {
        "invocations 1 row": (json.dumps({"inputs": rows[:1].tolist()}).encode(), None),
        "V2 1 row": body(1, False),
        "V2 1 row, id": body(1, False, id="a client's own"),
        "V2 1 row, bytes": body(1, True),
        "V2 1,000 rows": body(_ROWS, False),
        "V2 1,000 rows, bytes": body(_ROWS, True),
    }
    found = {}
    for number, (name, (data, length)) in enumerate(bodies.items()):
        place = folder / f"body-{number}"
        place.write_bytes(data)
        found[name] = {
            "file": place,
            "path": "/invocations" if name.startswith("inv") else "/v2/models/model/infer",
            "headers": {} if length is None else {"Inference-Header-Content-Length": str(length)},
            "type": "application/json" if length is None else "application/octet-stream",
            "connections": 4 if "1,000" in name else 64,
        }
    return found


@contextmanager
def _served(folder: Path) -> Iterator[podium.Server]:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(500, _WIDTH)).astype("f4")
    model = LogisticRegression().fit(features, (features.sum(axis=1) > 0).astype(int))
    podium.sklearn.save_model(model, folder / "model", input_example=features[:3])
    os.environ.setdefault("PODIUM_HOME", str(folder / "home"))
    with podium.serve({"model": str(folder / "model")}, env_manager="local") as server:
        yield server


def _check(url: str, load: dict[str, Any]) -> None:
    headers = {"Content-Type": load["type"], **load["headers"]}
    for _ in range(3):
        request = urllib.request.Request(url + load["path"], load["file"].read_bytes(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            data = answer.read()
    if load["path"] == "/invocations":
        assert len(json.loads(data)["predictions"]) == 1
    elif load["headers"]:
        assert struct.unpack_from("<q", data, len(data) - 8)[0] in (0, 1)
    else:
        assert json.loads(data)["outputs"][0]["datatype"] == "INT64"


def _run(server: podium.Server, load: dict[str, Any], seconds: int) -> dict[str, Any]:
    argv = ["wrk", "-t1", f"-c{load['connections']}", f"-d{seconds}s", "-s", str(_HERE / "one_request.lua")]
    said = {"Content-Type": load["type"], **load["headers"]}
    named = [part for pair in said.items() for part in pair]
    before = _processor_s(server.pid)
    done = subprocess.run(
        [*argv, server.url + load["path"], "--", str(load["file"]), *named],
        capture_output=True,
        text=True,
        timeout=60 + seconds,
        check=True,
    )
    used = _processor_s(server.pid) - before
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    result["rps"] = result["requests"] / result["seconds"]
    result["cpu_us"] = 1e6 * used / max(result["requests"], 1)
    return result


def _processor_s(leader: int) -> float:
    """Of a supervisor and its children, gateways and workers."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(place.name)], ticks[int(place.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    ours = {leader}
    while more := {pid for pid, parent in parents.items() if parent in ours and pid not in ours}:
        ours |= more
    return sum(ticks.get(pid, 0) for pid in ours) / os.sysconf("SC_CLK_TCK")


def _table(runs: dict[str, list[dict[str, Any]]]) -> str:
    first = {each: statistics.median(run[each] for run in runs[_NAMES[0]]) for each in ("rps", "cpu_us")}
    lines = [f"{'':24}{'requests/s':>12}{'CPU us':>10}{'p50 ms':>9}{'rate':>8}{'CPU':>7}{'bad':>5}"]
    for name, found in runs.items():
        rate, cost, p50 = (statistics.median(run[each] for run in found) for each in ("rps", "cpu_us", "p50_ms"))
        bad = sum(run["bad"] for run in found)
        lines.append(
            f"{name:24}{rate:12,.0f}{cost:10,.1f}{p50:9.2f}{rate / first['rps']:8.2f}{cost / first['cpu_us']:7.2f}{bad:5}"
        )
    return "\n".join([*lines, "", *[_verdict(runs, *each) for each in _WANTED]])


def _verdict(runs: dict[str, list[dict[str, Any]]], name: str, beside: str, wanted: float) -> str:
    """How many times the requests a second of another kind, round by round, and the same by processor time."""
    pairs = list(zip(runs[name], runs[beside], strict=True))
    rate = statistics.median(mine["rps"] / other["rps"] for mine, other in pairs)
    cost = statistics.median(other["cpu_us"] / mine["cpu_us"] for mine, other in pairs)
    told = "met" if rate >= wanted else "MISSED"
    return f"{name} / {beside}: {rate:.2f} times the requests/s (wanted {wanted:g}: {told}); {cost:.2f} by CPU"


if __name__ == "__main__":
    sys.exit(main())
