"""For how long two nodes on one registry disagree about the weights while somebody rolls out, pauses, pins and promotes.

    python benchmarks/agreement.py [--registry sqlite|postgresql|mlflow] [--rounds 1] [--json]

Two `podium serve` follow one stage: in podium's own registry (SQLite), in the same with the rollouts in a PostgreSQL
database (`--rollout-store`), or in a real MLflow server (PODIUM_TEST_MLFLOW_PYTHON names its interpreter). Where the clock
is the registry's, one node's own is 30 s ahead. Both are sent the same requests, five keys each twentieth of a second,
one for each of the shares that come: a key goes to the same version on every node while the weights agree, so answers say
what each node does, not what it believes. One node is stopped with SIGSTOP for ten seconds (all of its processes, and once
its supervisor alone), while the other one's traffic is moved; its disagreement counts from SIGCONT on.

Exits 1 if they ever disagreed for longer than two seconds, or a request failed.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ["PYTHONPATH"] = str(ROOT / "src")
sys.path[:0] = [str(ROOT / "tests" / each) for each in ("system", "interop", "registry")] + [str(ROOT / "src")]

from driven import Podium, Server, wait_until  # noqa: E402  the path comes first
from mlflow_server import Mlflow  # noqa: E402
from postgresql import postgresql  # noqa: E402

from podium import Rollouts  # noqa: E402
from podium.api.registering import Registry  # noqa: E402
from podium.domain.rollouts.judging import JudgingPolicy  # noqa: E402
from podium.domain.traffic import point_of  # noqa: E402

_AHEAD_S = 30.0
_MOST_S = 2.0
_STOPPED_S = 10.0
_EACH_S = 0.05
_SHARES = (0, 20, 50, 60, 90, 100)
_BODY = json.dumps({"inputs": [[0.0]]}).encode()
_MODEL = """
class Model:
    def predict(self, data):
        return [1] * len(data)
def _load_pyfunc(path):
    return Model()
