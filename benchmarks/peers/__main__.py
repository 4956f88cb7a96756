"""podium against MLflow's server, FastAPI by hand, MLServer and BentoML: one interleaved run on this machine.

    python benchmarks/peers [--quick] [--targets] [--models ...] [--servers ...] [--out FILE]

Installs each peer into its own virtual environment under --venvs (once), trains and saves the models (once), checks every
server's answers against the model's own, then lets the servers take turns under wrk. Needs wrk and nginx on the PATH.
"""

import argparse
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import report
import targets
from loads import require_wrk
from measuring import ALONE, MODELS, Bench, Settings
from processes import adopt_orphans, end_all_children
from servers import ALL, ROOT

import environments

_BEGIN, _END = "<!-- measured -->", "<!-- end of measured -->"
_QUICK = {
    "models": ("logistic-ndarray", "forest-dataframe", "onnx-mlp"),
    "servers": ("podium", "mlflow", "fastapi", "nginx"),
}


def main() -> int:
    """Measure or read, then show."""
    chosen = _arguments()
    if chosen.show:
        found = json.loads(chosen.show.read_text())
    else:
        found = _measure(chosen)
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps(found, indent=1) + "\n")
        print(f"written to {chosen.out}", file=sys.stderr)
    print(report.markdown(found))
    if chosen.plot:
        chosen.plot.write_text(report.svg(found))
    for page in chosen.into:
        _insert(page, report.summary(found, os.path.relpath(chosen.plot, page.parent) if chosen.plot else ""))
    verdicts = targets.judge(found)
    if chosen.targets:
        print(targets.table(verdicts))
    return int(chosen.targets and not all(verdict.is_met for verdict in verdicts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few models and servers, one round: two or three minutes")
    parser.add_argument("--models", default="", help=f"comma-separated, of {', '.join(MODELS)}")
    parser.add_argument("--servers", default="", help=f"comma-separated, of {', '.join(ALL)}")
    parser.add_argument("--connections", default="", help="comma-separated, of 1, 16, 64")
    parser.add_argument("--seconds", type=int, default=0, help="of one run of wrk [2; --quick 1]")
    parser.add_argument("--rounds", type=int, default=0, help="[3; --quick 1]")
    parser.add_argument("--starts", type=int, default=-1, help="cold starts of each server alone [3; --quick 1; 0: none]")
    parser.add_argument("--minutes", type=float, default=12.0, help="no run begins later than this")
    parser.add_argument("--again", type=int, default=-1, help="repeats of noisy runs in all [20; --quick 0]")
    parser.add_argument("--venvs", type=Path, default=ROOT / "benchmarks" / ".venvs", help="where the peers live")
    parser.add_argument("--python", action="append", default=[], metavar="ENV=PATH", help="use this interpreter instead")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "latest.json")
    parser.add_argument("--plot", type=Path, default=None, help="write an SVG here")
    parser.add_argument(
        "--into", type=Path, action="append", default=[], help=f"put the summary between {_BEGIN} and {_END}"
    )
    parser.add_argument("--show", type=Path, default=None, help="measure nothing: show this file of results")
    parser.add_argument("--targets", action="store_true", help="print each target; exit 1 when one is missed")
    return parser.parse_args()


def _measure(chosen: argparse.Namespace) -> dict[str, Any]:
    require_wrk()
    quick = chosen.quick
    models = _picked(chosen.models, _QUICK["models"] if quick else MODELS, MODELS)
    servers = [ALL[name] for name in _picked(chosen.servers, _QUICK["servers"] if quick else tuple(ALL), tuple(ALL))]
    connections = _picked(chosen.connections, ("1", "64") if quick else ("1", "16", "64"), ("1", "16", "64"))
    given = {name: Path(path) for name, _, path in (pair.partition("=") for pair in chosen.python)}
    chosen.venvs.mkdir(parents=True, exist_ok=True)
    wanted = sorted({server.environment for server in servers if server.environment} | {"mlflow"})
    pythons = {name: environments.interpreter(name, chosen.venvs.absolute(), given) for name in wanted}
    folder = environments.models(chosen.venvs.absolute(), pythons["mlflow"])
    settings = Settings(
        seconds=chosen.seconds or (1 if quick else 2),
        rounds=chosen.rounds or (1 if quick else 3),
        connections=tuple(int(c) for c in connections),
        starts=chosen.starts if chosen.starts >= 0 else (1 if quick else 3),
        again=chosen.again if chosen.again >= 0 else (0 if quick else 20),
        until_s=time.monotonic() + 60 * chosen.minutes,
    )
    began = time.monotonic()
    adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as work:
        bench = Bench(settings, folder, pythons, Path(work))
        try:
            bench.measure_bare(pythons["mlflow"])
            for model in [name for name in models if name in ALONE]:
                bench.measure_alone(model, [one for one in servers if not one.only])
            for model in models:
                bench.measure_model(model, [one for one in servers if one.measures(model)])
        except KeyboardInterrupt:
            bench.found.left_out.append("everything after an interrupt")
        finally:
            end_all_children()
    return {
        **_facts(settings, began),
        "versions": {n: environments.versions(p) for n, p in pythons.items()},
        **bench.found.to_json(),
    }


def _insert(page: Path, text: str) -> None:
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"{page}: no {_BEGIN} and {_END} in it")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _picked(text: str, default: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip()) or default
    if unknown := set(names) - set(known):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return names


def _facts(settings: Settings, began: float) -> dict[str, Any]:
    """Machine, commit, date: without them a number says nothing."""
    processor = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "has_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": {
            "processor": processor[0] if processor else platform.processor(),
            "processors": len(processor),
            "memory_gib": round(memory_kib / 2**20),
            "kernel": platform.release().partition("-")[0],
        },
        "tools": {"wrk": _first_line("wrk", "-v"), "nginx": _first_line("nginx", "-v")},
        "settings": {
            "seconds": settings.seconds,
            "rounds": settings.rounds,
            "connections": settings.connections,
            "starts": settings.starts,
        },
        "took_s": round(time.monotonic() - began),
    }


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=20, check=False
    ).stdout.strip()


def _first_line(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return "not installed"
    return (done.stdout + done.stderr).strip().splitlines()[0].partition(" Copyright")[0].strip()


def _stop(number: int, frame: object) -> None:  # noqa: ARG001  a handler's shape
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
