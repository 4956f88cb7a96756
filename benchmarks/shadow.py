"""What a shadow that gets every request costs the clients of the version beside it: p99, paired and judged by a test.

    python benchmarks/shadow.py [--rounds 20] [--seconds 2] [--rate 300] [--json]

Two servers of one model stand ready: one alone, one with another version as its shadow at 100 percent. Each round sends
open-loop load (latency counts from when a request was due) to the one alone, to the shadowed one and to the one alone
again, the order changing from round to round, so that what else the machine does falls on all. Each round gives one ratio
of p99 shadowed to alone, and one of alone to alone again, which is what noise does by itself.

"Unchanged within noise" is false here, and the exit status 1, if a request failed, or if a sign test finds at 5 % that
shadowed is the slower one in more rounds than chance would have it, or if the median ratio is above 1.10 and above what
the one alone is of itself, at the upper end of its interval. It can neither be said nor denied, and the exit status is 2,
where that interval ends above 1.25, or where fewer than 99 % of the requests were copied, as on a machine that others keep
busy. What is said there too is the processor time of each process for a request, which noise hardly moves: what a client
can meet of a shadow is what it makes the gateway do.
"""

import argparse
import asyncio
import gc
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from driven import Podium, Server, Versions, wait_until  # noqa: E402  the path comes first
from judging import bad  # noqa: E402
from load import Generator, Sample, percentile  # noqa: E402
from training import register  # noqa: E402

_TURNS = ("alone", "shadowed", "again")
_WARM_UP_S = 0.3
_MOST_RATIO, _MOST_NOISE, _LEAST_CHANCE, _LEAST_COPIED = 1.10, 1.25, 0.05, 0.99


def main() -> int:
    """Run, print, judge."""
    chosen = _arguments()
    with tempfile.TemporaryDirectory(prefix="podium-shadow-") as folder:
        podium = Podium(Path(folder))
        try:
            versions = register(podium)
            alone = podium.serve(versions.uri, "-w", "1", "--gateways", "1")
            shadowed = podium.serve(versions.uri, "-w", "1", "--gateways", "1", "--shadow", "2")
            wait_until(lambda: b'"weight":0' in shadowed.get("/status")[2], 60, "the shadow is loaded")
            servers = {"alone": alone, "shadowed": shadowed, "again": alone}
            before = {name: _ran_us(servers[name]) for name in ("alone", "shadowed")}
            turns = asyncio.run(_measure(servers, versions, chosen))
            after = {name: _ran_us(servers[name]) for name in before}
            answered, dropped = (_copies(shadowed, result) for result in ("answered", "dropped"))
        finally:
            podium.end()
    failed = sum(len(bad(turn)) for each in turns.values() for turn in each)
    p50, p99 = _percentiles(turns, 0.5), _percentiles(turns, 0.99)
    ratios, noise = _ratios(p99, "shadowed"), _ratios(p99, "again")
    verdicts = list(_judged(failed, ratios, noise))
    doubts = list(_doubts(answered, dropped, noise))
    costs = _costs(before, after, chosen)
    if chosen.json:
        print(json.dumps({"p50_ms": p50, "p99_ms": p99, "cost_us": costs, "verdicts": verdicts, "doubts": doubts}))
    else:
        print(f"{chosen.rounds} rounds, turns of {chosen.seconds:g} s at {chosen.rate:g} requests/s, medians of the turns")
        print(f"{'':10}{'p50 ms':>8}{'p99 ms':>8}")
        for name in _TURNS:
            print(f"{name:10}{statistics.median(p50[name]):8.2f}{statistics.median(p99[name]):8.2f}")
        print(_said("shadowed / alone", ratios))
        print(_said("again / alone", noise))
        for name, processes in costs.items():
            print(f"us a request, {name}: " + ", ".join(f"{process} {us:.0f}" for process, us in processes.items()))
        print("\n" + "\n".join(f"{'met   ' if is_met else 'MISSED'}  {text}" for text, is_met in verdicts))
        print("".join(f"DOUBT   {text}\n" for text in doubts), end="")
    return 2 if doubts else int(not all(is_met for _, is_met in verdicts))


def _ran_us(server: Server) -> dict[str, float]:
    """What gateway and workers have run so far."""
    status = json.loads(server.get("/status")[2])
    [endpoint] = status["endpoints"].values()
    pids = {f"worker of {each['version']}": each["pid"] for each in endpoint["replicas"]}
    [pids["gateway"]] = [each["pid"] for each in status["gateways"]]
    return {
        name: sum(int((thread / "schedstat").read_text().split()[0]) for thread in Path(f"/proc/{pid}/task").iterdir())
        / 1e3
        for name, pid in pids.items()
    }