"""


@dataclass(slots=True)
class Look:
    """What one node answered to all keys: by which version, or None where it did not answer with 200."""

    asked_at: float
    heard_at: float
    versions: tuple[str | None, ...]


@dataclass(slots=True)
class Watched:
    """A node that is asked again and again, in a thread of its own."""

    server: Server
    looks: list[Look] = field(default_factory=list)
    failed: int = 0

    def ask(self, is_over: threading.Event, keys: Sequence[str]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        with contextlib.closing(connection):
            while not is_over.wait(_EACH_S):
                asked_at = time.monotonic()
                versions = tuple(self._version(connection, key) for key in keys)
                self.failed += versions.count(None)
                self.looks.append(Look(asked_at, time.monotonic(), versions))

    def _version(self, connection: http.client.HTTPConnection, key: str) -> str | None:
        headers = {"content-type": "application/json", "x-request-id": key}
        try:
            connection.request("POST", "/invocations", _BODY, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return None
        return answer.getheader("x-podium-version") if answer.status == 200 else None


@dataclass(frozen=True, slots=True)
class Place:
    """A registry with three versions of `calc`, the first of them in Production.

    Args:
        one, other: Who serve; the other one's clock may be ahead.
        rollouts: To move traffic.
        uri: What is followed.
        flags: What each server is told.
        promote: Moves the stage.
    """

    one: Podium
    other: Podium
    rollouts: Rollouts
    uri: str
    flags: tuple[str, ...]
    promote: Callable[[int], None]


def disagreements(one: list[Look], other: list[Look], since: float, until: float) -> list[tuple[float, float]]:
    """From when until when their last answers differed; a look counts from when its answers were all there."""
    events = sorted([(each.heard_at, 0, each) for each in one] + [(each.heard_at, 1, each) for each in other], key=_when)
    last: list[Look | None] = [None, None]
    found: list[tuple[float, float]] = []
    began: float | None = None
    for at, who, look in events:
        if not since <= at <= until:
            continue
        last[who] = look
        if last[0] is None or last[1] is None or last[0].versions == last[1].versions:
            if began is not None:
                found.append((began, at))
            began = None
        elif began is None:
            began = at
    return [*found, (began, until)] if began is not None else found


def _when(event: tuple[float, int, Look]) -> tuple[float, int]:
    return event[0], event[1]


def telling_keys() -> list[str]:
    """One key between each two neighbours of the shares that come, whichever version is the candidate."""

    def band(key: str, salt: str) -> int:
        return bisect_right([100 - share for share in reversed(_SHARES)], point_of("calc", salt, key))

    found = {}
    for number in itertools.count():
        key = f"key-{number}"
        bands = {band(key, salt) for salt in ("2", "3")}
        if len(bands) == 1:
            found.setdefault(*bands, key)
        if len(found) == len(_SHARES) - 1:
            return [found[each] for each in sorted(found)]
    raise AssertionError("counting does not end")


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents.setdefault(int(entry.read_text().rpartition(")")[2].split()[1]), []).append(int(entry.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


class Play:
    """What happens to both, and how long they disagreed after each of it."""

    def __init__(self, place: Place, one: Watched, other: Watched) -> None:
        self._place, self._one, self._other = place, one, other
        self.scenes: list[tuple[str, float, float]] = []

    def scene(self, name: str, act: Callable[[], object], lasts_s: float) -> None:
        began = time.monotonic()
        act()
        time.sleep(lasts_s)
        self.scenes.append((name, began, time.monotonic()))

    def run(self) -> None:
        rollouts = self._place.rollouts
        policy = JudgingPolicy(latency=None, predictions=None)

        def start(version: int, steps: list[int], interval_s: float) -> None:
            rollouts.start("calc", to=version, steps=steps, interval_s=interval_s, policy=policy, again=True)

        self.scene("start, three steps", lambda: start(2, [20, 60, 90, 100], 3), 8.0)
        self.scene("pause", lambda: rollouts.pause("calc", "a look"), 3)
        self.scene("resume, step", lambda: rollouts.resume("calc"), 4)
        self.scene("undo", lambda: rollouts.undo("calc", "too red"), 3)
        self.scene("start again", lambda: start(2, [50, 100], 30), 6)
        self.scene("pin", lambda: rollouts.pin("calc", 3, time.time() + 8, "a test"), 5)
        self.scene("the pin ends", lambda: None, 6)
        self.scene("promote a third", lambda: self._place.promote(3), 6)
        self.scene("promote back", lambda: self._place.promote(1), 5)
        self.scene("start, finish by its steps", lambda: start(2, [50, 100], 2), 10)
        self.scene("undo what was finished", lambda: rollouts.undo("calc", "no"), 3)
        for name, pids in (("all of it", family), ("its supervisor", lambda pid: [pid])):
            self.scene("start", lambda: start(2, [50, 100], 60), 6)
            self._stopped(f"undo while {name} is stopped", pids, lambda: rollouts.undo("calc", "no"))
            self.scene("start, steps", lambda: start(2, [20, 60, 100], 6), 4)
            self._stopped(f"steps while {name} is stopped", pids, lambda: None)
            self.scene("undo", lambda: rollouts.undo("calc", "no"), 3)

    def _stopped(self, name: str, pids: Callable[[int], list[int]], act: Callable[[], object]) -> None:
        stopped = pids(self._other.server.pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(1)
            act()
            time.sleep(_STOPPED_S)
        finally:
            for pid in reversed(stopped):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        self.scene(name, lambda: None, 6)

    def judge(self) -> list[dict[str, object]]:
        """Each scene's longest disagreement, and how many answers of the stopped node's were by another table."""
        told = []
        for name, began, ended in self.scenes:
            found = disagreements(self._one.looks, self._other.looks, began, ended)
            longest = max((end - begin for begin, end in found), default=0.0)
            # As long as the longest of its looks, or of the pause between two of them.
            known = [look for look in (*self._one.looks, *self._other.looks) if began <= look.asked_at <= ended]
            slowest = max((look.heard_at - look.asked_at for look in known), default=0.0)
            last = [next((each for each in reversed(who.looks) if each.heard_at <= ended), None)
                    for who in (self._one, self._other)]  # fmt: skip
            told.append(
                {
                    "scene": name,
                    "longest_s": round(longest, 2),
                    "looks_take_s": round(slowest + _EACH_S, 2),
                    "at_the_end": [_shares(each) for each in last],
                }
            )
        return told


def _shares(look: Look | None) -> dict[str, int]:
    versions = look.versions if look is not None else ()
    return {str(each): versions.count(each) for each in sorted({str(each) for each in versions})}


@contextlib.contextmanager
def place_of(kind: str, folder: Path) -> Iterator[Place]:
    """A registry of one kind, and who will serve from it."""
    podium = Podium(folder)
    ahead = folder / "ahead"
    ahead.mkdir()
    (ahead / "sitecustomize.py").write_text(f"import time\nright = time.time\ntime.time = lambda: right() + {_AHEAD_S}\n")
    paths = os.pathsep.join([str(ahead), podium.environment["PYTHONPATH"]])
    model = folder / "model"
    (model / "code").mkdir(parents=True)
    (model / "code" / "calculating.py").write_text(_MODEL)
    flavor = f"loader_module: calculating\n    code: code\n    python_version: {platform.python_version()}"
    (model / "MLmodel").write_text(f"flavors:\n  python_function:\n    {flavor}\n")
    flags = ("--gateways", "1")
    with contextlib.ExitStack() as stack:
        if kind == "mlflow":
            home = folder / "mlflow"
            home.mkdir()
            mlflow = Mlflow(home)
            stack.callback(mlflow.close)
            mlflow.start()
            for _ in range(3):
                mlflow.do("quick", "calc", 1.0)
            mlflow.do("stage", "calc", 1, "Production")
            os.environ["MLFLOW_TRACKING_URI"] = podium.environment["MLFLOW_TRACKING_URI"] = mlflow.uri
            other = Podium(ahead)
            other.environment |= {"MLFLOW_TRACKING_URI": mlflow.uri, "PYTHONPATH": paths}
            stack.callback(other.end)
            stack.callback(podium.end)
            yield Place(podium, other, Rollouts(podium.home), "models:/calc/production", flags,
                        lambda version: mlflow.do("stage", "calc", version, "Production"))  # fmt: skip
            return
        registry = Registry(podium.home)
        for number in range(3):
            (model / "code" / "number.py").write_text(f"number = {number}\n")
            registry.register(model, "calc")
        registry.promote("calc", 1)
        store, other = None, podium
        if kind == "postgresql":
            store = stack.enter_context(postgresql()) + "ann"
            flags = (*flags, "--rollout-store", store)
            other = Podium(ahead)
            other.home = podium.home
            other.environment |= {"PODIUM_HOME": str(podium.home), "PYTHONPATH": paths}
            stack.callback(other.end)
        stack.callback(podium.end)
        yield Place(podium, other, Rollouts(podium.home, store), "models:/calc/production", flags,
                    lambda version: registry.promote("calc", version))  # fmt: skip


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", choices=["sqlite", "postgresql", "mlflow"], default="sqlite")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="podium-agreement-") as folder,
        place_of(chosen.registry, Path(folder)) as place,
    ):
        servers = [each.serve(place.uri, *place.flags) for each in (place.one, place.other)]
        nodes = [Watched(each) for each in servers]
        is_over = threading.Event()
        threads = [threading.Thread(target=each.ask, args=(is_over, telling_keys()), daemon=True) for each in nodes]
        for thread in threads:
            thread.start()
        play = Play(place, *nodes)
        wait_until(lambda: all(each.looks for each in nodes), 30, "both are asked")
        try:
            for _ in range(chosen.rounds):
                play.run()
        finally:
            is_over.set()
        for thread in threads:
            thread.join(30)
        told, failed = play.judge(), sum(each.failed for each in nodes)
        ended = [each.stop() for each in servers]
    print(json.dumps({"scenes": told, "failed": failed}) if chosen.json else said(told, failed))
    return int(failed > 0 or any(ended) or any(float(str(each["longest_s"])) > _MOST_S for each in told))


def said(told: list[dict[str, object]], failed: int) -> str:
    """A table for people."""
    rows = [f"{'scene':<44} {'longest s':>9} {'a look takes s':>14}  answers of both at its end"]
    rows += [
        f"{each['scene']:<44} {each['longest_s']:>9} {each['looks_take_s']:>14}  {each['at_the_end']}" for each in told
    ]
    return "\n".join([*rows, f"failed requests: {failed}"])


if __name__ == "__main__":
    sys.exit(main())
