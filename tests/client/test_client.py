"""Both clients against a real server: values in, values out, errors, deadlines, secrets."""

import asyncio
import logging
import multiprocessing
import socket
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from asking import Breaking
from models_asked import FLOWERS, MIXED, X

from podium import errors
from podium.client import AsyncClient, Client, ServedModel


@pytest.mark.parametrize(
    "data",
    [X.head(5), X.head(5).to_dict("records"), X.head(5).to_dict("series"), {n: X[n].head(5).to_numpy() for n in X}],
    ids=["frame", "records", "series", "arrays"],
)
def test_each_form_of_rows_is_answered_as_the_model_answers(client, data):
    """A frame, a list of records, a dict of columns."""
    answer = client.predict(data)

    assert isinstance(answer, np.ndarray)
    assert answer.tolist() == FLOWERS.predict(X.head(5)).tolist()


def test_arrays_answer_arrays(client):
    """Of the model that is named."""
    answer = client.predict(np.ones((2, 3), np.float32), model="doubled")

    np.testing.assert_array_equal(answer, np.full((2, 3), 2.0))


def test_a_frame_of_records_comes_back_as_a_frame_with_its_index(client):
    """Text with commas and quotes, a whole number beyond 2**53, a gap, and params."""
    frame = MIXED.set_index(pd.Index([10, 20]))

    answer = client.predict(frame, model="echo", params={"times": 3})

    pd.testing.assert_frame_equal(answer, frame.assign(times=3), check_dtype=False)
    assert answer["id"].tolist() == [2**53 + 1, 7]


def test_a_series_is_a_column(client):
    """By its name."""
    assert client.predict(pd.Series([0.0], name="seconds"), model="slow").tolist() == [0.0]


def test_the_raw_answer_says_who_answered(client):
    """Bytes, model, version, request id."""
    answer = client.predict_raw(X.head(1))

    assert answer.json() == {"predictions": [0]}
    assert (answer.model, bool(answer.version), len(answer.request_id)) == ("flowers", True, 32)
    assert client.predict_raw(answer_body(X.head(1))).body == answer.body


def answer_body(frame):
    import json

    return json.dumps({"dataframe_split": frame.to_dict("split")}).encode()


def test_models_ready_and_metadata(client):
    """What the server has, and how it is."""
    models = client.models()

    assert [each.name for each in models] == ["flowers", "echo", "slow", "doubled", "shown", "speller"]
    assert models[0] == ServedModel("flowers", models[0].version, "serving", True)
    assert client.ready()
    assert client.ready("echo")
    assert client.metadata()["name"] == "flowers"
    assert [each["datatype"] for each in client.metadata("echo")["inputs"]] == ["INT64", "BYTES", "FP64"]
    with pytest.raises(errors.NotFound):
        client.ready("nobody")
    with pytest.raises(errors.NotFound):
        client.metadata("nobody")


@pytest.mark.parametrize(
    ("data", "named", "kind"),
    [
        (X.head(1).drop(columns=X.columns[0]), {}, errors.SchemaMismatch),
        (X.head(1), {"model": "nobody"}, errors.NotFound),
        (pd.DataFrame({"id": [1], "name": ["unlucky"], "amount": [1.0]}), {"model": "echo"}, errors.PredictFailed),
        (MIXED, {"model": "echo", "params": {"times": "x"}}, errors.InvalidInput),
        (b"{", {}, errors.MalformedBody),
        (pd.DataFrame({"name": ["x" * 2_000_000]}), {"model": "echo"}, errors.BodyTooLarge),
    ],
)
def test_what_the_server_refuses_is_raised_with_the_requests_id(client, data, named, kind):
    """As podium's own errors, as near as the protocol tells them apart."""
    call = client.predict_raw if isinstance(data, bytes) else client.predict

    with pytest.raises(kind) as caught:
        call(data, **named)

    assert len(caught.value.request_id) >= 24
    if kind is errors.BodyTooLarge:
        assert caught.value.limit_bytes == 1 << 20


def test_a_deadline_holds_for_the_call_and_is_told_to_the_server(client):
    """The answer does not come in time; the client does not wait for it."""
    assert client.ready()  # it is connected: who is not by the deadline has reached nobody

    with pytest.raises(errors.DeadlineExceeded):
        client.predict(pd.DataFrame({"seconds": [3.0]}), model="slow", deadline=0.3)