def _costs(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]], chosen: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Processor microseconds of each process for each request that its server got."""
    turn = round(chosen.rate * chosen.seconds) * (chosen.rounds + 1)
    sent = {"alone": 2 * turn, "shadowed": turn}
    return {
        name: {process: (us - before[name][process]) / sent[name] for process, us in processes.items()}
        for name, processes in after.items()
    }


def _percentiles(turns: dict[str, list[list[Sample]]], share: float) -> dict[str, list[float]]:
    """Milliseconds, of each turn."""
    return {
        name: [1e3 * percentile((one.latency_s for one in turn), share) for turn in each] for name, each in turns.items()
    }


def _ratios(p99: dict[str, list[float]], name: str) -> list[float]:
    return [one / plain for one, plain in zip(p99[name], p99["alone"], strict=True)]


def _said(what: str, ratios: Sequence[float]) -> str:
    (low, high), slower = interval(ratios), sum(ratio > 1 for ratio in ratios)
    middle = statistics.median(ratios)
    return f"p99 {what:18}{middle:.3f}, 95 % interval {low:.3f} to {high:.3f}, slower in {slower} of {len(ratios)}"


def _judged(failed: int, ratios: Sequence[float], noise: Sequence[float]) -> Iterator[tuple[str, bool]]:
    yield f"requests that failed: {failed}, wanted 0", failed == 0
    chance, middle = sign_test(ratios), statistics.median(ratios)
    yield f"chance of so many slower rounds by luck: {chance:.3f}, wanted {_LEAST_CHANCE}", chance >= _LEAST_CHANCE
    most = max(_MOST_RATIO, interval(noise)[1])
    yield f"median ratio of p99: {middle:.3f}, wanted {most:.3f} at most", middle <= most


def _doubts(answered: int, dropped: int, noise: Sequence[float]) -> Iterator[str]:
    """Why nothing can be said."""
    copied, (_, high) = answered / max(answered + dropped, 1), interval(noise)
    if copied < _LEAST_COPIED:
        yield f"requests copied: {copied:.1%}, wanted {_LEAST_COPIED:.0%}: the gateway had no time for more"
    if high > _MOST_NOISE:
        yield f"the one alone is up to {high:.2f} of itself: nothing finer than {_MOST_NOISE} is seen on this machine now"


def sign_test(ratios: Sequence[float]) -> float:
    """How probable it is that at least so many ratios are above 1 if each were so by the toss of a coin."""
    decided = [ratio for ratio in ratios if ratio != 1]
    above = sum(ratio > 1 for ratio in decided)
    return sum(math.comb(len(decided), count) for count in range(above, len(decided) + 1)) / 2 ** len(decided)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Between which two of these the median lies with 95 percent, whatever their distribution; of few the outermost."""
    ordered, count = sorted(values), len(values)
    outside, rank = 0.5**count, 0
    while 2 * (outside + math.comb(count, rank + 1) * 0.5**count) <= 0.05:
        rank += 1
        outside += math.comb(count, rank) * 0.5**count
    return ordered[rank], ordered[count - 1 - rank]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--rate", type=float, default=300.0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


async def _measure(
    servers: dict[str, Server], versions: Versions, chosen: argparse.Namespace
) -> dict[str, list[list[Sample]]]:
    """All turns of all rounds, each without its beginning; the collector is off while requests are under way."""
    body, never = json.dumps(versions.body).encode(), asyncio.Event()
    generators = {
        name: Generator("127.0.0.1", server.port, body, versions.expected, 10.0)
        for name, server in servers.items()
        if name != "again"
    }
    generators["again"] = generators["alone"]
    turns: dict[str, list[list[Sample]]] = {name: [] for name in _TURNS}
    gc.disable()
    for number in range(-1, chosen.rounds):
        for name in _TURNS[number % 3 :] + _TURNS[: number % 3]:
            samples = await generators[name].run(chosen.rate, chosen.seconds, never)
            if number >= 0:  # the first round warms up
                turns[name].append(_settled(samples))
        gc.collect()
    return turns


def _settled(samples: list[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.due > samples[0].due + _WARM_UP_S or not sample.is_good]


def _copies(server: Server, result: str) -> int:
    """How many copies ended so."""
    page = server.get("/metrics")[2].decode()
    found = [line for line in page.splitlines() if line.startswith("podium_shadow_requests_total") and result in line]
    return sum(int(line.rpartition(" ")[2]) for line in found)


if __name__ == "__main__":
    sys.exit(main())
