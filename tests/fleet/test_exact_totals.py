"""What `/metrics` counts is what was asked, to the unit, whoever dies meanwhile; and it never goes back.

Each client asks one request after the other on a connection that it keeps. A gateway counts a request when its answer has
left, so where a gateway is killed each of its connections leaves at most one request of which nobody knows: the last one
that was heard may not be counted, and the one that broke may be. Everybody else's are counted exactly.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from typing import Self

import pytest
from tinyhouse import PRODUCTION, House, Server, until

from podium.telemetry.metrics import SERIES_METRICS, MetricKind

GATEWAYS, CLIENTS = 4, 8
_PAUSE_S = 0.01
_BODY = b'{"inputs": [[0], [0]]}'
_WAIT_S = 60


class Clients:
    """Threads that ask until they are told to stop, and what each heard: by version and status."""

    def __init__(self, port: int) -> None:
        self.heard: list[Counter[tuple[str, str]]] = [Counter() for _ in range(CLIENTS)]
        self.broken = 0
        self._port, self._is_over, self._lock = port, threading.Event(), threading.Lock()

    @contextlib.contextmanager
    def asking(self):
        self._is_over.clear()
        threads = [threading.Thread(target=self._run, args=(each,)) for each in self.heard]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(_WAIT_S)

    def total(self) -> Counter[tuple[str, str]]:
        return sum(self.heard, Counter())

    def _run(self, heard: Counter[tuple[str, str]]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WAIT_S)
        with contextlib.closing(connection):
            while not self._is_over.is_set():
                try:
                    connection.request("POST", "/invocations", _BODY, {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    answer.read()
                    heard[str(answer.headers["x-podium-version"]), str(answer.status)] += 1
                except (OSError, http.client.HTTPException):
                    connection.close()
                    with self._lock:
                        self.broken += 1
                self._is_over.wait(_PAUSE_S)
            # What answers this has counted what it answered before.
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", "/ping")
                connection.getresponse().read()


class Scrapes:
    """Reads `/metrics` again and again; `fell` names what was less than before."""

    def __init__(self, server: Server) -> None:
        self.fell: list[str] = []
        self.count = 0
        self._port, self._is_over = server.port, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(_WAIT_S)

    def _run(self) -> None:
        before: dict[str, float] = {}
        while not self._is_over.is_set():
            # The gateway that is asked may be the one that dies.
            with contextlib.suppress(OSError, http.client.HTTPException):
                now = counters(self._page())
                self.fell += [
                    f"{name}: {before[name]} {now.get(name)}" for name in before if now.get(name, -1) < before[name]
                ]
                before, self.count = now, self.count + 1
            self._is_over.wait(0.1)

    def _page(self) -> str:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WAIT_S)) as connection:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()


def counters(page: str) -> dict[str, float]:
    """Every line of a counter or a histogram that gateways count in; of what the supervisor tells each is told in turn."""
    rising = "|".join(metric.name for metric in SERIES_METRICS if metric.kind is not MetricKind.GAUGE)
    lines = re.findall(rf"^((?:{rising})(?:_bucket|_sum|_count)?(?:\{{.*\}})?) (\S+)$", page, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def counted(page: str) -> Counter[tuple[str, str]]:
    found = re.findall(r'^podium_requests_total\{model="tiny",version="(\w+)",code="(\w+)"\} (\d+)$', page, re.MULTILINE)
    return Counter({(version, code): int(value) for version, code, value in found})


def rows(page: str) -> int:
    return sum(int(value) for value in re.findall(r'^podium_rows_total\{model="tiny".*\} (\d+)$', page, re.MULTILINE))


_CONFIG = """
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs: [{job_name: podium, static_configs: [{targets: ["127.0.0.1:%d"]}]}]
"""


@contextlib.contextmanager
def prometheus(house: House, port: int):
    """A Prometheus that scrapes a server; yields what asks it for one number, 0 where it has none. None: not installed."""
    if shutil.which("prometheus") is None:
        yield None
        return
    folder = house.folder / "prometheus"
    folder.mkdir()
    (folder / "config.yml").write_text(_CONFIG % port)
    log = folder / "log"
    with log.open("wb") as out:
        # Of its own choice: what it listens on stands in its log.
        process = subprocess.Popen(
            [
                "prometheus", "--config.file=config.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0",
            ],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        found = None

        def listens() -> bool:
            nonlocal found
            found = re.search(r"address=127\.0\.0\.1:([1-9]\d*)", log.read_text(errors="replace"))
            return found is not None

        until(listens, "Prometheus listens", lambda: None if process.poll() is None else log.read_text())
        url = f"http://127.0.0.1:{found[1]}/api/v1/query?query="

        def ask(query: str) -> float:
            with (
                contextlib.suppress(urllib.error.HTTPError),
                urllib.request.urlopen(url + urllib.parse.quote(query), timeout=_WAIT_S) as answer,
            ):
                result = json.loads(answer.read())["data"]["result"]
                return float(result[0]["value"][1]) if result else 0.0
            return 0.0

        yield ask
    finally:
        process.kill()
        process.wait(_WAIT_S)


@pytest.mark.slow
def test_totals_are_exact_through_deaths_and_a_swap(house: House) -> None:
    """Four gateways; one is killed, then a worker, then the version is another one. A real Prometheus sees the same."""
    for version in (1, 2):
        house.register(version)
    house.promote(1)
    with (
        house.serving("--gateways", str(GATEWAYS), "-w", "2", uri=PRODUCTION) as server,
        prometheus(house, server.port) as ask,
        Scrapes(server) as scrapes,
    ):
        clients = Clients(server.port)
        with clients.asking():
            until(lambda: clients.total().total() > 100, "the load is under way")
            until(lambda: ask is None or ask("sum(podium_requests_total)") > 0, "Prometheus scrapes")
            [victim, *_] = server.gateways()
            os.kill(victim, signal.SIGKILL)
            until(lambda: victim not in server.gateways() and len(server.gateways()) == GATEWAYS, "it is back")
        # Nobody asks now: what the dead gateway has left uncounted, or counted though nobody heard, is known from here on.
        unknown, heard, page = clients.broken, clients.total(), server.get("/metrics")[1]
        first, first_rows = counted(page), rows(page)

        with clients.asking():
            [one, *_] = server.workers()
            os.kill(one, signal.SIGKILL)
            until(lambda: one not in server.workers() and len(server.workers()) == 2, "another worker is there")
            house.promote(2)
            until(lambda: clients.total()["2", "200"] > 100, "the next version answers")
            until(lambda: scrapes.count > 10, "it was looked at often")
        more, page = clients.total() - heard, server.get("/metrics")[1]
        seen = None
        if ask is not None:
            query = 'sum(max_over_time(podium_requests_total{model="tiny"}[1h]))'
            until(lambda: ask(query) == counted(page).total(), "Prometheus has the last total")
            seen = ask("sum(resets(podium_requests_total[1h])) + sum(resets(podium_request_duration_seconds_count[1h]))")
        assert server.stop() == 0

    assert abs(first.total() - heard.total()) <= unknown
    assert clients.broken == unknown
    assert {code for _, code in clients.total()} == {"200"}
    assert counted(page) == first + more
    assert rows(page) - first_rows == 2 * more.total()
    assert scrapes.fell == []
    assert seen in {None, 0.0}
    if ask is not None:
        command = ["promtool", "check", "metrics"]
        checked = subprocess.run(command, input=page, capture_output=True, text=True, timeout=_WAIT_S, check=False)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
