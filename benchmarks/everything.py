"""One server to which everything happens at once, under open-loop load on models that nothing happens to.

    python benchmarks/everything.py [--seconds 60] [--rounds 2] [--rate 300] [--json]

Serves some twenty small models from a home of its own. Each round is quiet first and busy then, for `--seconds` each,
under the same load: in the busy half models are reloaded, unloaded and loaded, promoted, moved by an alias, rolled out,
scaled up and down, evicted by a memory budget, put to sleep and woken, fail to load, are flooded beyond their queue, and a
worker and a gateway are killed with SIGKILL. Says what came of every request and what the quiet models' 99th percentile
did; beside them a bare server in Python is asked (`echo`), whose ratio is what the machine does to anybody.

Exits 1 if a request failed that no killed gateway held, a flooded model answered other than 200, 429 or 503, something
did not happen, or a quiet model's p99 grew beyond twice its quiet one and by more than that of `echo`. `--short` judges by
counts only.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
os.environ["PYTHONPATH"] = str(ROOT / "src")
sys.path[:0] = [str(ROOT / "tests" / "system"), str(ROOT / "src")]

from driven import Podium, free_port, wait_until  # noqa: E402  the path comes first
from load import percentile  # noqa: E402
from mixed_load import Heard  # noqa: E402
from stage import MOVED, QUIET, Stage, busy, furnish, loading  # noqa: E402

_MARGIN_S = 1.0
_LOST_S = 1.0
_MOST_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of the run."""

    is_busy: bool
    begins: float
    ends: float


def p99s(heard: Sequence[Heard], model: str, phases: Sequence[Phase], *, is_busy: bool) -> list[float]:
    """Of each quiet or busy phase, in milliseconds."""
    return [
        1e3
        * percentile(
            (each.latency_s for each in heard if each.model == model and phase.begins < each.due < phase.ends), 0.99
        )
        for phase in phases
        if phase.is_busy == is_busy
    ]


def failure_text(each: Heard, kills: Sequence[float]) -> str:
    """What failed, and when it was under way by the last kill of a gateway before its end."""
    text = f"{each.model} {each.protocol} {each.status} {each.error}"
    killed = max((kill for kill in kills if kill <= each.done), default=None)
    if killed is None or each.sent is None:
        return text
    return f"{text}, {each.sent - killed:+.2f} to {each.done - killed:+.2f} s of a gateway's death"


def judge(stage: Stage, heard: Sequence[Heard], phases: Sequence[Phase]) -> dict[str, Any]:
    """What came of it."""
    bad = [each for each in heard if not each.is_good]

    def is_lost_with_gateway(each: Heard) -> bool:
        if each.status is not None or "Connection" not in (each.error or "") or each.sent is None:
            return False
        # It was under way when that was killed, or had died, however late a busy machine lets this side see it.
        return any(each.sent - _LOST_S <= killed <= each.done + _LOST_S for killed in stage.gateway_kills)

    lost = [each for each in bad if is_lost_with_gateway(each)]
    failed = [each for each in bad if each not in lost]
    beside = [each for each in stage.flood if not each.is_good and each.status not in {429, 503}]
    beside += [each for each in stage.scaling if not each.is_good]
    lost += filter(is_lost_with_gateway, beside)
    failed += itertools.filterfalse(is_lost_with_gateway, beside)
    p99 = {}
    for model in (*QUIET, "echo"):
        before, during = (p99s(heard, model, phases, is_busy=is_busy) for is_busy in (False, True))
        ratio = statistics.mean(during) / statistics.mean(before)
        longest = max(each.latency_s for each in heard if each.model == model)
        p99[model] = {
            "quiet_ms": [round(each, 2) for each in before],
            "busy_ms": [round(each, 2) for each in during],
            "ratio": round(ratio, 2),
            "verdict": "",
            "longest_ms": round(1e3 * longest, 1),
        }
    for model in QUIET:
        is_met, is_machine = p99[model]["ratio"] <= _MOST_RATIO, p99[model]["ratio"] <= p99["echo"]["ratio"]
        p99[model]["verdict"] = "met" if is_met else "not met by the machine either" if is_machine else "missed"
    longest = {name: round(1e3 * max(each.latency_s for each in heard if each.model == name), 1) for name in MOVED}
    return {
        "requests": len(heard) + len(stage.flood) + len(stage.scaling),
        "failed": len(failed),
        "lost_with_gateway": len(lost),
        "flooded": dict(Counter(str(each.status) for each in stage.flood)),
        "happened": dict(stage.happened),
        "wrong": stage.wrong,
        "failures": [failure_text(each, stage.gateway_kills) for each in failed][:20],
        "p99": p99,
        "longest_of_moved_ms": longest,
    }


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--short", action="store_true", help="few seconds: counts only")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.short:
        chosen.rounds, chosen.seconds, chosen.rate = 1, 7.0, 150.0
    with tempfile.TemporaryDirectory(prefix="podium-everything-") as folder:
        podium = Podium(Path(folder))
        try:
            found = run(podium, chosen)
        finally:
            podium.end()
    print(json.dumps(found) if chosen.json else said(found))
    is_slow = not chosen.short and any(each["verdict"] == "missed" for each in found["p99"].values())
    return int(bool(found["failed"] or found["wrong"] or is_slow))


def run(podium: Podium, chosen: argparse.Namespace) -> dict[str, Any]:
    """The whole play."""
    furnish(podium)
    echo_port = free_port()
    echo = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "system" / "mixed_load.py"), "--echo", str(echo_port), "--seconds", "900"]
    )
    try:
        server = podium.serve(None)
        stage = Stage(podium, server, chosen.short)
        wait_until(lambda: all(stage.version(name) == 1 for name in (*QUIET, *MOVED)), 90, "all serve")
        grpc = server.status()["grpc_address"]
        each = chosen.rate / (len(QUIET) + 2)
        targets = [(name, protocol, each / 3 if protocol == "grpc" else each) for name, protocol in QUIET.items()]
        targets += [(name, "mlflow", 15.0) for name in MOVED] + [("echo", "mlflow", each)]
        phases = []
        with loading(podium, server, targets, echo_port, grpc) as end:
            time.sleep(2)
            for _ in range(chosen.rounds):
                for is_busy in (False, True):
                    began = time.monotonic() + _MARGIN_S
                    if is_busy:
                        busy(stage, chosen.seconds)
                    else:
                        time.sleep(2 if chosen.short else chosen.seconds / 2)
                    phases.append(Phase(is_busy, began, time.monotonic()))
            heard = end()
        found = judge(stage, heard, phases)
        if server.stop() != 0:
            found["wrong"].append(f"the server ended with {server.process.returncode}: {server.said()[-500:]}")
        return found
    finally:
        echo.kill()
        echo.wait(10)


def said(found: dict[str, Any]) -> str:
    """A table for people."""
    rows = [f"{name:>20} {value}" for name, value in found.items() if name != "p99"]
    rows.append(f"{'p99 of':>20} {'quiet ms':>24} {'busy ms':>24} {'ratio':>8} {'longest ms':>12}  verdict")
    for name, each in found["p99"].items():
        spans = f"{each['quiet_ms']!s:>24} {each['busy_ms']!s:>24}"
        rows.append(f"{name:>20} {spans} {each['ratio']:>8} {each['longest_ms']:>12}  {each['verdict']}")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
