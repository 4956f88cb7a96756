"""Kept answers: the model is asked once for each request that is like no other, and never where somebody says no."""

import json
import threading
import time

import pytest

from podium.domain.traffic import Place, Rules, Sticky
from podium.serving.answer_cache import AnswerCache, KeptAnswer
from podium.telemetry.metrics import CACHE, CACHE_ANSWERS, CACHE_BYTES, REQUESTS

SIZE = 1 << 20


def answer_of(size, age=0.0):
    return KeptAnswer(b"x" * size, "application/json", b"", age)


def key_of(number, version="1"):
    return version, b"", str(number).encode()


def test_who_was_asked_for_least_lately_goes_first():
    cache = AnswerCache(10_000)
    for number in range(8):
        cache.keep(key_of(number), answer_of(800))
    assert cache.find(key_of(0)) is not None

    cache.keep(key_of(8), answer_of(800))

    assert (cache.find(key_of(0)) is not None, cache.find(key_of(1))) == (True, None)
    assert cache.size_bytes == 8 * answer_of(800).size_bytes <= 10_000


def test_an_answer_that_would_push_out_all_others_is_not_kept():
    cache = AnswerCache(10_000)
    cache.keep(key_of(1), answer_of(5000))

    assert (len(cache), cache.size_bytes) == (0, 0)


def test_what_is_kept_twice_counts_once_and_a_version_that_went_counts_nothing():
    cache = AnswerCache(10_000)
    for version in ("1", "1", "2"):
        cache.keep(key_of(1, version), answer_of(100))
    assert cache.size_bytes == 2 * answer_of(100).size_bytes

    cache.keep_only(frozenset({"2"}))

    assert (cache.find(key_of(1)), len(cache), cache.size_bytes) == (None, 1, answer_of(100).size_bytes)
    assert [cache.size_of(version) for version in "12"] == [(0, 0), (1, answer_of(100).size_bytes)]


def test_each_version_is_counted_apart_also_where_another_pushes_it_out():
    cache = AnswerCache(10_000)
    for number in range(8):
        cache.keep(key_of(number), answer_of(800))
    cache.keep(key_of(8, "2"), answer_of(800))

    size = answer_of(800).size_bytes
    assert [cache.size_of(version) for version in "12"] == [(7, 7 * size), (1, size)]
    assert cache.versions == ("1", "2")


@pytest.fixture(scope="module")
def shared(start_shared):
    """One gateway with a cache; version 1 is a script: each answer says how many it gave before."""
    server = start_shared(every_model={"cache_bytes": SIZE})
    server.published = 0
    return server


@pytest.fixture
def server(shared):
    """As `shared`, with version 1 alone, and nothing kept."""
    shared.publish({})
    shared.published += 1
    worker = shared.add(shared.published)
    answers_in_turn(worker)
    shared.publish({"1": (100, [shared.published])})
    shared.before = shared.counted()
    yield shared
    shared.drop(shared.published)
    shared.gateway.message()


def answers_in_turn(worker, name=""):
    """Answer each request with its number, in a thread."""

    def work():
        turn = 0
        try:
            while True:
                request = worker.take()
                turn += 1
                worker.reply(request, json.dumps({"predictions": [f"{name}{turn}"]}).encode())
        except (OSError, AssertionError):
            return

    threading.Thread(target=work, daemon=True).start()


def said(answer):
    return answer.json["predictions"][0], answer.headers.get("x-podium-cache")


def test_the_same_request_has_the_same_answer_under_its_own_id(server):
    began = time.monotonic()
    first, second = server.score(), server.score()
    passed = time.monotonic() - began

    assert (said(first), said(second)) == (("1", "miss"), ("1", "hit"))
    assert (0 <= int(second.headers["age"]) <= passed, "age" in first.headers) == (True, False)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert {n: v for n, v in first.headers.items() if n.startswith("x-podium-") and n != "x-podium-cache"} == {
        "x-podium-model": "iris", "x-podium-version": "1",
    }  # fmt: skip
    assert first.headers["content-type"] == second.headers["content-type"]


def test_a_hit_is_none_of_the_versions_answers(server, until):
    cells = REQUESTS.cell("200"), CACHE.cell("hit"), CACHE.cell("miss")
    for _ in range(3):
        server.score(b'{"inputs": ["counted"]}')

    # What is counted of an answer is counted once it has left.
    until(lambda: counted_since(server, cells) == [1, 2, 1], "all three are counted")


def counted_since(server, cells):
    """What was counted since the test began."""
    counted = server.counted()
    return [counted[cell] - server.before[cell] for cell in cells]


