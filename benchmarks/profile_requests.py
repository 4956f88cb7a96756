"""Where a request's time goes in podium: processor microseconds by part, and by library, while wrk is at work.

    python benchmarks/profile_requests.py [--model logistic-ndarray] [--connections 64] [--seconds 4] [--json FILE]

Three clocks are laid over one another. /proc says exactly how much processor time the gateway and the worker used for each
request, and how much of it in the kernel. py-spy looks at the Python stack of each process some hundred times a second: a
look that finds the code of a part counts for it, scaled by the share of time for which the process had a processor. What
/proc counts and no part explains is the event loop: uvloop, llhttp and the kernel's sockets below them. Where there is
`perf`, it says how the same time falls to kernel, interpreter and libraries.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import loads
from loads import Load
from measuring import MODELS, Running, environment
from processes import Tree, adopt_orphans, end_all_children, podium_pids
from servers import PODIUM, ROOT, launch

import environments

_RATE = 400
_FEW_LOOKS = 100
_TICK_US = 10_000.0
# A file of podium's, or the end of its path: what it is a part of. The innermost frame that is listed decides.
_PARTS = (
    ("flavors/", "predict"),
    ("models/predictor", "predict"),
    ("worker/proofs/shortcut", "predict"),
    ("models/assemble", "assemble input"),
    ("models/enforce", "assemble input"),
    ("web/", "HTTP: read, answer"),
    ("serving/app", "HTTP: read, answer"),
    ("protocols/mlflow/pieces", "encode"),
    ("protocols/mlflow/encoding", "encode"),
    ("worker/reply", "encode"),
    ("protocols/", "decode"),
    ("domain/inputs/plan", "decode"),
    ("serving/recording", "metrics and log"),
    ("telemetry/", "metrics and log"),
    ("serving/walks/replica", "hop"),
    ("transport/board", "batch"),
    ("transport/", "hop"),
    ("worker/link", "hop"),
    ("worker/planned", "batch"),
    ("worker/runner", "batch"),
    ("worker/inbox", "batch"),
    ("worker/loop", "batch"),
    ("domain/batching", "batch"),
    ("serving/", "admit, route"),
    ("domain/", "admit, route"),
)
# Here a process waits; what little it uses there is the kernel's, and counted with the loop.
_WAITS = ("Loop._poll", "Overseer._listen", "_worker (", "Runner.run", "Condition.wait", "wait (")
_LOOP = "event loop, sockets"


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: microseconds in user code and in the kernel, and of its main thread's time with and waiting for
    a processor, nanoseconds."""

    user_us: float
    kernel_us: float
    ran_ns: int
    waited_ns: int