def test_nobody_there_is_unavailable_and_not_ready(make):
    """The address is named, after the tries that are allowed."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        lonely = make(f"http://127.0.0.1:{closed.getsockname()[1]}", retries=1)

        assert not lonely.ready()
        with pytest.raises(errors.Unavailable, match="could not be reached"):
            lonely.predict([1])


GOOD = b'HTTP/1.1 200 OK\r\ncontent-length: 20\r\nconnection: close\r\n\r\n{"predictions": [1]}'
BUSY = b"HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


def test_a_connection_that_closes_without_a_word_and_a_busy_server_are_tried_again(make):
    """With the same id, so that the server's log shows one request."""
    breaking = Breaking(b"", BUSY, GOOD)

    assert make(breaking.url).predict([1]).tolist() == [1]

    ids = [line for head in breaking.heads for line in head.splitlines() if line.startswith("x-request-id")]
    assert (len(ids), len(set(ids))) == (3, 1)


@pytest.mark.parametrize("deed", [GOOD[:-5], b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"])
def test_an_answer_that_breaks_off_or_names_no_time_is_not_asked_for_again(make, deed):
    """Who knows what became of it."""
    breaking = Breaking(deed, GOOD)

    with pytest.raises(errors.Unavailable):
        make(breaking.url).predict([1])

    assert len(breaking.heads) == 1


@pytest.mark.parametrize("page", [b"<html>", b"[1]", b"", b'{"predictions"'])
def test_an_answer_that_is_no_prediction_is_podiums_own_error_or_what_it_says(make, page):
    """A proxy's page, half a document: never a traceback of a library."""
    breaking = Breaking(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(page), page))
    client = make(breaking.url)

    if page == b"[1]":
        assert client.predict([1]) == [1]
    else:
        with pytest.raises(errors.PodiumError, match="not JSON"):
            client.predict([1])


def test_redirects_are_not_followed(make):
    """The key would go with them."""
    elsewhere = Breaking(
        b"HTTP/1.1 307 There\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )

    with pytest.raises(errors.PodiumError):
        make(elsewhere.url).predict([1])


def test_a_key_is_sent_and_never_shown(make, caplog, monkeypatch):
    """Not in repr, not in errors, not in what the libraries log; the variable is as good as the argument."""
    monkeypatch.setenv("PODIUM_API_KEY", "sesame-open")
    caplog.set_level(logging.DEBUG)
    breaking = Breaking(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
    client = make(breaking.url)

    with pytest.raises(errors.PodiumError) as caught:
        client.predict([1])

    assert "authorization: bearer sesame-open" in breaking.heads[0]
    shown = repr(client) + repr(vars(client)) + str(caught.value) + repr(caught.value.__notes__) + caplog.text
    assert "sesame" not in shown


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:5000", "ftp://x", "http://", "http://user:word@host", "http://h:99999", "http://h/?key=word"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(make, url):
    """And the secret is not repeated."""
    with pytest.raises(errors.Misconfigured) as caught:
        make(url)

    assert "word" not in str(caught.value).replace("a password", "")


def test_a_version_is_answered_by_that_version_or_not_at_all(client, make):
    """One that there is, one that there is not; and a server that has never heard of versions answers with any."""
    version = client.models()[0].version

    assert client.predict(X.head(1), version=version).tolist() == [0]
    with pytest.raises(errors.NotFound, match="version"):
        client.predict(X.head(1), version="1")
    with pytest.raises(errors.PodiumError, match="and 2 was asked for"):
        make(Breaking(GOOD).url).predict([1], version="2")
    with pytest.raises(errors.Misconfigured, match="no version"):
        client.predict(X.head(1), version="1\r\nx: y")


def test_one_client_is_for_all_threads_and_for_forked_children(server):
    """No two of them write to one connection."""
    with Client(server.url) as client:
        expected = FLOWERS.predict(X).tolist()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(client.predict(X).tolist())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        context = multiprocessing.get_context("fork")
        theirs, ours = context.Pipe()
        child = context.Process(target=lambda: theirs.send(client.predict(X).tolist()))
        child.start()
        assert ours.poll(60)
        answers.append(ours.recv())
        child.join(60)

    assert answers == [expected] * 9


def test_a_call_that_is_cancelled_gives_its_connection_up(server):
    """The only one of this client; whoever waits for it until then is told so at its deadline."""

    async def calls():
        async with AsyncClient(server.url, connections=1, retries=0) as client:
            long = asyncio.create_task(client.predict([{"seconds": 3.0}], model="slow"))
            await asyncio.sleep(0)
            with pytest.raises(errors.DeadlineExceeded, match=r"did not answer within 0\.3 s"):
                await client.predict(X.head(1), deadline=0.3)
            long.cancel()
            with pytest.raises(asyncio.CancelledError):
                await long
            return await client.predict(X.head(1), deadline=60)

    assert asyncio.run(calls()).tolist() == [0]


def test_importing_the_client_imports_no_library():
    """Not even making one imports numpy or pandas."""
    script = (
        "import sys, podium.client; early = {'httpx', 'numpy', 'pandas'} & set(sys.modules);"
        "podium.client.Client('http://127.0.0.1:9').close(); print(early | ({'numpy', 'pandas'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "set()\n"
