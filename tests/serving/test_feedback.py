"""Feedback by request id, sent to real gateways: whichever is asked finds the version, and counts each report once."""

import json
import time

import pytest

from podium.telemetry.evidence import evidence_of
from podium.telemetry.metrics import FEEDBACK, LABELS, REWARD, REWARD_SQUARES
from podium.telemetry.slots import UNROUTED

PATH = "/models/iris/feedback"
LABELS_OF_SERIES = [{"model": "iris", "version": "1"}, {"model": "iris", "version": "2"}]


@pytest.fixture(scope="module")
def server(start_shared):
    """Two gateways; version 1 has everything on one, version 2 on the other."""
    begun = start_shared(gateways=2)
    for gateway, version in enumerate(("1", "2")):
        begun.add(gateway + 1, version, series=gateway, gateway=gateway).serve()
        begun.publish({version: (100, [gateway + 1])}, gateway=gateway)
    begun.tell({}, LABELS_OF_SERIES)
    return begun


def report(server, *reports):
    body = json.dumps(reports[0] if len(reports) == 1 else reports).encode()
    # One gateway takes reports at a time; a second one that has waited for long asks its client to come back, with 503.
    while (answer := server.ask("POST", PATH, body)).status == 503 and b"Another gateway" in answer.body:
        pass
    return answer.status, answer.json


def results(told):
    return [item["result"] for item in told["items"]]


def served_by_each(server):
    """A request id of each version."""
    found = {}
    while len(found) < 2:
        answer = server.score()
        found[answer.headers["x-podium-version"]] = answer.headers["x-request-id"]
    return found["1"], found["2"]


def test_any_gateway_knows_who_answered_and_counts_it_for_that_version_once(server):
    """Sent often enough that both gateways are asked."""
    one, two = served_by_each(server)
    before = [evidence_of(server.counted(series)) for series in (0, 1)]
    for _ in range(8):
        status, told = report(server, {"request_id": one, "reward": 1}, {"request_id": two, "reward": 0.25})
        assert status == 200
        assert [item["version"] for item in told["items"]] == ["1", "2"]
    after = [evidence_of(server.counted(series)) for series in (0, 1)]

    assert results(told) == ["duplicate", "duplicate"]
    assert [(a.rewards - b.rewards, a.penalties - b.penalties) for a, b in zip(after, before, strict=True)] == [
        (1, 0),
        (0.25, 0.75),
    ]


def test_reports_that_come_to_both_gateways_at_once_count_once(server):
    """Eight clients send the same two hundred; whoever is second hears that it is."""
    asked = [server.score().headers["x-request-id"] for _ in range(200)]
    before = sum(evidence_of(server.counted(series)).rewards for series in (0, 1))
    soon = [server.soon(lambda: report(server, *({"request_id": each, "reward": 1} for each in asked))) for _ in range(8)]
    told = [each.result() for each in soon]
    after = sum(evidence_of(server.counted(series)).rewards for series in (0, 1))

    assert {status for status, _ in told} == {200}
    assert sum(each["matched"] for _, each in told) == after - before == 200
    assert sum(each["duplicate"] for _, each in told) == 1400


def test_a_reward_and_a_label_come_apart_and_each_counts_once(server):
    one, _ = served_by_each(server)
    before = server.counted(0)
    said = [{"reward": 0.5}, {"label": "cat"}, {"reward": 1, "ground_truth": "dog"}]
    told = [report(server, {"request_id": one, **each})[1]["items"][0]["result"] for each in said]
    after = server.counted(0)

    assert told == ["matched", "matched", "duplicate"]
    changed = {cell: after[cell] - before[cell] for cell in (REWARD.sum, REWARD_SQUARES.offset, LABELS.offset)}
    assert changed == {REWARD.sum: 500_000, REWARD_SQUARES.offset: 250_000, LABELS.offset: 1}


