"""Both clients: what an answer was worth, answers in parts, and waiting for somebody who is not there yet."""

import contextlib
import json
import secrets

import numpy as np
import pytest
from asking import Breaking
from models_asked import FLOWERS, X

from podium import errors
from podium.client import Answer, Reported

_BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


def page(body, status="200 OK", kind="application/json"):
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return (head + body).encode()


def test_an_answer_is_reported_on_once(client):
    """By the answer itself; a second time changes nothing; a reward and a label are two things to say."""
    answer = client.predict_raw(X.head(2))

    told = client.feedback(answer, reward=1)

    assert told == Reported(answer.request_id, "matched", answer.version)
    assert told.is_counted
    assert client.feedback(answer, reward=0).result == "duplicate"
    assert client.feedback(answer, label=FLOWERS.predict(X.head(2))).result == "matched"
    assert answer.predictions.tolist() == [0, 0]


def test_labels_come_by_row_with_a_weight_and_late_ones_are_kept(client):
    answer = client.predict_raw(X.head(2))

    told = client.feedback(answer, label=np.int64(1), row=np.int64(1), weight=np.float32(0.5))
    again = client.feedback(answer, label=[0, None], row=1)
    late = client.feedback("of-long-ago", label=np.array([0, 1]), model="flowers")

    assert told == Reported(answer.request_id, "matched", answer.version, row=1)
    assert (again.result, again.is_kept, again.is_counted) == ("duplicate", True, True)
    assert (late.result, late.is_kept, late.is_counted) == ("unmatched", True, False)
    for wrong in ({"row": -1}, {"weight": 0}):
        with pytest.raises(errors.InvalidInput, match="expected"):
            client.feedback(answer, label=1, **wrong)
    with pytest.raises(errors.InvalidInput, match="of a label"):
        client.feedback(answer, reward=1, row=0)


def test_a_request_is_called_as_its_caller_says(client):
    """So that whoever wants values from `predict` can report on them too, of the default model and by name."""
    order = f"order-{secrets.token_hex(4)}"
    client.predict(X.head(1), request_id=f"{order}:a")
    client.predict(X.head(1), model="flowers", request_id=f"{order}:b")

    told = client.feedback(f"{order}:a", reward=0.5)
    many = client.feedback_many(
        [{"request_id": f"{order}:b", "reward": 1}, {"request_id": "nobody"}, {"request_id": "no", "label": 1}], "flowers"
    )

    assert told.result == "matched"
    assert [each.result for each in many] == ["matched", "invalid", "unmatched"]
    assert "reward or a label" in many[1].reason
    with pytest.raises(errors.Misconfigured, match="no request's id"):
        client.predict(X.head(1), request_id="or der")


def test_more_reports_than_a_request_holds_are_sent_in_several(client):
    """In their order, each with its result."""
    ids = [f"many-{secrets.token_hex(4)}-{number}" for number in range(2_001)]
    client.predict(X.head(1), request_id=ids[-1])

    results = client.feedback_many([{"request_id": each, "reward": 1} for each in ids], "flowers")

    assert [each.request_id for each in results] == ids
    assert [each.result for each in results] == ["unmatched"] * 2_000 + ["matched"]


@pytest.mark.parametrize(
    ("said", "kind"),
    [({}, errors.InvalidInput), ({"reward": 1.5}, errors.InvalidInput), ({"reward": 1, "model": "no"}, errors.NotFound)],
)
def test_a_report_that_says_nothing_or_of_nobody_is_refused(client, said, kind):
    """Before it is sent, where that can be known."""
    with pytest.raises(kind):
        client.feedback("some-id", **said)


def test_a_report_of_two_models_is_refused(client):
    """Whose answer it was is known."""
    with pytest.raises(errors.Misconfigured, match="leave model out"):
        client.feedback(Answer(b"", "", "flowers", "1", "id"), reward=1, model="echo")


def test_a_report_is_sent_again_where_nobody_knows_what_became_of_it(make):
    """A server counts it once: a connection that closes without a word, and one that is busy."""
    done = page(json.dumps({"items": [{"request_id": "a", "result": "duplicate", "version": "3"}]}))
    breaking = Breaking(b"", _BUSY, done)

    told = make(breaking.url).feedback("a", reward=1, model="m")

    assert told == Reported("a", "duplicate", "3")
    assert told.is_counted
    assert len(breaking.heads) == 3