def main() -> int:
    """Measure one model, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="logistic-ndarray", choices=MODELS)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--venvs", type=Path, default=ROOT / "benchmarks" / ".venvs")
    parser.add_argument("--python", action="append", default=[], metavar="ENV=PATH", help="use this interpreter instead")
    parser.add_argument("--json", type=Path, default=None)
    chosen = parser.parse_args()
    loads.require_wrk()
    given = {name: Path(path) for name, _, path in (pair.partition("=") for pair in chosen.python)}
    python = environments.interpreter("podium", chosen.venvs.absolute(), given)
    spy = environments.interpreter("py-spy", chosen.venvs.absolute(), given).parent / "py-spy"
    folder = environments.models(chosen.venvs.absolute(), python) / chosen.model
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="podium-profile-") as work:
        try:
            found = _measure(chosen, python, spy, folder, Path(work))
        finally:
            end_all_children()
    print(_tables(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _measure(chosen: argparse.Namespace, python: Path, spy: Path, folder: Path, work: Path) -> dict[str, Any]:
    start = launch(PODIUM, python, folder / "model", work)
    tree = Tree(start.argv, environment(start.env, python), work, work / "log")
    bodies, load = folder / "single.mlflow.jsonl", Load(f"c{chosen.connections}", chosen.connections, "single")
    try:
        running = Running(tree, start.port, PODIUM)
        running.wait_for_first(bodies)
        running.check(folder, PODIUM)
        loads.run(tree, running.url, load, bodies, 1, 0)
        pids = podium_pids(tree)
        quiet = _loaded(tree, running, load, bodies, chosen.seconds, pids, [])
        folded = {name: work / name for name in pids}
        spied = {}
        for name, pid in pids.items():
            # One after the other: each looks for a processor of its own.
            argv = _spy(spy, pid, folded[name], chosen.seconds - 1)
            spied[name] = _loaded(tree, running, load, bodies, chosen.seconds, pids, [argv])[name]
        libraries: dict[str, dict[str, float]] = {}
        if shutil.which("perf"):
            argv = _perf(pids, work / "perf.data", chosen.seconds - 1)
            _loaded(tree, running, load, bodies, chosen.seconds, pids, [argv])
            libraries = _libraries(work / "perf.data", pids)
    finally:
        tree.end()
    processes = {name: _process(quiet[name], quiet["requests"], spied[name], chosen.seconds, folded[name]) for name in pids}
    for name, shares in libraries.items():
        total = sum(shares.values()) or 1.0
        each = processes[name]["user_us"] + processes[name]["kernel_us"]
        processes[name]["libraries_us"] = {library: each * share / total for library, share in shares.items()}
    return {
        "model": chosen.model,
        "connections": chosen.connections,
        "rps": quiet["rps"],
        "other_load": quiet["other_load"],
        "processes": processes,
    }


def _loaded(
    tree: Tree, running: Running, load: Load, bodies: Path, seconds: int, pids: dict[str, int], beside: list[list[str]]
) -> dict[str, Any]:
    """One run of wrk with these commands beside it; what each process used during it."""
    before = {name: _usage(pid) for name, pid in pids.items()}
    threads = [threading.Thread(target=_run, args=(argv, seconds + 20)) for argv in beside]
    for thread in threads:
        thread.start()
    run = loads.run(tree, running.url, load, bodies, seconds, 0)
    after = {name: _usage(pid) for name, pid in pids.items()}
    for thread in threads:
        thread.join()
    used = {name: _difference(before[name], after[name]) for name in pids}
    return {**used, "requests": run.requests, "rps": run.rps, "other_load": run.other_load}


def _run(argv: list[str], limit_s: float) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode:
        print(f"{argv[0]}: {done.stderr.strip()[-300:]}", file=sys.stderr)


def _usage(pid: int) -> Usage:
    text = Path(f"/proc/{pid}/stat").read_text()
    fields = text[text.rindex(")") + 2 :].split()
    ran, waited = Path(f"/proc/{pid}/schedstat").read_text().split()[:2]
    return Usage(int(fields[11]) * _TICK_US, int(fields[12]) * _TICK_US, int(ran), int(waited))


def _difference(before: Usage, after: Usage) -> Usage:
    return Usage(
        after.user_us - before.user_us,
        after.kernel_us - before.kernel_us,
        after.ran_ns - before.ran_ns,
        after.waited_ns - before.waited_ns,
    )


def _spy(spy: Path, pid: int, out: Path, seconds: int) -> list[str]:
    words = ["record", "--pid", str(pid), "--rate", str(_RATE), "--duration", str(seconds)]
    return [str(spy), *words, "--function", "--full-filenames", "--format", "raw", "--output", str(out)]


def _perf(pids: dict[str, int], out: Path, seconds: int) -> list[str]:
    chosen = ",".join(str(pid) for pid in pids.values())
    return [
        "perf",
        "record",
        "-q",
        "-e",
        "cpu-clock",
        "-F",
        "997",
        "-p",
        chosen,
        "-o",
        str(out),
        "--",
        "sleep",
        str(seconds),
    ]


def _process(quiet: Usage, requests: int, spied: Usage, seconds: int, folded: Path) -> dict[str, Any]:
    """Microseconds a request by part; what no part explains is the loop's."""
    user, kernel = quiet.user_us / requests, quiet.kernel_us / requests
    looks = Counter[str]()
    for line in folded.read_text().splitlines() if folded.exists() else []:
        stack, _, count = line.rpartition(" ")
        looks[_part(stack)] += int(count)
    looks.pop("", None)
    had_processor = spied.ran_ns / max(spied.ran_ns + spied.waited_ns, 1)
    # Each look stands for so much wall time, of which the process had a processor for a share: of all that it used while
    # it was looked at, that is a part, and the same part of what it uses when nobody looks.
    each_look_s = seconds / (_RATE * (seconds - 1)) * had_processor
    per_look_us = (user + kernel) * each_look_s / max((spied.user_us + spied.kernel_us) / 1e6, 1e-9)
    parts = {part: count * per_look_us for part, count in looks.items()}
    explained = sum(parts.values())
    if explained > user + kernel:
        parts = {part: us * (user + kernel) / explained for part, us in parts.items()}
    parts[_LOOP] = max(0.0, user + kernel - explained)
    return {"user_us": user, "kernel_us": kernel, "looks": sum(looks.values()), "parts_us": parts}


