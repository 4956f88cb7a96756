"""What a plain request costs: processor microseconds of gateway and worker, this checkout beside an earlier commit.

    python benchmarks/cost.py [--against c55e2b8] [--model logistic-dataframe ...] [--rounds 6] [--seconds 1] [--save]
    python benchmarks/cost.py --against-unmonitored      # this checkout beside itself without its monitor

Both trees are served by the same interpreter on the same folder at the same time and take turns under wrk, round after
round, so that what else the machine does falls on both. What is compared is not how long something took but what the
scheduler says each process ran for each request (/proc/PID/task/*/schedstat); where a lone client is looked for rather than
slept for, that says nothing, and requests a second are compared instead. `--save` adds this commit's figures to
`results/cost.json`. Exits 1 if a target is missed.
"""

import argparse
import contextlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import loads
from loads import SINGLE
from measuring import MODELS, Running, environment
from processes import Tree, adopt_orphans, end_all_children, machine_clock, podium_pids
from servers import PODIUM, ROOT, launch

import environments

_CASES = ("logistic-dataframe", "logistic-ndarray", "forest-dataframe", "onnx-mlp")
_ALSO_ALONE = ("logistic-dataframe", "onnx-mlp")
_MOST_COST, _LEAST_RATE = 1.05, 0.95
_UNMONITORED = "unmonitored"
_RESULTS = ROOT / "benchmarks" / "results" / "cost.json"


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared: a tree of podium's files, and what else its server is told."""

    place: Path
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """One run of wrk: requests a second, and microseconds a request."""

    rps: float
    gateway_us: float
    worker_us: float

    @property
    def both_us(self) -> float:
        return self.gateway_us + self.worker_us


def main() -> int:
    """Measure, print, judge."""
    chosen = _arguments()
    loads.require_wrk()
    given = {name: Path(path) for name, _, path in (pair.partition("=") for pair in chosen.python)}
    python = environments.interpreter("podium", chosen.venvs.absolute(), given)
    models = environments.models(chosen.venvs.absolute(), python)
    adopt_orphans()
    found: dict[tuple[str, int], dict[str, list[Turn]]] = {}
    began = machine_clock()
    with tempfile.TemporaryDirectory(prefix="podium-cost-") as folder, contextlib.ExitStack() as stack:
        stack.callback(end_all_children)
        sides = {"now": Side(ROOT)}
        for text in chosen.against:
            name, _, place = text.partition("=")
            sides[name] = Side(Path(place) if place else stack.enter_context(_checkout(name, Path(folder))))
        if chosen.against_unmonitored:
            sides[_UNMONITORED] = Side(ROOT, ("--no-monitor",))
        for model in chosen.model or _CASES:
            found.update(_measure(model, sides, python, models, Path(folder), chosen))
    ended = machine_clock()
    print(_table(found))
    verdicts = list(_judged(found))
    print("\n" + "\n".join(f"{'met   ' if is_met else 'MISSED'}  {text}" for text, is_met in verdicts))
    print(f"\nprocessors busy on average: {(ended.busy_s - began.busy_s) / (ended.at - began.at):.2f}")
    if chosen.save:
        _save(found)
    return int(not all(is_met for _, is_met in verdicts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", action="append", default=[], metavar="COMMIT", help="or NAME=FOLDER, a checkout")
    parser.add_argument(
        "--against-unmonitored", action="store_true", help="beside this checkout where nothing counts the model's rows"
    )
    parser.add_argument("--model", action="append", default=[], choices=MODELS)
    parser.add_argument("--connections", type=int, action="append", default=[], choices=SINGLE)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--venvs", type=Path, default=ROOT / "benchmarks" / ".venvs")
    parser.add_argument("--python", action="append", default=[], metavar="ENV=PATH", help="use this interpreter instead")
    parser.add_argument("--save", action="store_true", help=f"add the figures to {_RESULTS.relative_to(ROOT)}")
    chosen = parser.parse_args()
    if not chosen.against and not chosen.against_unmonitored:
        chosen.against = ["c55e2b8"]
    return chosen


@contextlib.contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    """A commit's files in a folder of their own."""
    place = folder / f"tree-{commit}"
    subprocess.run(
        ["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", str(place), commit], check=True, timeout=60
    )
    try:
        yield place
    finally:
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(place)], check=True, timeout=60)


