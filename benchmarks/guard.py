"""What authentication and rate limits cost: the same small model bare and guarded, in turns, under `wrk`.

    python benchmarks/guard.py [--connections 64] [--seconds 4] [--rounds 5]

Both servers run for the whole time with one worker and one gateway, access log and metrics on; each round asks one and then
the other. Prints requests a second of each round, the medians, and what guarding costs. The guarded one requires a key,
limits the rate of keys, addresses and the model (never reached), and answers with what is left.
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
        found: dict[str, list[float]] = {name: [] for name in servers}
        try:
            for number in range(chosen.rounds + 1):
                for name, (_, port) in servers.items():
                    rate = _ask(port, script, chosen)
                    if number:  # the first round warms up
                        found[name].append(rate)
                        print(f"{name:8} {rate:10,.0f} requests/s", flush=True)
        finally:
            for process, _ in servers.values():
                process.terminate()
            for process, _ in servers.values():
                process.wait(60)
    bare, guarded = (statistics.median(found[name]) for name in ("bare", "guarded"))
    print(f"\nmedians  {bare:,.0f} bare, {guarded:,.0f} guarded: {100 * (1 - guarded / bare):.1f} % less")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=4, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
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


def _ask(port: int, script: Path, chosen: argparse.Namespace) -> float:
    """Requests a second; none of them may fail."""
    address = f"http://127.0.0.1:{port}/invocations"
    command = ["wrk", "-t1", f"-c{chosen.connections}", f"-d{chosen.seconds}s", "-s", str(script), address]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=chosen.seconds + 30).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
