"""What a shadow costs a client: the latency of requests without one and with every request copied, in turns.

    python benchmarks/shadow.py [--rounds 3] [--seconds 6] [--rate 300] [--json]

Serves one model twice, from a home of its own: alone, and with another version as its shadow at 100 percent. Each round
sends open-loop load to the one and then to the other, so that what else the machine does falls on both. Exits 1 if a
request failed, or the median of the rounds' p99 with the shadow is beyond the spread of those without.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from driven import Podium, Server, Versions, loading, wait_until  # noqa: E402  the path comes first
from judging import bad  # noqa: E402
from load import Sample, percentile  # noqa: E402
from training import register  # noqa: E402

_WARM_UP_S = 1.0


def measure(server: Server, versions: Versions, seconds: float, rate: float) -> list[Sample]:
    """One turn."""
    with loading(server, versions, seconds, rate) as load:
        samples = load.samples()
    return [sample for sample in samples if sample.due > samples[0].due + _WARM_UP_S or sample in bad([sample])]


def copied(server: Server) -> int:
    """How many copies were answered."""
    page = server.get("/metrics")[2].decode()
    found = [line for line in page.splitlines() if line.startswith("podium_shadow_requests_total") and "answered" in line]
    return sum(int(line.rpartition(" ")[2]) for line in found)


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rounds: dict[str, list[list[Sample]]] = {"alone": [], "shadowed": []}
    with tempfile.TemporaryDirectory(prefix="podium-shadow-") as folder:
        podium = Podium(Path(folder))
        try:
            versions = register(podium)
            alone = podium.serve(versions.uri, "-w", "1", "--gateways", "1")
            shadowed = podium.serve(versions.uri, "-w", "1", "--gateways", "1", "--shadow", "2")
            wait_until(lambda: b'"weight":0' in shadowed.get("/status")[2], 60, "the shadow is loaded")
            for _ in range(chosen.rounds):
                rounds["alone"].append(measure(alone, versions, chosen.seconds, chosen.rate))
                rounds["shadowed"].append(measure(shadowed, versions, chosen.seconds, chosen.rate))
            copies = copied(shadowed)
        finally:
            podium.end()
    found: dict[str, object] = {"copies_answered": copies}
    failed = 0
    for name, turns in rounds.items():
        failed += sum(len(bad(samples)) for samples in turns)
        found[f"{name}_requests"] = sum(map(len, turns))
        for share in (0.5, 0.99):
            found[f"{name}_p{share * 100:.0f}_ms"] = [
                round(1e3 * percentile((sample.latency_s for sample in samples), share), 3) for samples in turns
            ]
    found["failed"] = failed
    plain, with_shadow = found["alone_p99_ms"], found["shadowed_p99_ms"]
    assert isinstance(plain, list)
    assert isinstance(with_shadow, list)
    is_within = statistics.median(with_shadow) <= max(plain)
    found["is_within_noise"] = is_within
    print(json.dumps(found) if chosen.json else "\n".join(f"{name:20}{value}" for name, value in found.items()))
    return int(failed > 0 or not is_within)


if __name__ == "__main__":
    sys.exit(main())
