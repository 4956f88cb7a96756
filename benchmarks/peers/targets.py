"""What the issue wants, judged on one file of results."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

_LR, _LRD, _F, _FD, _P, _N, _T = (
    "logistic-ndarray",
    "logistic-dataframe",
    "forest-ndarray",
    "forest-dataframe",
    "pipeline",
    "onnx-mlp",
    "torch-mlp",
)
_BIG = "1000x30 c4"
# (model, load): times the throughput of mlflow, fastapi, mlserver; None where nothing is asked.
_TIMES: dict[tuple[str, str], tuple[float | None, float | None, float | None]] = {
    (_LR, "c64"): (60, 10, 25),
    (_LRD, "c64"): (80, 10, 25),
    (_LR, "c1"): (3.5, 1.2, 2.5),
    (_LRD, "c1"): (2.8, None, 2.5),
    (_FD, "c64"): (300, 30, 40),
    (_F, "c1"): (30, 1.05, 1.3),
    (_FD, "c1"): (30, 1.05, 1.3),
    (_P, "c64"): (300, 28, 38),
    (_P, "c1"): (30, None, None),
    (_N, "c64"): (50, 4.5, 20),
    (_N, "c1"): (4, 1.3, 3),
    (_T, "c64"): (10, None, None),
    (_F, _BIG): (3, 1.7, 1.7),
    (_FD, _BIG): (3, 1.7, 1.7),
}
_NGINX_SHARE, _P99_SHARE, _READY_SHARE, _MEMORY_SHARE, _GATEWAYS_SHARE = 0.45, 1 / 20, 0.5, 0.6, 0.9
_WINDOW_COST = 0.97


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: what was got, what is wanted, whether that is met."""

    what: str
    got: str
    wanted: str
    is_met: bool


class Results:
    """Medians over rounds, by model, server and load."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._cells = {(cell["model"], cell["server"], cell["load"]): cell["runs"] for cell in found["cells"]}
        self._starts = {(entry["model"], entry["server"]): entry["runs"] for entry in found["starts"]}

    def cell(self, model: str, server: str, load: str, figure: str) -> float | None:
        runs = self._cells.get((model, server, load))
        return median(run[figure] for run in runs) if runs else None

    def start(self, model: str, server: str, figure: str) -> float | None:
        runs = self._starts.get((model, server))
        return median(run[figure] for run in runs) if runs else None

    def bad(self) -> int:
        return sum(
            run["bad_status"] + run["broken"]
            for (_, server, _), runs in self._cells.items()
            for run in runs
            if server.startswith("podium")
        )


def judge(found: dict[str, Any]) -> list[Verdict]:
    """Every target for which this file holds both sides."""
    results = Results(found)
    return [*_multiples(results), *_shares(results), *_window(results), _no_bad(results)]


def table(verdicts: list[Verdict]) -> str:
    """For a terminal."""
    width = max(len(verdict.what) for verdict in verdicts)
    lines = [f"{v.what:{width}}  {v.got:>10}  {v.wanted:>10}  {'met' if v.is_met else 'MISSED'}" for v in verdicts]
    met = sum(verdict.is_met for verdict in verdicts)
    return "\n".join([f"{'target':{width}}  {'got':>10}  {'wanted':>10}", *lines, f"{met} of {len(verdicts)} met"])


def _multiples(results: Results) -> Iterator[Verdict]:
    for (model, load), wanted in _TIMES.items():
        ours = results.cell(model, "podium", load, "rps")
        for peer, times in zip(("mlflow", "fastapi", "mlserver"), wanted, strict=True):
            theirs = results.cell(model, peer, load, "rps")
            if times is not None and ours is not None and theirs:
                got = ours / theirs
                yield Verdict(f"{model} {load}: requests/s, times {peer}", f"{got:.2f}", f">= {times:g}", got >= times)


def _shares(results: Results) -> Iterator[Verdict]:
    cell, start = results.cell, results.start
    yield from _share(
        f"{_LR} c64: requests/s as a share of nginx",
        cell(_LR, "podium", "c64", "rps"),
        cell(_LR, "nginx", "c64", "rps"),
        _NGINX_SHARE,
        is_least=True,
    )
    for model in (_LR, _LRD, _F, _FD, _P, _N):
        yield from _share(
            f"{model} c64: p99 as a share of mlflow's",
            cell(model, "podium", "c64", "p99_ms"),
            cell(model, "mlflow", "c64", "p99_ms"),
            _P99_SHARE,
            is_least=False,
        )
    for model in (_LR, _FD, _N):
        yield from _share(
            f"{model}: time to ready as a share of mlflow's",
            start(model, "podium", "ready_s"),
            start(model, "mlflow", "ready_s"),
            _READY_SHARE,
            is_least=False,
        )
    for model in (_LR, _FD):
        yield from _share(
            f"{model}: PSS as a share of mlflow's",
            start(model, "podium", "pss_mib"),
            start(model, "mlflow", "pss_mib"),
            _MEMORY_SHARE,
            is_least=False,
        )
    yield from _share(
        f"{_LR} c64: two gateways as a share of one",
        cell(_LR, "podium-2-gateways", "c64", "rps"),
        cell(_LR, "podium", "c64", "rps"),
        _GATEWAYS_SHARE,
        is_least=True,
    )


def _window(results: Results) -> Iterator[Verdict]:
    """The gather window gains at 64 connections and costs nothing at one (within the noise of a run)."""
    for model in (_LR, _FD):
        for load, least in (("c64", 1.0), ("c1", _WINDOW_COST)):
            yield from _share(
                f"{model} {load}: with the gather window, as a share of without",
                results.cell(model, "podium", load, "rps"),
                results.cell(model, "podium-no-window", load, "rps"),
                least,
                is_least=True,
            )


def _share(what: str, ours: float | None, theirs: float | None, limit: float, *, is_least: bool) -> Iterator[Verdict]:
    if ours is None or not theirs:
        return
    got = ours / theirs
    compare: Callable[[float], bool] = (lambda share: share >= limit) if is_least else (lambda share: share <= limit)
    yield Verdict(what, f"{got:.3f}", f"{'>=' if is_least else '<='} {limit:g}", compare(got))


def _no_bad(results: Results) -> Verdict:
    bad = results.bad()
    return Verdict("podium: answers that were not 200, and broken connections", str(bad), "0", bad == 0)
