"""What authentication and rate limits cost: the same small model bare and guarded, in turns, under `wrk`.

    python benchmarks/guard.py [--connections 64] [--seconds 2] [--rounds 20]

Both servers run for the whole time with one worker and one gateway, metrics on; each round asks one and then the other, so
that what else the machine does falls on both, and gives one ratio. The guarded one requires a key, limits the rate of keys,
addresses and the model (never reached), and answers with what is left. Prints the medians of the rounds and what guarding
costs in requests a second and in processor time of gateway and worker. Exits 1 if the median round loses more than 20 %.
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import podium.sklearn
from podium.access.keys import KeyFile

BODY = '{"inputs": {"a": [0.1], "b": [0.2], "c": [0.3], "d": [0.4]}}'
_MOST_LOST = 20
GUARDS = ["--require-keys", *(f"--rate-per-{what}={10**8}/s" for what in ("key", "address", "model"))]


def main() -> int:
    """Measure and print."""
    chosen = _arguments()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        key = _prepare(folder)
        script = folder / "ask.lua"
        headers = f'wrk.headers["Content-Type"] = "application/json"\nwrk.headers["X-API-Key"] = "{key}"'
        script.write_text(f"wrk.method = \"POST\"\nwrk.body = '{BODY}'\n{headers}\n")
        script.chmod(0o600)
        servers = {name: _serve(folder, name, flags) for name, flags in (("bare", []), ("guarded", GUARDS))}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
        try:
            for number in range(chosen.rounds + 1):
                for name, (process, port) in list(servers.items())[:: 1 if number % 2 else -1]:
                    asked = _ask(process.pid, port, script, chosen)
                    if number:  # the first round warms up
                        found[name].append(asked)
        finally:
            for process, _ in servers.values():
                process.terminate()
            for process, _ in servers.values():
                process.wait(60)
    return _judge(found)


def _judge(found: dict[str, list[tuple[float, float]]]) -> int:
    print(f"{'':10}{'requests/s':>11}{'us each':>9}  (medians of the rounds; processor time of the whole server)")
    for name, turns in found.items():
        print(
            f"{name:10}{statistics.median(rate for rate, _ in turns):11,.0f}{statistics.median(us for _, us in turns):9.2f}"
        )
    pairs = list(zip(found["bare"], found["guarded"], strict=True))
    lost = sorted(100 * (1 - guarded / bare) for (bare, _), (guarded, _) in pairs)
    more = sorted(100 * (guarded / bare - 1) for (_, bare), (_, guarded) in pairs)
    for what, values in (("fewer requests a second", lost), ("more processor time", more)):
        quarter = len(values) // 4
        spread = f"half of the rounds between {values[quarter]:.1f} and {values[-1 - quarter]:.1f}"
        print(f"guarded: {statistics.median(values):.1f} % {what}, {spread}")
    is_met = statistics.median(lost) <= _MOST_LOST
    print(f"\n{'met   ' if is_met else 'MISSED'}  at most {_MOST_LOST} % fewer requests a second, median of the rounds")
    return int(not is_met)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=2, help="of each turn")
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


def _prepare(folder: Path) -> str:
    """Save a model; a key that may score it."""
    draw = np.random.default_rng(7)
    table = pd.DataFrame(draw.normal(size=(200, 4)), columns=list("abcd"))
    podium.sklearn.save_model(
        LogisticRegression().fit(table, table["a"] > 0), folder / "model", input_example=table.head(2)
    )
    (folder / "home").mkdir(mode=0o700)
    return KeyFile(folder / "home" / "keys.json").create(["score:*"], time.time())[1]


def _serve(folder: Path, name: str, flags: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = ["-m", "podium", "serve", "-m", f"m={folder / 'model'}", "-p", str(port), "--gateways", "1", *flags]
    log = (folder / f"{name}.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=log,
        stderr=log,
        env={**os.environ, "PODIUM_HOME": str(folder / "home")},
    )
    ends = time.monotonic() + 90
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > ends:
            sys.exit(f"the server does not start:\n{(folder / f'{name}.log').read_text()}")
        time.sleep(0.1)
    return process, port


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _ask(pid: int, port: int, script: Path, chosen: argparse.Namespace) -> tuple[float, float]:
    """Requests a second, none of which may fail, and processor microseconds of the server for each."""
    address = f"http://127.0.0.1:{port}/invocations"
    command = ["wrk", "-t1", f"-c{chosen.connections}", f"-d{chosen.seconds}s", "-s", str(script), address]
    before = _ran_us(pid)
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=chosen.seconds + 30).stdout
    used = _ran_us(pid) - before
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    requests, rate = (re.search(what, said)[1] for what in (r"(\d+) requests in", r"Requests/sec:\s+([\d.]+)"))  # type: ignore[index]
    return float(rate), used / max(int(requests), 1)


def _ran_us(leader: int) -> float:
    """What a supervisor and its children, gateways and workers, have run so far."""
    total = 0
    for pid in [leader, *_children(leader)]:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1000


def _children(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [grandchild for child in children for grandchild in _children(child)]


if __name__ == "__main__":
    sys.exit(main())
