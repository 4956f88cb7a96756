"""The interleaved run: all servers of one model stand ready, and take turns under each load, round after round."""

import http.client
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import loads
from loads import BIG, SINGLE, Load, Run
from processes import Tree
from servers import HERE, Server, launch, numbers, predictions

MODELS = (
    "logistic-ndarray",
    "logistic-dataframe",
    "forest-ndarray",
    "forest-dataframe",
    "pipeline",
    "onnx-mlp",
    "torch-mlp",
)
ALONE = ("logistic-ndarray", "forest-dataframe")
_NOISY = 0.15
_ONCE = "bentoml"
_READY_S, _POLL_S, _SETTLE_S = 90.0, 0.01, 0.3
_CLOSE = 1e-5


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how often.

    Args:
        seconds: Of one run of wrk; whole.
        rounds: For 1 and 64 connections and for big bodies; 16 connections get one, and so do servers of no target.
        connections: Of single-row requests.
        starts: How often podium and MLflow are started alone for their memory and time to the first answer; others once.
        again: How often a run beside other load may be repeated in all.
        until_s: Of the monotonic clock; rounds that would begin later are left out.
    """

    seconds: int
    rounds: int
    connections: tuple[int, ...]
    starts: int
    again: int
    until_s: float


@dataclass(slots=True)
class Found:
    """What was measured so far, ready for JSON."""

    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = field(default_factory=dict)
    starts: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    bare: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "cells": [{"model": m, "server": s, "load": w, "runs": runs} for (m, s, w), runs in self.cells.items()],
            "starts": [{"model": m, "server": s, "runs": runs} for (m, s), runs in self.starts.items()],
            "bare": self.bare,
            "failed": self.failed,
            "left_out": self.left_out,
        }


class Bench:
    """One run over models and servers."""

    def __init__(self, settings: Settings, models: Path, pythons: dict[str, Path], work: Path) -> None:
        self._settings, self._models, self._pythons, self._work = settings, models, pythons, work
        self._again = settings.again
        self.found = Found()

    def measure_alone(self, model: str, servers: Sequence[Server]) -> None:
        """Time to the first right answer, and memory after some load, while no other server shares a page."""
        for turn in range(self._settings.starts):
            for server in [one for one in servers if turn == 0 or one.name in ("podium", "mlflow")]:
                if self._is_late(f"start {turn + 1} of {server.name} on {model}"):
                    return
                with self._one(server, model) as running:
                    if running is None:
                        continue
                    bodies = self._bodies(model, server, "single")
                    loads.run(running.tree, running.url, SINGLE[16], bodies, 1, 0)
                    memory = running.tree.memory()
                    entry = {
                        "ready_s": round(running.ready_s, 3),
                        "pss_mib": round(memory.pss_mib, 1),
                        "rss_mib": round(memory.rss_mib, 1),
                        "processes": memory.processes,
                    }
                    self.found.starts.setdefault((model, server.name), []).append(entry)
                    _say(f"{model:20} {server.name:18} ready {entry['ready_s']:6.2f} s   PSS {entry['pss_mib']:6.0f} MiB")

    def measure_model(self, model: str, servers: Sequence[Server]) -> None:
        """Start all, check their answers, then let them take turns."""
        with ExitStack() as stack:
            started = [(server, stack.enter_context(self._one(server, model))) for server in servers]
            ready = [(server, running) for server, running in started if running is not None]
            for server, running in ready:
                loads.run(running.tree, running.url, SINGLE[16], self._bodies(model, server, "single"), 1, 0)
            for load, rounds in self._plan(model):
                for turn in range(rounds):
                    for server, running in ready[turn % len(ready) :] + ready[: turn % len(ready)]:
                        if (server.only and load not in (SINGLE[1], SINGLE[64])) or (server.name == _ONCE and turn):
                            continue
                        if self._is_late(f"{model} {load.name} round {turn + 1} of {server.name}"):
                            continue
                        self._turn(model, server, running, load, turn)

    def measure_bare(self, python: Path) -> None:
        """The models in one process without any server: what no server can go below."""
        argv = [str(python), str(HERE / "bare.py"), str(self._models), *MODELS]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=180, env=environment({}), check=False)
        if done.returncode:
            self.found.failed.append({"server": "bare", "model": "", "why": done.stderr[-300:]})
        else:
            self.found.bare = json.loads(done.stdout.splitlines()[-1])

    def _plan(self, model: str) -> Iterator[tuple[Load, int]]:
        # What the targets ask for comes first: when time is short, the rest is left out.
        rounds = self._settings.rounds
        for connections in sorted(self._settings.connections, key=lambda number: (number == 16, -number)):
            if connections == 16 and (self._models / model / "big.mlflow.jsonl").exists():
                yield BIG, rounds
            yield SINGLE[connections], 1 if connections == 16 else rounds
        if 16 not in self._settings.connections and (self._models / model / "big.mlflow.jsonl").exists():
            yield BIG, rounds

    def _turn(self, model: str, server: Server, running: "Running", load: Load, turn: int) -> None:
        bodies = self._bodies(model, server, load.file)
        best: Run | None = None
        while best is None or (best.other_load > _NOISY and self._again > 0):
            if best is not None:
                self._again -= 1
            try:
                one = loads.run(running.tree, running.url, load, bodies, self._settings.seconds, 97 * turn)
            except RuntimeError as error:
                self.found.failed.append({"server": server.name, "model": model, "why": f"{load.name}: {error}"})
                return
            best = one if best is None or one.other_load < best.other_load else best
        self.found.cells.setdefault((model, server.name, load.name), []).append(best.to_json())
        _say(
            f"{model:20} {load.name:10} {server.name:18} {best.rps:9,.0f}/s  p50 {best.p50_ms:8.3f}"
            f"  p99 {best.p99_ms:8.3f} ms  {best.server_cpu_us:8.1f} us  other {best.other_load:.2f}"
            + (f"  {best.bad_status} BAD, {best.broken} BROKEN" if best.bad_status or best.broken else "")
        )

    @contextmanager
    def _one(self, server: Server, model: str) -> Iterator["Running | None"]:
        """A started server that has answered rightly, or None and a note why not."""
        work = Path(tempfile.mkdtemp(prefix=f"{server.name}-", dir=self._work))
        python = self._pythons.get(server.environment, Path())
        chosen = launch(server, python, self._models / model / "model", work)
        tree = Tree(chosen.argv, environment(chosen.env, python), work, work / "log")
        try:
            running: Running | None = Running(tree, chosen.port, server)
            try:
                running.wait_for_first(self._bodies(model, server, "single"))
                if server.environment:
                    running.check(self._models / model, server)
            except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
                tail = " | ".join(tree.log.read_text(errors="replace").splitlines()[-3:])[-400:]
                self.found.failed.append({"server": server.name, "model": model, "why": f"{error} | {tail}"})
                _say(f"{model:20} {server.name:18} LEFT OUT: {error} | {tail}")
                running = None
            yield running
        finally:
            tree.end()
            shutil.rmtree(work, ignore_errors=True)

    def _bodies(self, model: str, server: Server, file: str) -> Path:
        return self._models / model / f"{file}.{server.protocol}.jsonl"

    def _is_late(self, what: str) -> bool:
        if time.monotonic() < self._settings.until_s:
            return False
        self.found.left_out.append(what)
        return True


class Running:
    """A server that was started, and how to ask it one thing."""

    def __init__(self, tree: Tree, port: int, server: Server) -> None:
        self.tree, self.ready_s = tree, math.nan
        self._port, self._path = port, server.path
        self.url = f"http://127.0.0.1:{port}{server.path}"

    def wait_for_first(self, bodies: Path) -> None:
        """Ask until the first 200, and note how long that took since the spawn."""
        with bodies.open("rb") as lines:
            body = lines.readline().strip()
        deadline = self.tree.started + _READY_S
        status, answer = 0, b""
        while time.monotonic() < deadline:
            if self.tree.has_ended:
                raise RuntimeError("the server ended")
            try:
                status, answer = self.ask(body)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                self.ready_s = time.monotonic() - self.tree.started
                return
            if status in (400, 404, 422, 500) and time.monotonic() - self.tree.started > _READY_S / 3:
                break
            time.sleep(_POLL_S)
        raise RuntimeError(f"no 200 within {time.monotonic() - self.tree.started:.0f} s; last: {status} {answer[:200]!r}")

    def check(self, folder: Path, server: Server) -> None:
        """Answers equal the model's own, for single rows and for a whole table."""
        for expected_file in sorted(folder.glob("*.expected.json")):
            load = expected_file.name.partition(".")[0]
            expected = json.loads(expected_file.read_text())
            with (folder / f"{load}.{server.protocol}.jsonl").open("rb") as lines:
                for want, line in zip(expected, lines, strict=False):
                    status, answer = self.ask(line.strip())
                    if status != 200:
                        raise RuntimeError(f"{load}: status {status}: {answer[:200]!r}")
                    got, wanted = predictions(server.protocol, answer), numbers(want)
                    if len(got) != len(wanted) or any(
                        not math.isclose(a, b, rel_tol=_CLOSE, abs_tol=_CLOSE) for a, b in zip(got, wanted, strict=True)
                    ):
                        raise RuntimeError(f"{load}: wrong answer {answer[:120]!r}, the model says {str(want)[:120]}")

    def ask(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def median(values: Sequence[float]) -> float:
    """Of at least one."""
    return statistics.median(values)


def environment(more: dict[str, str] | Any, python: Path = Path()) -> dict[str, str]:
    """Ours without what would reach into a server: its PATH begins with its own environment."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")}
    if python.name:
        kept["PATH"] = f"{python.parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
