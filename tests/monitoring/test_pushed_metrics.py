"""Metrics that are sent: DogStatsD's datagrams to a real socket, OTLP to a receiver that reads them as a collector does."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from receiving import Receiver

from podium.errors import Misconfigured
from podium.monitoring.exporters.dogstatsd import MOST_BYTES, DogStatsD, datagrams
from podium.monitoring.exporters.pushing import Pushing
from podium.settings.exports import ExportSettings
from podium.telemetry.metrics import DURATION, REQUESTS, ROWS
from podium.telemetry.seen import ToldMetrics
from podium.telemetry.slots import Slots, create_slots

LABELS = {"model": "iris", "version": "3"}
GAUGE = "podium.traffic_share:"
"""Is told each time, and last of all."""
TOLD = ToldMetrics(
    1000.0, [LABELS], [{"name": "podium_traffic_share", "labels": LABELS, "value": 0.5}, {"name": "odd", "value": 1}]
)


@pytest.fixture
def slots() -> Iterator[Slots]:
    descriptor = create_slots(2)
    made = Slots(descriptor)
    yield made
    made.close()
    os.close(descriptor)


@pytest.fixture
def agent() -> Iterator[socket.socket]:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(0)
    yield made
    made.close()


def heard(agent: socket.socket, until: str = "") -> set[str]:
    """All lines that arrived; waits for one that begins so, for the kernel may bring a datagram a moment later."""
    lines: list[str] = []
    try:
        while True:
            is_there = not until or any(line.startswith(until) for line in lines)
            agent.settimeout(0 if is_there else 60)
            lines += agent.recv(65536).decode().split("\n")
    except BlockingIOError:
        return set(lines)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def count(slots: Slots, requests: int) -> None:
    """As a gateway does, over both."""
    for slot in range(2):
        block = slots.block(slot, 0)
        block[REQUESTS.cell("200")] += requests
        block[DURATION.bucket(900)] += requests
        block[DURATION.sum] += 900 * requests


def test_datadog_is_told_what_was_added_and_how_gauges_stand(slots: Slots, agent: socket.socket) -> None:
    clock = Clock()
    count(slots, 5)
    pushing = Pushing(ExportSettings(statsd=f"127.0.0.1:{agent.getsockname()[1]}"), slots, clock, {})
    pushing.tell(TOLD)
    count(slots, 50)
    pushing.turn()
    early = heard(agent)
    clock.now = 10.0

    pushing.turn()

    lines = heard(agent, GAUGE)
    assert early == set()
    assert "podium.requests:100|c|#model:iris,version:3,code:200" in lines
    assert "podium.request_duration_seconds:0.001|d|@0.01|#model:iris,version:3" in lines
    assert "podium.request_duration_seconds.count:100|c|#model:iris,version:3" in lines
    assert "podium.request_duration_seconds.sum:0.09|c|#model:iris,version:3" in lines
    assert "podium.traffic_share:0.5|g|#model:iris,version:3" in lines
    assert not any("rows" in line and "|c" in line for line in lines)
    pushing.close()
    assert not any("|c" in line for line in heard(agent, GAUGE)), "nothing was added since"


def test_what_an_exporter_before_has_told_is_not_told_again(slots: Slots, agent: socket.socket) -> None:
    clock, settings = Clock(), ExportSettings(statsd=f"127.0.0.1:{agent.getsockname()[1]}")
    count(slots, 5)

    again = Pushing(settings, slots, clock, {})
    again.tell(TOLD)
    clock.now = 10.0
    again.turn()

    assert not any("requests" in line and "|c" in line for line in heard(agent, GAUGE))
    again.close()


def test_a_unix_socket_takes_them_too(slots: Slots, tmp_path: Path) -> None:
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    agent.bind(str(tmp_path / "dsd"))
    pushing = Pushing(ExportSettings(statsd=f"unix://{tmp_path / 'dsd'}"), slots, Clock(), {})
    pushing.tell(TOLD)
    slots.block(0, 0)[ROWS.offset] += 7

    pushing.close()

    agent.settimeout(60)
    assert "podium.rows:7|c|#model:iris,version:3" in agent.recv(65536).decode().split("\n")
    agent.close()


def test_an_agent_that_is_not_there_is_nobody_s_trouble(slots: Slots, tmp_path: Path) -> None:
    pushing = Pushing(ExportSettings(statsd=f"unix://{tmp_path / 'nobody'}"), slots, Clock(), {})
    pushing.tell(TOLD)
    count(slots, 1)

    pushing.close()


def test_no_datagram_is_longer_than_a_network_takes() -> None:
    lines = [f"podium.x:{number}|c" for number in range(1000)] + ["y" * 2000]

    sent = list(datagrams(lines))

    assert max(map(len, sent)) <= MOST_BYTES
    assert b"\n".join(sent).decode().split("\n") == lines[:-1]


def test_a_hostile_name_adds_neither_tags_nor_lines(slots: Slots) -> None:
    hostile = {"model": "a,b|#c\nd:1|c", "version": ""}
    pushing = Pushing(ExportSettings(statsd="127.0.0.1:9"), slots, Clock(), {})
    pushing.tell(ToldMetrics(0.0, [hostile], []))
    count(slots, 1)
    sender = DogStatsD(("127.0.0.1", 9))

    lines = list(sender.lines(pushing.families()))

    assert "podium.requests:2|c|#model:a_b__c_d_1_c,code:200" in lines
    assert not any("\n" in line for line in lines)
    sender.close()
    pushing.close()


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":8125", "localhost:99999", "localhost:x", "localhost:٣"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(Misconfigured, match="expected HOST:PORT or unix://PATH"):
        ExportSettings(statsd=address)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_a_collector_gets_what_metrics_show_since_the_server_began(slots: Slots, receiver: Receiver) -> None:
    clock = Clock()
    pushing = Pushing(ExportSettings(otlp_endpoint=receiver.base), slots, clock, {"OTEL_METRIC_EXPORT_INTERVAL": "5000"})
    pushing.tell(TOLD)
    count(slots, 50)
    clock.now = 5.0

    pushing.turn()

    headers, body = receiver.wait_for(1)[0]
    of = ExportMetricsServiceRequest.FromString(body).resource_metrics[0]
    metrics = {metric.name: metric for metric in of.scope_metrics[0].metrics}
    requests, took = metrics["podium_requests"].sum, metrics["podium_request_duration_seconds"]
    assert (headers[":path"], headers["content-type"]) == ("/v1/metrics", "application/x-protobuf")
    assert (requests.is_monotonic, requests.aggregation_temporality) == (
        True,
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    )
    point, shape = requests.data_points[0], took.histogram.data_points[0]
    assert (point.as_double, point.start_time_unix_nano) == (100.0, 1_000_000_000_000)
    assert {each.key: each.value.string_value for each in point.attributes} == {**LABELS, "code": "200"}
    assert (shape.count, round(shape.sum, 9), took.unit) == (100, 0.09, "s")
    assert (len(shape.bucket_counts), sum(shape.bucket_counts)) == (len(shape.explicit_bounds) + 1, 100)
    assert metrics["podium_traffic_share"].gauge.data_points[0].as_double == 0.5
    pushing.close()