def test_what_is_unknown_or_no_report_fails_nothing_beside_it(server):
    one, _ = served_by_each(server)
    before = server.counted(UNROUTED)
    forged = f"{one[:16]}{0xFFFF:08x}"
    status, told = report(
        server, {"request_id": "never"}, {"request_id": "never", "reward": 1}, {"request_id": one, "reward": 1},
        {"request_id": forged, "reward": 1}, 7,
    )  # fmt: skip
    after = server.counted(UNROUTED)

    assert status == 200
    assert results(told) == ["invalid", "unmatched", "matched", "unmatched", "invalid"]
    assert [told[name] for name in ("matched", "unmatched", "invalid", "duplicate")] == [1, 2, 2, 0]
    cells = [FEEDBACK.cell(name) for name in ("unmatched", "invalid")]
    assert [after[cell] - before[cell] for cell in cells] == [2, 2]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        (PATH, b"{", 400, "not JSON"),
        (PATH, b"", 400, "not JSON"),
        (PATH, b'{"reward": 1}', 400, "request_id"),
        (PATH, b"[" * 100_000, 400, "not JSON"),
        (PATH, b"[%s1]" % (b"1," * 1000), 413, "1001 reports"),
        (PATH, b"[" + b" " * (1 << 20) + b"]", 413, "at most 1048576"),
        ("/models/wine/feedback", b"[]", 404, "iris"),
        (PATH, b"[]", 200, "matched"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(server, path, body, status, said):
    answer = server.ask("POST", path, body)

    assert (answer.status, said in answer.body.decode()) == (status, True), answer.body


def test_a_clients_own_id_is_known_and_one_that_is_reused_counts_once(server):
    for _ in range(3):
        server.score(X_Request_ID="order-7")
    first = report(server, {"request_id": "order-7", "reward": 1})[1]
    second = report(server, {"request_id": "order-7", "reward": 1})[1]

    assert (results(first), results(second)) == (["matched"], ["duplicate"])


def test_an_id_that_was_given_out_stays_that_answers_whoever_brings_it_again(server):
    """Else anybody could have another version rewarded for it."""
    one, two = served_by_each(server)
    for _ in range(6):
        server.score(X_Request_ID=one)
        server.score(X_Request_ID=two)

    told = report(server, {"request_id": one, "reward": 1}, {"request_id": two, "reward": 1})[1]

    assert [item["version"] for item in told["items"]] == ["1", "2"]


def test_nothing_of_a_report_that_cannot_be_read_comes_back_but_a_short_id(server):
    told = report(server, {"request_id": "a" * 1000, "reward": 1}, {"request_id": ["b"]}, {"request_id": "c"})[1]

    assert [item["request_id"] for item in told["items"]] == [None, None, "c"]


def test_counters_are_shown_by_version(server):
    one, _ = served_by_each(server)
    report(server, {"request_id": one, "reward": 1})

    page = server.get("/metrics").body.decode()

    assert 'podium_feedback_total{model="iris",version="1",result="matched"}' in page
    assert 'podium_feedback_reward_bucket{model="iris",version="1",le="0.5"}' in page


def test_what_a_gateway_answered_is_known_after_its_death(start):
    """Its successor in the slot knows it, and what was reported stays reported."""
    server = start()
    server.add(1).serve()
    server.publish()
    asked = [server.score().headers["x-request-id"] for _ in range(2)]
    report(server, {"request_id": asked[0], "reward": 1})
    server.gateway.popen.kill()
    server.gateway.close()
    server.gateways[0] = server.start(0)
    server.publish({})

    told = report(server, *({"request_id": each, "reward": 1} for each in asked))[1]

    assert results(told) == ["duplicate", "matched"]
    assert evidence_of(server.counted()).rewards == 2


def test_a_request_that_another_version_answers_in_the_end_is_that_ones(start):
    """Its worker dies while it runs: the id was made for the version that did not answer."""
    server = start()
    one, two = server.add(1, version="1", series=0), server.add(2, version="2", series=1)
    server.publish({"1": (99, [1]), "2": (1, [2])})
    soon = server.score_soon(X_Podium_Route="iris/1")
    request = one.take()
    one.announce(request)
    one.die()
    again = two.take()
    two.reply(again)
    answer = soon.result()

    told = report(server, {"request_id": answer.headers["x-request-id"], "reward": 1})[1]

    assert (request.request_id, answer.headers["x-podium-version"]) == (answer.headers["x-request-id"], "2")
    assert (results(told), evidence_of(server.counted(0)).rewards, evidence_of(server.counted(1)).rewards) == (
        ["matched"],
        0,
        1,
    )


def test_with_a_short_window_no_report_is_late_that_comes_at_once(start):
    """However old the stamp of its id is: it may last for longer than the window."""
    server = start(feedback_window_s=0.5)
    server.add(1).serve()
    server.publish()
    told, before = [], time.monotonic()
    for _ in range(400):
        asked = server.score().headers["x-request-id"]
        found = results(report(server, {"request_id": asked, "reward": 1})[1])
        now = time.monotonic()
        # Else everything stood still, and this report did not come at once.
        if now - before < 0.5:
            told.append(found)
        before = now

    assert told
    assert told == [["matched"]] * len(told)


def test_a_server_without_a_window_takes_none_and_a_short_one_is_over_soon(start, until):
    off, short = start(feedback_window_s=0), start(feedback_window_s=0.05)
    for server in (off, short):
        server.add(1).serve()
        server.publish()
    refused = off.ask("POST", PATH, json.dumps({"request_id": off.score().headers["x-request-id"], "reward": 1}).encode())
    asked = short.score().headers["x-request-id"]

    assert (refused.status, "feedback_window" in refused.body.decode()) == (404, True)
    until(lambda: results(report(short, {"request_id": asked, "label": 1})[1]) == ["late"], "it is late")