def _measure(
    model: str, sides: dict[str, Side], python: Path, models: Path, folder: Path, chosen: argparse.Namespace
) -> dict[tuple[str, int], dict[str, list[Turn]]]:
    """All turns of one model, by connections and side."""
    found: dict[tuple[str, int], dict[str, list[Turn]]] = {}
    chance = random.Random(model)
    with contextlib.ExitStack() as stack:
        served = {
            name: stack.enter_context(_served(model, name, side, python, models, folder)) for name, side in sides.items()
        }
        bodies = models / model / "single.mlflow.jsonl"
        for connections in chosen.connections or ((1, 64) if model in _ALSO_ALONE else (64,)):
            cell = found[model, connections] = {name: [] for name in sides}
            for number in range(chosen.rounds + 1):
                # By chance: who comes twice in a row, as the ends of a line do that goes to and fro, finds its caches warm.
                for name, (running, pids) in chance.sample(list(served.items()), len(served)):
                    before = {each: _ran_us(pid) for each, pid in pids.items()}
                    run = loads.run(running.tree, running.url, SINGLE[connections], bodies, chosen.seconds, 97 * number)
                    if run.bad_status or run.broken or not run.requests:
                        said = f"{run.requests} requests, {run.bad_status} bad answers, {run.broken} broken connections"
                        raise SystemExit(f"{model} at {connections}, {name}: {said}")
                    used = {each: (_ran_us(pid) - before[each]) / run.requests for each, pid in pids.items()}
                    if number:  # the first round warms up
                        cell[name].append(Turn(run.rps, used["gateway"], used["worker"]))
            print(f"{model} at {connections} is measured", file=sys.stderr, flush=True)
    return found


@contextlib.contextmanager
def _served(
    model: str, name: str, side: Side, python: Path, models: Path, folder: Path
) -> Iterator[tuple[Running, dict[str, int]]]:
    """A server of this tree that has answered rightly, and its processes."""
    work = folder / f"{model}-{name}"
    work.mkdir()
    start = launch(PODIUM, python, models / model / "model", work)
    argv, env = [*start.argv, "--gateways", "1", *side.flags], {**start.env, "PYTHONPATH": str(side.place / "src")}
    start = replace(start, argv=argv, env=env)
    tree = Tree(start.argv, environment(start.env, python), work, work / "log")
    try:
        running = Running(tree, start.port, PODIUM)
        try:
            running.wait_for_first(models / model / "single.mlflow.jsonl")
            running.check(models / model, PODIUM)
        except RuntimeError as error:
            raise SystemExit(f"{name} does not serve {model}: {error}\n{tree.log.read_text()[-2000:]}") from error
        yield running, podium_pids(tree)
    finally:
        tree.end()


def _ran_us(pid: int) -> float:
    """What all threads of a process have run so far, in user code and in the kernel."""
    total = 0
    for entry in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((entry / "schedstat").read_text().split()[0])
    return total / 1000


def _median(turns: list[Turn], figure: str) -> float:
    return statistics.median(getattr(turn, figure) for turn in turns)


def _ratios(cell: dict[str, list[Turn]], other: str, figure: str) -> list[float]:
    """Of now to another side, round by round, lowest first."""
    pairs = zip(cell["now"], cell[other], strict=True)
    return sorted(getattr(now, figure) / getattr(then, figure) for now, then in pairs)


def _table(found: dict[tuple[str, int], dict[str, list[Turn]]]) -> str:
    heads = f"{'gateway us':>11}{'worker us':>10}{'both us':>9}{'rate':>7}{'cost':>7}  of the rounds"
    lines = [f"{'model':20}{'conn':>5}  {'side':12}{'rate/s':>8}{heads}"]
    for (model, connections), cell in found.items():
        for name, turns in cell.items():
            line = f"{model:20}{connections:>5}  {name:12}{_median(turns, 'rps'):8,.0f}"
            line += "".join(f"{_median(turns, each):{wide}.2f}" for each, wide in (("gateway_us", 11), ("worker_us", 10)))
            line += f"{_median(turns, 'both_us'):9.2f}"
            if name != "now":
                rate, cost = (_ratios(cell, name, each) for each in ("rps", "both_us"))
                line += f"{statistics.median(rate):7.2f}{statistics.median(cost):7.2f}  {cost[0]:.2f} to {cost[-1]:.2f}"
            lines.append(line)
    return "\n".join(lines)


def _judged(found: dict[tuple[str, int], dict[str, list[Turn]]]) -> Iterator[tuple[str, bool]]:
    for (model, connections), cell in found.items():
        for name in cell.keys() - {"now"}:
            if connections == 1:
                rate = statistics.median(_ratios(cell, name, "rps"))
                yield f"{model}, 1 connection: {rate:.2f} of {name}'s rate, wanted {_LEAST_RATE}", rate >= _LEAST_RATE
            else:
                cost = statistics.median(_ratios(cell, name, "both_us"))
                yield (
                    f"{model}, {connections} connections: {cost:.2f} of {name}'s cost, wanted {_MOST_COST}",
                    cost <= _MOST_COST,
                )


def _save(found: dict[tuple[str, int], dict[str, list[Turn]]]) -> None:
    """One line for this commit; one that was measured again replaces its line."""
    said = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    )
    commit = said.stdout.strip()
    kept: list[dict[str, Any]] = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else []
    figures = ("rps", "gateway_us", "worker_us")
    measured = {
        f"{model} c{connections} {name}": {each: round(_median(turns, each), 2) for each in figures}
        for (model, connections), cell in found.items()
        for name, turns in cell.items()
    }
    kept = [line for line in kept if line["commit"] != commit]
    kept.append({"commit": commit, "when": time.strftime("%Y-%m-%d", time.gmtime()), "measured": measured})
    _RESULTS.write_text("[\n" + ",\n".join(json.dumps(line) for line in kept) + "\n]\n")


if __name__ == "__main__":
    sys.exit(main())
