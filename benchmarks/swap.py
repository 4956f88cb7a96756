"""What a swap costs a client: the p99 of requests that were due during swaps, beside that of all others.

    python benchmarks/swap.py [--seconds 60] [--rate 300] [--json]

Serves one model from a home of its own, sends open-loop load, and promotes 1 → 2 → 3 and rolls back to 2 on the way.
Exits 1 if a request failed, an answer came from a version that was not live, or the p99 during swaps is more than twice
the steady one.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from driven import Podium, Versions, loading, wait_until  # noqa: E402  the path comes first
from judging import Switch, bad, move, not_live, summary  # noqa: E402
from load import Sample, percentile  # noqa: E402
from training import NAME, register  # noqa: E402

_LIMIT = 2.0
_WARM_UP_S = 2.0


def swap_under_load(podium: Podium, versions: Versions, seconds: float, rate: float) -> tuple[list[Sample], list[Switch]]:
    """Three switches, evenly spread over the load."""
    server = podium.serve(versions.uri, "-w", "1", "--gateways", "1")
    switches: list[Switch] = []
    commands = [(["promote", NAME, "2"], 2), (["promote", NAME, "3"], 3), (["rollback", NAME], 2)]
    with loading(server, versions, seconds, rate) as load:
        began = time.monotonic()
        for index, (command, version) in enumerate(commands):
            due = began + seconds * (index + 0.75) / (len(commands) + 0.5)
            wait_until(lambda due=due: time.monotonic() > due, seconds, "the next swap is due")
            switches.append(move(server, command, version))
        samples = load.samples()
    server.stop()
    return samples, switches


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="podium-swap-") as folder:
        podium = Podium(Path(folder))
        try:
            samples, switches = swap_under_load(podium, register(podium), chosen.seconds, chosen.rate)
        finally:
            podium.end()
    first_due = samples[0].due
    during = [s for s in samples if any(switch.began <= s.due <= switch.ended for switch in switches)]
    steady = [s for s in samples if s not in set(during) and s.due > first_due + _WARM_UP_S]
    found = {
        "requests": len(samples),
        "failed": len(bad(samples)),
        "not_live": len(not_live(samples, "1", switches)),
        "steady_p50_ms": 1e3 * percentile((s.latency_s for s in steady), 0.5),
        "steady_p99_ms": 1e3 * percentile((s.latency_s for s in steady), 0.99),
        "swap_p50_ms": 1e3 * percentile((s.latency_s for s in during), 0.5),
        "swap_p99_ms": 1e3 * percentile((s.latency_s for s in during), 0.99),
        "swap_max_ms": 1e3 * max(s.latency_s for s in during),
        "swap_requests": len(during),
        "swap_s": [round(switch.ended - switch.began, 3) for switch in switches],
    }
    found["ratio"] = found["swap_p99_ms"] / found["steady_p99_ms"]
    if chosen.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:16}{value:.3f}" if isinstance(value, float) else f"{name:16}{value}")
        print(summary(samples))
    return int(found["failed"] > 0 or found["not_live"] > 0 or found["ratio"] > _LIMIT)


if __name__ == "__main__":
    sys.exit(main())