def _part(stack: str) -> str:
    """What the innermost frame of podium's says; "" for a look that found the process waiting."""
    frames = stack.split(";")
    if any(frames[-1].startswith(wait) or wait in frames[-1] for wait in _WAITS):
        return ""
    for frame in reversed(frames):
        found = re.search(r"podium/([\w/]+)\.py", frame)
        if found:
            for beginning, part in _PARTS:
                if found[1].startswith(beginning):
                    return part
    return "other Python"


def _libraries(data: Path, pids: dict[str, int]) -> dict[str, dict[str, float]]:
    argv = ["perf", "report", "-i", str(data), "--sort", "pid,dso", "--stdio"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    names = {pid: name for name, pid in pids.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in pids}
    for share, pid, library in re.findall(r"^\s*([\d.]+)%\s+(\d+):\S+\s+(\S+)", done.stdout, re.MULTILINE):
        if int(pid) in names:
            kind = "kernel" if "kernel" in library else library.partition(".")[0]
            own = found[names[int(pid)]]
            own[kind] = own.get(kind, 0.0) + float(share)
    return found


def _tables(found: dict[str, Any]) -> str:
    processes = found["processes"]
    names = list(processes)
    parts = sorted({part for one in processes.values() for part in one["parts_us"]})
    totals = {part: sum(one["parts_us"].get(part, 0.0) for one in processes.values()) for part in parts}
    what = f"{found['model']}, {found['connections']} connections, {found['rps']:,.0f} requests/s"
    lines = [
        f"{what}, other load {found['other_load']:.2f}; processor µs a request",
        "",
        f"| part | {' | '.join(names)} | both |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for part in sorted(parts, key=lambda one: -totals[one]):
        cells = " | ".join(f"{processes[name]['parts_us'].get(part, 0.0):.2f}" for name in names)
        lines.append(f"| {part} | {cells} | {totals[part]:.2f} |")
    for label, figure in (("all", None), ("of this, in the kernel", "kernel_us")):
        values = [one["kernel_us"] + (0 if figure else one["user_us"]) for one in processes.values()]
        lines.append(f"| **{label}** | {' | '.join(f'{value:.2f}' for value in values)} | {sum(values):.2f} |")
    if few := [name for name, one in processes.items() if one["looks"] < _FEW_LOOKS]:
        lines += [
            "",
            f"! fewer than {_FEW_LOOKS} looks at: {', '.join(few)}; its parts mean little. A quieter machine helps.",
        ]
    if all("libraries_us" in one for one in processes.values()):
        lines += ["", f"| library | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
        libraries = sorted({library for one in processes.values() for library in one["libraries_us"]})
        rows = [(library, [one["libraries_us"].get(library, 0.0) for one in processes.values()]) for library in libraries]
        lines += [
            f"| {library} | {' | '.join(f'{value:.2f}' for value in values)} |"
            for library, values in sorted(rows, key=lambda row: -sum(row[1]))
            if sum(values) >= 0.05
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
