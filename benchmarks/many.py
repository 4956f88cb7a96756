"""Many registered models, few of them resident, and a load that moves: who is asked, who is evicted, who fails.

    python benchmarks/many.py [--models 1000] [--resident 50] [--seconds 60] [--rate 20] [--exponent 1.5] [--json]

Serves small models of plain Python from a home of its own with `--max-resident`, loads the most popular ones, and then
sends requests at a fixed rate, whatever the answers take, to models that a Zipf law picks; every ten seconds other models
are the popular ones. Exits 1 if a request failed or more models than allowed were resident.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_MODEL = """
def predict(data):
    return [[{number}] for _ in data]
class Model:
    def predict(self, data):
        return predict(data)
def _load_pyfunc(path):
    return Model()
"""
_MOVE_S = 10.0
_ANSWER_S = 60.0
_WARM_S = 1.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it. Times in milliseconds, of requests from when they were due.

    Args:
        loads: Workers that were started under the load.
        most_resident: Models with a worker that was ready, at any one time.
        warm_p99_ms: Of requests for models that had answered another one within the second before.
    """

    models: int
    resident: int
    rate: float
    requests: int
    failed: int
    loads: int
    most_resident: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    warm_p99_ms: float
    supervisor_cpu_s: float


def make_models(folder: Path, count: int) -> None:
    """Folders m0000 …, and a podium.toml that serves them."""
    lines = ["[serve]", "port = 0", 'env_manager = "local"', "gateways = 1", "drain_timeout = 5"]
    for number in range(count):
        model = folder / f"m{number:04d}"
        (model / "code").mkdir(parents=True)
        (model / "code" / "tinymodel.py").write_text(_MODEL.format(number=number))
        (model / "MLmodel").write_text(
            "flavors:\n  python_function:\n    loader_module: tinymodel\n    code: code\n"
            f"    python_version: {platform.python_version()}\n"
        )
        lines += [f"[models.{model.name}]", f'uri = "./{model.name}"']
    (folder / "podium.toml").write_text("\n".join(lines) + "\n")


class Server:
    """`podium serve` in a folder, until it is stopped."""

    def __init__(self, folder: Path, resident: int) -> None:
        self._home = folder / "home"
        environment = {**os.environ, "PODIUM_HOME": str(self._home), "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", "podium", "serve", "--max-resident", str(resident)]
        with (folder / "out.txt").open("wb") as out:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)

    @property
    def status(self) -> dict[str, Any]:
        """`server.json`; nothing before there is one."""
        for path in self._home.glob("run/[!.]*/server.json"):
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        return {}

    def wait(self, limit_s: float) -> str:
        """Its address, once it is ready."""
        ends = time.monotonic() + limit_s
        while time.monotonic() < ends:
            url = self.status.get("url")
            try:
                if url and urllib.request.urlopen(f"{url}/readyz", timeout=5).status == 200:
                    return str(url)
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit("the server is not ready")

    def starts(self) -> int:
        """How many workers it has begun so far, as its log says."""
        return (self._home.parent / "out.txt").read_text().count(": starting version ")

    def cpu_s(self) -> float:
        """What the supervisor has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


async def ask(url: str, number: int) -> bool:
    """Whether the right model answered."""
    host, port = url.removeprefix("http://").rsplit(":", 1)
    body = b'{"inputs": [[1]]}'
    head = f"POST /models/m{number:04d}/invocations HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            answer = await reader.read()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return answer.startswith(b"HTTP/1.1 200") and f"[[{number}]]".encode() in answer


class Load:
    """An open loop: each request is sent when it is due.

    Args:
        url: The server's.
        weights: Cumulative; of the most popular model first.
        rate: Requests a second.
    """

    def __init__(self, url: str, weights: Sequence[float], rate: float) -> None:
        self._url = url
        self._weights = weights
        self._rate = rate
        self._random = random.Random(0)
        self._answered: dict[int, float] = {}
        self.taken: list[tuple[float, bool]] = []
        self.warm: list[float] = []

    async def run(self, seconds: float) -> None:
        """Send for so long, and wait for every answer."""
        began, order = time.monotonic(), list(range(len(self._weights)))
        async with asyncio.TaskGroup() as tasks:
            for index in range(int(seconds * self._rate)):
                due = began + index / self._rate
                await asyncio.sleep(max(due - time.monotonic(), 0))
                if index and index % int(_MOVE_S * self._rate) == 0:
                    # A tenth of the most popular ones are others from now on.
                    moved = max(len(order) // 100, 1)
                    order = order[moved:] + order[:moved]
                place = self._random.choices(range(len(order)), cum_weights=self._weights)[0]
                tasks.create_task(self._send(order[place], due))

    async def _send(self, number: int, due: float) -> None:
        is_warm = due - self._answered.get(number, -_WARM_S) < _WARM_S
        is_right = await ask(self._url, number)
        now = self._answered[number] = time.monotonic()
        self.taken.append((1000 * (now - due), is_right))
        if is_warm:
            self.warm.append(1000 * (now - due))


async def measure(server: Server, url: str, options: argparse.Namespace) -> Figures:
    """Warm up, then load."""
    popular = range(min(options.resident, options.models))
    for first in range(0, len(popular), 4):
        await asyncio.gather(*(ask(url, number) for number in popular[first : first + 4]))
    weights = list(accumulate(1 / rank**options.exponent for rank in range(1, options.models + 1)))
    load, most, before, started = Load(url, weights, options.rate), 0, server.cpu_s(), server.starts()
    loading = asyncio.create_task(load.run(options.seconds))
    while not loading.done():
        endpoints = server.status.get("endpoints", {})
        ready = [name for name, each in endpoints.items() if any(r["state"] == "ready" for r in each["replicas"])]
        most = max(most, len(ready))
        await asyncio.sleep(0.5)
    await loading
    times = [taken for taken, _ in load.taken]
    return Figures(
        options.models,
        options.resident,
        options.rate,
        len(times),
        sum(not is_right for _, is_right in load.taken),
        server.starts() - started,
        most,
        *(_percentile(times, share) for share in (0.5, 0.95, 0.99)),
        _percentile(load.warm, 0.99),
        round(server.cpu_s() - before, 1),
    )


def _percentile(times: Iterable[float], share: float) -> float:
    ordered = sorted(times)
    return round(ordered[int(len(ordered) * share)], 1) if ordered else math.nan


def main() -> None:
    """Run it, say it, and fail where a request did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("models", 1000), ("resident", 50)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, value in (("seconds", 60.0), ("rate", 20.0), ("exponent", 1.5)):
        parser.add_argument(f"--{name}", type=float, default=value)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder), options.models)
        server = Server(Path(folder), options.resident)
        try:
            figures = asyncio.run(measure(server, server.wait(120), options))
        finally:
            server.stop()
    said = asdict(figures)
    print(json.dumps(said) if options.json else "\n".join(f"{name:>18} {value}" for name, value in said.items()))
    sys.exit(1 if figures.failed or figures.most_resident > options.resident else 0)


if __name__ == "__main__":
    main()
