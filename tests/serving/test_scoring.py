"""A request's walk: to a worker and back."""

from podium.telemetry.metrics import BATCH_ROWS, REQUESTS, ROWS


def test_a_request_travels_to_the_worker_and_its_reply_to_the_client(server):
    """Body, content type and request id reach the worker unchanged; the reply's bytes reach the client unchanged."""
    soon = server.score_soon(b'{"inputs": [[1, 2]]}', X_Request_ID="abc-1")
    request = server.workers[0].take()
    server.workers[0].reply(request, b'{"predictions": [7]}')

    answer = soon.result()

    assert (
        request.body, request.content_type, request.request_id, request.is_solo,
    ) == (b'{"inputs": [[1, 2]]}', "application/json", "abc-1", False)  # fmt: skip
    assert (answer.status, answer.body) == (200, b'{"predictions": [7]}')
    assert answer.headers["content-type"] == "application/json"
    assert tuple(answer.headers[name] for name in ("x-podium-model", "x-podium-version", "x-request-id")) == (
        "iris",
        "1",
        "abc-1",
    )


def test_counters_are_kept_in_the_slot(server, until):
    server.workers[0].serve()
    for _ in range(5):
        assert server.score().status == 200

    cells = server.counted()

    assert [cells[REQUESTS.cell("200")], cells[ROWS.offset], cells[BATCH_ROWS.sum]] == [5, 5, 5]
