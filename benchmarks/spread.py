"""Many small models on one server beside one model alone: the same requests, spread over all of them or to one.

    python benchmarks/spread.py [--models 200] [--connections 1 --connections 64] [--seconds 2] [--rounds 5] [--json]

Three servers of the same small model stand ready, one gateway each: one model, the same without merging of requests, and
as many models as `--models`, whose paths wrk asks in turn, so that hardly two requests that wait at one time are for the
same model. The servers take turns, round after round. Beside requests a second stands the processor time of gateway and
workers for each request, which says where the difference comes from: requests for one model share frames, wake-ups and
calls of the model, requests for many cannot. Exits 1 if the many answer less than 80 % of what one does.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import podium.sklearn

_LEAST = 0.8
_BODY = '{"inputs": {"a": [0.1], "b": [0.2], "c": [0.3], "d": [0.4]}}'
_SCRIPT = """
local requests, at = {}, 0
init = function(args)
  for number = 0, %d do
    local path, headers = "/models/m" .. number .. "/invocations", {["Content-Type"] = "application/json"}
    requests[number] = wrk.format("POST", path, headers, '%s')
  end
end
request = function()
  at = (at + 1) %% %d
  return requests[at]
end
"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of wrk: requests a second, and processor microseconds a request."""

    rps: float
    gateway_us: float
    workers_us: float


class Server:
    """`podium serve` of so many models that are the same, until it is stopped."""

    def __init__(self, folder: Path, name: str, models: int, batching: str) -> None:
        self.name, self.models = name, models
        home = folder / name
        home.mkdir()
        lines = ["[serve]", "port = 0", "gateways = 1", f'batching = "{batching}"']
        for number in range(models):
            lines += [f"[models.m{number}]", f'uri = "{folder / "model"}"']
        (home / "podium.toml").write_text("\n".join(lines) + "\n")
        (home / "ask.lua").write_text(_SCRIPT % (models - 1, _BODY, models))
        with (home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "podium", "serve"],
                cwd=home,
                env={**os.environ, "PODIUM_HOME": str(home / "home")},
                stdout=log,
                stderr=log,
            )
        self._folder = home

    def wait(self, limit_s: float) -> None:
        """Until every model is ready."""
        ends = time.monotonic() + limit_s
        while time.monotonic() < ends and self._process.poll() is None:
            for path in self._folder.glob("home/run/[!.]*/server.json"):
                self._status = json.loads(path.read_text())
                states = [endpoint["state"] for endpoint in self._status["endpoints"].values()]
                if states.count("serving") == self.models and self._is_ready():
                    return
            time.sleep(0.2)
        sys.exit(f"{self.name} is not ready:\n{(self._folder / 'log').read_text()[-2000:]}")

    def ask(self, connections: int, seconds: int) -> Turn:
        """One turn; no request may fail."""
        url, gateways, workers = self._status["url"], *self._pids()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(self._folder / "ask.lua"), url]
        before = _ran_us(gateways), _ran_us(workers)
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
        after = _ran_us(gateways), _ran_us(workers)
        if "Non-2xx" in said or "Socket errors" in said:
            sys.exit(said)
        requests, rate = (re.search(what, said)[1] for what in (r"(\d+) requests in", r"Requests/sec:\s+([\d.]+)"))  # type: ignore[index]
        each = [(now - then) / max(int(requests), 1) for now, then in zip(after, before, strict=True)]
        return Turn(float(rate), *each)

    def stop(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._status['url']}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _pids(self) -> tuple[list[int], list[int]]:
        """Gateways; workers."""
        workers = [each["pid"] for endpoint in self._status["endpoints"].values() for each in endpoint["replicas"]]
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        is_gateway = {int(pid): b"podium.serving" in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return [pid for pid, found in is_gateway.items() if found], workers


def main() -> int:
    """Measure, print, judge."""
    chosen = _arguments()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt install wrk")
    with tempfile.TemporaryDirectory(prefix="podium-spread-") as place:
        folder = Path(place)
        _save(folder / "model")
        servers = [Server(folder, "one", 1, "auto")]
        try:
            servers += [Server(folder, "unmerged", 1, "off"), Server(folder, "many", chosen.models, "auto")]
            for server in servers:
                server.wait(60 + 2 * chosen.models)
            found = _measure(servers, chosen)
        finally:
            for server in servers:
                server.stop()
    return _judge(found, chosen)


def _measure(servers: list[Server], chosen: argparse.Namespace) -> dict[int, dict[str, list[Turn]]]:
    """All turns, by connections and server."""
    found: dict[int, dict[str, list[Turn]]] = {}
    for connections in chosen.connections:
        cell = found[connections] = {server.name: [] for server in servers}
        for number in range(chosen.rounds + 1):
            for server in servers[:: 1 if number % 2 else -1]:
                turn = server.ask(connections, chosen.seconds)
                if number:  # the first round warms up
                    cell[server.name].append(turn)
    return found


def _judge(found: dict[int, dict[str, list[Turn]]], chosen: argparse.Namespace) -> int:
    ratios = {
        connections: statistics.median(many.rps / one.rps for many, one in zip(cell["many"], cell["one"], strict=True))
        for connections, cell in found.items()
    }
    if chosen.json:
        print(json.dumps({"models": chosen.models, "ratios": ratios}))
        return int(min(ratios.values()) < _LEAST)
    print(f"{chosen.models} models; medians of {chosen.rounds} rounds")
    print(f"{'connections':>11}  {'server':10}{'requests/s':>11}{'gateway us':>12}{'workers us':>12}{'of one':>8}")
    for connections, cell in found.items():
        for name, turns in cell.items():
            middle = [statistics.median(getattr(turn, each) for turn in turns) for each in Turn.__slots__]
            share = statistics.median(turn.rps / one.rps for turn, one in zip(turns, cell["one"], strict=True))
            print(f"{connections:11}  {name:10}{middle[0]:11,.0f}{middle[1]:12.1f}{middle[2]:12.1f}{share:8.2f}")
    for connections, ratio in ratios.items():
        is_met = "met   " if ratio >= _LEAST else "MISSED"
        print(f"{is_met}  many at {connections} connections: {ratio:.2f} of one, wanted {_LEAST}")
    return int(min(ratios.values()) < _LEAST)


def _save(folder: Path) -> None:
    draw = np.random.default_rng(7)
    table = pd.DataFrame(draw.normal(size=(200, 4)), columns=list("abcd"))
    podium.sklearn.save_model(LogisticRegression().fit(table, table["a"] > 0), folder, input_example=table.head(2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--connections", type=int, action="append", default=[])
    parser.add_argument("--seconds", type=int, default=2, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    chosen.connections = chosen.connections or [1, 64]
    return chosen


def _ran_us(pids: list[int]) -> float:
    """What processes have run so far, in user code and in the kernel."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1000


if __name__ == "__main__":
    sys.exit(main())
