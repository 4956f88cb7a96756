"""wrk on loopback, its answer as numbers, with the processor time of everybody who was at work meanwhile."""

import json
import resource
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from processes import Tree, machine_clock
from servers import HERE

_GRACE_S = 45.0


@dataclass(frozen=True, slots=True)
class Load:
    """So many connections, each with one request under way; the requests of `file` in turn."""

    name: str
    connections: int
    file: str


SINGLE = {c: Load(f"c{c}", c, "single") for c in (1, 16, 64)}
BIG = Load("1000x30 c4", 4, "big")


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of one server. `other_load`: processors that neither server nor wrk kept busy."""

    rps: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    requests: int
    bad_status: int
    broken: int
    server_cpu_us: float
    wrk_cpu: float
    other_load: float

    def to_json(self) -> dict[str, Any]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def require_wrk() -> None:
    """Say how to get the load generator."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; on Debian or Ubuntu: apt install wrk")


def run(tree: Tree, url: str, load: Load, bodies: Path, seconds: int, offset: int) -> Run:
    """Drive one server for whole seconds.

    Raises:
        RuntimeError: wrk did not end, or said nothing.
    """
    argv = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "rotate.lua"), url]
    argv += ["--", str(bodies), str(offset)]
    clock, server_s, wrk_s = machine_clock(), tree.cpu_s(), _children_s()
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"wrk did not end within {seconds + _GRACE_S:g} s") from None
    after, server_s, wrk_s = machine_clock(), tree.cpu_s() - server_s, _children_s() - wrk_s
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise RuntimeError(f"wrk failed: {(done.stderr or done.stdout)[-300:]}")
    said = json.loads(lines[0].removeprefix("RESULT ").replace("nan", "0"))
    took = after.at - clock.at
    return Run(
        rps=said["requests"] / said["seconds"],
        p50_ms=said["p50_ms"],
        p90_ms=said["p90_ms"],
        p99_ms=said["p99_ms"],
        max_ms=said["max_ms"],
        requests=said["requests"],
        bad_status=said["bad_status"],
        broken=said["broken"],
        server_cpu_us=1e6 * server_s / max(said["requests"], 1),
        wrk_cpu=wrk_s / took,
        other_load=max(after.busy_s - clock.busy_s - server_s - wrk_s, 0.0) / took,
    )


def _children_s() -> float:
    """Of children that were waited for: wrk, while the servers live."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
