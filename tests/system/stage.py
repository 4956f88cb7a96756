"""A server to which everything happens: its models, and the actors of `benchmarks/everything.py`."""

import contextlib
import http.client
import json
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from driven import Podium, Server, is_zombie, wait_until
from mixed_load import Heard, read_heard

from podium.api.registering import Registry
from podium.api.rolling import Rollouts
from podium.domain.rollouts.judging import JudgingPolicy

_CODE = """
import time
import numpy
class Model:
    ballast = numpy.ones({ballast} << 17)
    def predict(self, data):
        time.sleep({seconds})
        return data.sum(axis=1) + 1000.0 * {version}
def _load_pyfunc(path):
    {loading}
    return Model()
"""
_MLMODEL = """
flavors:
  python_function:
    loader_module: tinymodel
    code: code
    python_version: {python}
signature:
  inputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "float64", "shape": [-1, 4]}}}}]'
  outputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "float64", "shape": [-1]}}}}]'
"""
QUIET = {"quiet-json": "mlflow", "quiet-v2": "v2", "quiet-binary": "binary", "quiet-grpc": "grpc"}
MOVED = ("reloaded", "staged", "aliased", "rolled", "victim")
COLD = tuple(f"cold-{number}" for number in range(4))
_COLD_MIB = 150


def write_model(folder: Path, version: int = 1, seconds: float = 0.0, ballast: int = 0, loading: str = "pass") -> Path:
    """A model that adds up each row and its own version; written anew, it is another."""
    (folder / "code").mkdir(parents=True, exist_ok=True)
    code = _CODE.format(version=version, seconds=seconds, ballast=ballast, loading=loading)
    (folder / "code" / "tinymodel.py").write_text(code)
    (folder / "MLmodel").write_text(_MLMODEL.format(python=platform.python_version()))
    return folder


def weigh(podium: Podium) -> int:
    """What this machine's worker of such a model takes once it has answered, as podium measures it, in MiB."""
    server = podium.serve(str(write_model(podium.folder / "weighed")), "--gateways", "1")
    [endpoint] = server.status()["endpoints"].values()
    [replica] = endpoint["replicas"]
    asked = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/invocations", b'{"inputs": [[1, 2, 3, 4]]}', {"content-type": "application/json"}
    )
    for _ in range(20):  # it grows with what it runs for the first time
        urllib.request.urlopen(asked, timeout=240).close()
    held = Path(f"/proc/{replica['pid']}/smaps_rollup").read_text()
    server.stop()
    # Of a forked one what it shares is nobody's. The status rounds to 16 MiB; rows are counted later.
    kinds = "Private_Clean|Private_Dirty|Swap" if replica["start"]["is_forked"] else "Rss"
    return (sum(map(int, re.findall(rf"^(?:{kinds}): +(\d+) kB", held, re.MULTILINE))) >> 10) + 4


def furnish(podium: Podium) -> None:
    """All models, registered or in folders, and the podium.toml that serves them in memory for two of the cold ones."""
    each = weigh(podium)
    folder, registry = podium.folder, Registry(podium.home)
    for name in ("staged", "aliased", "rolled"):
        for version in (1, 2, 3):
            loading = "raise OSError('this version never loads')" if (name, version) == ("aliased", 3) else "pass"
            registry.register(write_model(folder / "made" / name / str(version), version, loading=loading), name)
    registry.promote("staged", 1)
    registry.promote("rolled", 1)
    registry.set_alias("aliased", "live", 1)
    uris = {"staged": "models:/staged/production", "aliased": "models:/aliased@live", "rolled": "models:/rolled/production"}
    here = [*QUIET, "reloaded", "victim", "comes"]
    made = {name: write_model(folder / name) for name in here}
    made["scaled"] = write_model(folder / "scaled", seconds=0.03)
    made["flooded"] = write_model(folder / "flooded", seconds=0.05)
    made["sleeper"] = write_model(folder / "sleeper")
    made["broken"] = write_model(folder / "broken", loading="raise OSError('this model never loads')")
    made |= {name: write_model(folder / name, ballast=_COLD_MIB) for name in COLD}
    own = {
        "scaled": 'resident = "always"\nmin_workers = 1\nmax_workers = 3\nscale_up_after = 2\nbatching = "off"',
        "flooded": 'resident = "always"\nmax_queue_rows = 16\nbatching = "off"',
        "sleeper": 'resident = "demand"\nsleep_after = 2',
    } | dict.fromkeys(COLD, 'resident = "demand"')
    # Those that stay, three workers more for swaps and scaling, and two and a half cold ones.
    budget = (len(QUIET) + len(MOVED) + 4 + 4) * each + 5 * (each + _COLD_MIB) // 2
    bounds = f"timeout = 120\ndrain_timeout = 5\nmemory_budget = '{budget}MiB'\n[limits]\npending_timeout = 90"
    lines = [f"[serve]\ngateways = 2\ngrpc_port = 0\n{bounds}"]
    for name, uri in (uris | {name: str(path) for name, path in made.items()}).items():
        lines.append(f'[models.{name}]\nuri = "{uri}"\n' + own.get(name, 'resident = "always"'))
    (folder / "podium.toml").write_text("\n".join(lines) + "\n")