def kept(server, series):
    """What the metrics say is kept of a version: answers and bytes."""
    return [server.counted(series)[cell.offset] for cell in (CACHE_ANSWERS, CACHE_BYTES)]


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/invocations", b'{"inputs": [2]}', {}),
        ("/invocations", b'{"inputs": [1] }', {}),
        ("/invocations?a=1", b'{"inputs": [1]}', {}),
        ("/invocations", b'{"inputs": [1]}', {"Content-Type": "application/json; charset=utf-8"}),
        ("/invocations", b'{"inputs": [1]}', {"Accept": "application/x-npy"}),
        ("/invocations", b"inputs\n1\n", {"Content-Type": "text/csv"}),
    ],
    ids=["body", "a blank", "query", "type", "accept", "csv"],
)
def test_whatever_may_change_an_answer_makes_another_request(server, path, body, headers):
    server.score()

    answer = server.ask("POST", path, body, {"Content-Type": "application/json"} | headers)

    assert answer.headers["x-podium-cache"] == "miss"


def test_a_client_may_want_the_models_own_answer(server):
    """`no-cache` gets a new one, which is kept; `no-store` is none of the cache's business."""
    asked = [server.score(), server.score(Cache_Control="no-cache"), server.score()]
    private = [server.score(b'{"inputs": [3]}', Cache_Control="private, No-Store") for _ in range(2)]

    assert [said(each) for each in asked] == [("1", "miss"), ("2", "miss"), ("2", "hit")]
    assert [said(each) for each in private] == [("3", None), ("4", None)]


def test_a_body_that_takes_long_to_look_at_is_not_looked_at(server):
    body = b'{"inputs": [%s1]}' % (b"1," * (1 << 19))

    assert [said(server.score(body)) for _ in range(2)] == [("1", None), ("2", None)]


def test_what_is_no_answer_is_not_kept(server):
    worker = server.add(1000, version="9", series=9)
    server.publish({"9": (100, [1000])})
    for status, body in ((400, b"{}"), (500, b"{}"), (200, b"[1]")):
        soon = server.score_soon()
        worker.reply(worker.take(), body, status=status)
        answer = soon.result()
        assert (answer.status, answer.headers["x-podium-cache"]) == (status, "miss")

    assert server.score().headers["x-podium-cache"] == "hit"


def test_a_swap_leaves_nothing_of_the_version_before(server):
    """Also not when a version of the same name comes back, which may be another model."""
    server.score()
    before = kept(server, 0)
    answers_in_turn(server.add(2000, version="2", series=2), "two-")
    server.publish({"2": (100, [2000])})
    swapped = server.score()
    assert (before[0], before[1] > 400, kept(server, 0), kept(server, 2)[0]) == (1, True, [0, 0], 1)
    server.publish({"1": (100, [server.published])})

    assert (said(swapped), said(server.score())) == (("two-1", "miss"), ("2", "miss"))


def test_of_several_versions_each_answers_for_those_whom_it_gets(server):
    """By their key; nobody is answered by what the other version said."""
    answers_in_turn(server.add(3000, version="3", series=3), "three-")
    server.publish({"1": (50, [server.published]), "3": (50, [3000])}, rules=Rules(sticky=Sticky(Place.HEADER, "x-user")))
    answers = {user: [server.score(X_User=user) for _ in range(2)] for user in map(str, range(12))}

    versions = {user: {each.headers["x-podium-version"] for each in both} for user, both in answers.items()}
    assert {len(each) for each in versions.values()} == {1}
    assert {
        answer.headers["x-podium-version"]: answer.json["predictions"][0] for both in answers.values() for answer in both
    }
    for both in answers.values():
        for answer in both:
            assert answer.json["predictions"][0] == {"1": "1", "3": "three-1"}[answer.headers["x-podium-version"]]


def test_a_request_that_names_its_version_goes_to_it(server):
    server.score()

    assert said(server.score(X_Podium_Version="1")) == ("2", None)


def test_a_kept_answer_can_be_reported_on(server):
    """By the new id that it has, or the client's own."""
    server.score()
    hits = [server.score(), server.score(X_Request_ID="mine")]
    reports = [{"request_id": each.headers["x-request-id"], "reward": 1} for each in hits]

    told = server.ask("POST", "/models/iris/feedback", json.dumps(reports).encode()).json

    assert [each.headers["x-podium-cache"] for each in hits] == ["hit", "hit"]
    assert (hits[1].headers["x-request-id"], told["matched"]) == ("mine", 2)


def test_the_guard_is_asked_first_and_counts_what_is_kept(start):
    """Two an hour are two, whoever answers them."""
    server = start(every_model={"cache_bytes": SIZE}, clients={"rate_per_address": "2/h"})
    answers_in_turn(server.add(1))
    server.publish()

    asked = [server.score() for _ in range(3)]

    assert [each.status for each in asked] == [200, 200, 429]
    assert [each.headers.get("x-podium-cache") for each in asked] == ["miss", "hit", None]
    assert asked[1].headers["ratelimit-remaining"] == "0"


def test_where_no_model_is_cached_nobody_hears_of_it(start):
    """And where one of several is, the others are answered as ever."""
    server = start(models={"wine": {"cache_bytes": SIZE}})
    answers_in_turn(server.add(1))
    server.publish()

    assert [said(server.score()) for _ in range(2)] == [("1", None), ("2", None)]
