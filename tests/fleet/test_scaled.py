"""Replicas that come while a model is busy and never more than may come; what the counters say of a second."""

import pytest
from tinyhouse import Load, until

from podium.domain.capacity.scaling import Workload as Said
from podium.fleet.capacity.scaling import load_between
from podium.fleet.capacity.use import SeenUse
from podium.telemetry.metrics import CELLS, DURATION, PREDICT, QUEUE, REJECTED


def seen(at, **grown):
    """`predict=(batches, us)`, `queue=(requests, us)`, `duration=(requests, us)`, `rejected=count`."""
    cells = [0] * CELLS
    for name, metric in (("predict", PREDICT), ("queue", QUEUE), ("duration", DURATION)):
        count, each_us = grown.get(name, (0, 0))
        cells[metric.bucket(each_us)] += count
        cells[metric.sum] += count * each_us
    cells[REJECTED.cell("queue_full")] = grown.get("rejected", 0)
    return SeenUse(at, 0, 0, cells)


@pytest.mark.parametrize(
    ("grown", "expected"),
    [
        ({}, Said(0.0)),
        ({"predict": (20, 50_000)}, Said(0.5)),
        ({"predict": (100, 50_000)}, Said(2.0)),
        ({"predict": (20, 50_000), "queue": (100, 100_000)}, Said(0.5, waits_batches=2.0)),
        ({"duration": (100, 90_000)}, Said(0.0, latency_s=0.1)),
        ({"rejected": 3}, Said(0.0, is_turned_away=True)),
    ],
)
def test_what_the_counters_say_of_two_seconds(grown, expected):
    """Of two workers."""
    assert load_between(seen(10.0), seen(12.0, **grown), 2) == expected


@pytest.mark.slow
def test_a_busy_model_gets_another_worker_and_gives_it_back(house):
    """One worker, up to two; four clients that never pause, then one. Nobody's request is lost on the way."""
    (house.folder / "podium.toml").write_text(
        f'[serve]\nport = 0\n[models.a]\nuri = "{house.model(1)}"\nmax_workers = 2\n'
        f'scale_up_after = 2\nscale_down_after = 3\n[models.b]\nuri = "{house.model(2)}"\n'
    )
    with house.serving(uri=None) as server:
        with Load(server, 1, path="/models/a/invocations") as idle, Load(server, 1, path="/models/b/invocations") as b:
            with Load(server, 4, 30, path="/models/a/invocations") as busy:
                until(lambda: len(server.workers("a")) == 2, "a second worker")
                asked = len(busy.answers)
                until(lambda: len({pid for _, (_, pid) in busy.answers[asked:]}) == 2, "both answer")
            until(lambda: len(server.workers("a")) == 1, "one is enough again")
        assert (busy.failed, idle.failed, b.failed) == ([], [], [])
        assert "a: 1 -> 2 replicas: " in server.said()
        assert "a: 2 -> 1 replicas: " in server.said()
        assert len(server.workers("b")) == 1