@dataclass
class Stage:
    """Where it plays: the server, what has happened on it, and how long it goes on."""

    podium: Podium
    server: Server
    is_short: bool
    ends: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    gateway_kills: list[float] = field(default_factory=list)
    flood: list[Heard] = field(default_factory=list)
    scaling: list[Heard] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.ends

    def post(self, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """An answer's status and JSON."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}{path}",
            json.dumps({} if body is None else body).encode(),
            {"content-type": "application/json"},
        )
        kills = len(self.gateway_kills)
        try:
            with urllib.request.urlopen(asked, timeout=240) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")
        except (OSError, http.client.HTTPException):
            if len(self.gateway_kills) == kills:
                raise
            return self.post(path, body)  # The gateway that held it was killed.

    def version(self, name: str) -> int:
        """Which version answers now; -1 where none does."""
        status, answer = self.post(f"/models/{name}/invocations", {"inputs": [[0.0, 0.0, 0.0, 0.0]]})
        return round(answer["predictions"][0] / 1000) if status == 200 else -status

    def expect(self, what: str, got: object, expected: object) -> None:
        """Count what has happened, or say what did instead."""
        if got == expected:
            self.happened[what] += 1
        else:
            self.wrong.append(f"{what}: expected {expected!r}, got {got!r}")

    def await_version(self, what: str, name: str, version: int) -> None:
        """Until this version answers."""
        ends = time.monotonic() + 90
        while (got := self.version(name)) != version and time.monotonic() < ends:
            time.sleep(0.1)
        self.expect(what, got, version)

    def endpoint(self, name: str) -> dict[str, Any]:
        """What the server says of a model in its status; {} while that is being written."""
        for path in self.podium.home.glob("run/[!.]*/server.json"):
            with contextlib.suppress(OSError, ValueError):
                found: dict[str, Any] = json.loads(path.read_text())["endpoints"].get(name, {})
                return found
        return {}

    def pause(self, seconds: float) -> None:
        time.sleep(max(min(seconds, self.ends - time.monotonic()), 0))

    def load(self, targets: Sequence[tuple[str, str, float]], seconds: float) -> list[Heard]:
        """More load than there is anyway, to its end."""
        with loading(self.podium, self.server, targets, 0, None, seconds) as load:
            return load()


def reloads(stage: Stage) -> None:
    """A folder is written anew, and loaded again, while it is asked."""
    version = stage.version("reloaded")
    while stage.goes_on:
        version += 1
        write_model(stage.podium.folder / "reloaded", version)
        status, said = stage.post("/v2/repository/models/reloaded/load")
        stage.expect("reload", (status, stage.version("reloaded"), said and None), (200, version, None))
        stage.pause(2)


def comes_and_goes(stage: Stage) -> None:
    while stage.goes_on:
        stage.expect("unload", stage.post("/v2/repository/models/comes/unload")[0], 200)
        stage.expect("absent", stage.version("comes"), -404)
        stage.expect("load", stage.post("/v2/repository/models/comes/load")[0], 200)
        stage.expect("present", stage.version("comes"), 1)
        stage.expect("broken load refused", stage.post("/v2/repository/models/broken/load")[0], 400)
        stage.pause(2)


def promotes(stage: Stage) -> None:
    registry, version = Registry(stage.podium.home), stage.version("staged")
    while stage.goes_on:
        version = 3 - version
        registry.promote("staged", version)
        stage.await_version("promotion", "staged", version)
        stage.pause(2)


def moves_alias(stage: Stage) -> None:
    """Also to a version that does not load: the one before goes on."""
    registry = Registry(stage.podium.home)
    while stage.goes_on:
        for version in (2, 3, 1):
            registry.set_alias("aliased", "live", version)
            if version != 3:
                stage.await_version("alias move", "aliased", version)
                continue
            wait_until(lambda: stage.endpoint("aliased").get("wanted_failure"), 150, "version 3 has failed")
            stage.expect("broken version kept out", stage.version("aliased"), 2)
        stage.pause(2)


def rolls_out(stage: Stage) -> None:
    version = stage.version("rolled") % 3 + 1
    steps, interval_s = ((50, 100), 1.0) if stage.is_short else ((10, 50, 100), 4.0)
    policy = JudgingPolicy(predictions=None, latency=None, detect=None)
    Rollouts(stage.podium.home).start("rolled", version, steps, interval_s, policy=policy)
    wait_until(lambda: Rollouts(stage.podium.home).status("rolled").state != "running", 150, "the rollout ends")
    stage.expect("rollout", Rollouts(stage.podium.home).status("rolled").state, "finished")
    stage.await_version("rolled out", "rolled", version)


def scales(stage: Stage) -> None:
    """Up under load, which lasts until that is seen, or for a minute or two; down after it (which takes a minute)."""
    most, is_over = [1], threading.Event()

    def look() -> None:
        while not is_over.wait(0.2):
            most.append(len(stage.endpoint("scaled").get("replicas", ())))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(6):  # on a busy machine much of the first goes by before its first request
            stage.scaling += stage.load([("scaled", "mlflow", 28.0)], 10 if stage.is_short else 20)
            if max(most) > 1:
                break
    finally:
        is_over.set()
        looking.join()
    stage.expect("scaled up", max(most) > 1, expected=True)


def evicts(stage: Stage) -> None:
    """Four models take turns in room for two."""
    turn = 0
    while stage.goes_on or turn < len(COLD):
        stage.expect("woken for a request", stage.version(COLD[turn % len(COLD)]), 1)
        turn += 1
        before = COLD[: turn - 1] if turn <= len(COLD) else ()
        stage.happened["evicted"] += any(stage.endpoint(name).get("state") == "asleep" for name in before)
        stage.pause(1)


def sleeps(stage: Stage) -> None:
    while stage.goes_on:
        stage.expect("woken", stage.version("sleeper"), 1)
        wait_until(lambda: stage.endpoint("sleeper").get("state") == "asleep", 150, "it sleeps")
        stage.happened["fell asleep"] += 1


def kills(stage: Stage) -> None:
    """A worker of a model that has one, then a gateway; both are back before this ends."""
    length = stage.ends - time.monotonic()
    stage.pause(length * 0.3)
    [worker] = [each["pid"] for each in stage.endpoint("victim")["replicas"]]
    os.kill(worker, signal.SIGKILL)
    stage.await_version("killed worker replaced", "victim", 1)
    stage.pause(length * 0.2)
    gateway = stage.server.children("podium.serving")[0]
    stage.gateway_kills.append(time.monotonic())
    os.kill(gateway, signal.SIGKILL)
    # On a busy machine it takes seconds until a killed process runs to its end, and only that closes its connections.
    wait_until(lambda: not Path(f"/proc/{gateway}").exists() or is_zombie(gateway), 150, "the gateway is dead")
    stage.gateway_kills.append(time.monotonic())
    wait_until(lambda: len(set(stage.server.children("podium.serving")) - {gateway}) == 2, 150, "a gateway is back")
    stage.happened["killed gateway replaced"] += 1


def floods(stage: Stage) -> None:
    stage.pause((stage.ends - time.monotonic()) * 0.4)
    heard = stage.load([("flooded", "mlflow", 150.0)], 3)
    stage.flood += heard
    stage.happened["flooded"] += any(each.status in {429, 503} for each in heard)


ACTORS = (reloads, comes_and_goes, promotes, moves_alias, rolls_out, scales, evicts, sleeps, kills, floods)


@contextlib.contextmanager
def loading(
    podium: Podium,
    server: Server,
    targets: Sequence[tuple[str, str, float]],
    echo_port: int,
    grpc: str | None,
    seconds: float = 600.0,
) -> Iterator[Callable[[], list[Heard]]]:
    """Open-loop load by a process of its own; what is yielded ends it and says what it heard."""
    out = podium.folder / f"heard-{time.monotonic_ns()}.jsonl"
    plan = out.with_suffix(".targets")
    plan.write_text(json.dumps([dict(zip(("model", "protocol", "rate"), each, strict=True)) for each in targets]))
    command = [sys.executable, Path(__file__).with_name("mixed_load.py"), "--port", server.port, "--out", out]
    command += ["--targets", plan, "--echo-port", echo_port, "--seconds", seconds, *(["--grpc", grpc] if grpc else [])]
    process = subprocess.Popen([str(part) for part in command])

    def end() -> list[Heard]:
        if seconds == 600.0:
            process.send_signal(signal.SIGTERM)
        assert process.wait(seconds + 200) == 0
        return read_heard(out)

    try:
        yield end
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


def busy(stage: Stage, seconds: float) -> None:
    """Let everything happen for so long, and a little longer until the last of it has."""
    stage.ends = time.monotonic() + seconds

    def act(actor: Callable[[Stage], None]) -> None:
        try:
            actor(stage)
        except Exception as error:
            stage.wrong.append(f"{actor.__name__}: {type(error).__name__}: {error}")

    actors = [threading.Thread(target=act, args=(actor,), name=actor.__name__) for actor in ACTORS]
    for actor in actors:
        actor.start()
    for actor in actors:
        actor.join()