@pytest.mark.parametrize("body", ["[]", "{}", '{"items": [1]}', '{"items": []}', "x"])
def test_an_answer_to_a_report_that_is_none_is_podiums_own_error(make, body):
    """Whatever stands there instead."""
    with pytest.raises(errors.PodiumError, match="podium's"):
        make(Breaking(page(body)).url).feedback("a", reward=1, model="m")


@pytest.mark.parametrize("data", [{"word": "hi"}, "hi", X.head(1).assign(word="hi")[["word"]]], ids=["dict", "text", "row"])
def test_parts_come_as_the_model_yields_them(client, data):
    """Of text, of the inputs by name, of a frame of one row."""
    assert list(client.stream(data, model="speller")) == ["H", "I"]


def test_parts_may_be_objects_and_params_go_along(client):
    """With a deadline and an id of the caller's, by which feedback finds it."""
    spelt = secrets.token_hex(8)
    parts = list(client.stream({"word": "ab"}, model="speller", params={"times": 2}, deadline=60, request_id=spelt))

    assert parts == [{"letter": "a", "times": 2}, {"letter": "b", "times": 2}]
    assert client.feedback(spelt, reward=1, model="speller").result == "matched"


def test_a_stream_that_is_not_read_to_its_end_gives_its_connection_back(make, server):
    """The only one of this client."""
    client = make(server.url, connections=1)

    with contextlib.closing(client.stream({"word": "abcdef"}, model="speller")) as parts:
        assert next(parts) == "A"

    assert client.predict(X.head(1), deadline=60).tolist() == [0]


def test_what_goes_wrong_after_some_parts_is_raised_in_its_place(client):
    """The parts before it are the caller's already."""
    got = []

    with pytest.raises(errors.PodiumError) as caught:
        got.extend(client.stream({"word": "azb"}, model="speller"))

    assert got == ["A"]
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ((X.head(2), "speller"), errors.InvalidInput),
        (([1], "speller"), errors.InvalidInput),
        (({"word": "a"}, "nobody"), errors.NotFound),
        (({"word": "a"}, "doubled"), errors.PodiumError),
    ],
    ids=["rows", "list", "model", "whole"],
)
def test_what_cannot_be_streamed_is_refused_before_the_first_part(client, asked, kind):
    """With an error of its own."""
    with pytest.raises(kind):
        next(client.stream(*asked))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (b'data: {"model_name": "m", "text_output": "a"}\n\ndata: {"mod', errors.Unavailable),
        (b"data: nothing\n\n", errors.PodiumError),
        (b"data: [1]\n\n", errors.PodiumError),
        (b'data: {"error": "gone"}\n\n', errors.PodiumError),
    ],
)
def test_a_stream_that_breaks_off_or_is_none_is_an_error_and_not_asked_for_again(make, events, expected):
    """Some parts may have come."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 900\r\nconnection: close\r\n\r\n"
    breaking = Breaking(head + events, page("{}"))

    with pytest.raises(expected):
        list(make(breaking.url).stream("x", model="m"))

    assert len(breaking.heads) == 1


def test_events_are_read_however_they_are_cut_and_ended(make):
    """Carriage returns, comments, other fields, several lines of data."""
    told = (
        b': hello\r\nevent: part\r\ndata: {"model_name": "m",\r\ndata: "output": [1]}\r\n\r\n'
        b'data:{"model_name":"m","id":"7","text_output":"x"}\n\n'
    )
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(told)}\r\nconnection: close\r\n\r\n"

    assert list(make(Breaking(head.encode() + told).url).stream("x", model="m")) == [[1], "x"]


def test_waiting_ends_when_it_is_ready(make, server):
    """After answers that say not yet, and at once where it is."""
    breaking = Breaking(b"", page("{}", "503 Not yet"), page("{}"))

    make(breaking.url).wait_until_ready(deadline=60)
    make(server.url).wait_until_ready("echo")

    assert len(breaking.heads) == 3


def test_waiting_ends_at_its_deadline_or_where_it_is_of_no_use(make, server):
    """Nobody there; no such model."""
    with pytest.raises(errors.DeadlineExceeded, match=r"not ready within 1 s; at last: it could not be reached"):
        make("http://127.0.0.1:9").wait_until_ready(deadline=1.0)
    with pytest.raises(errors.NotFound):
        make(server.url).wait_until_ready("nobody")
