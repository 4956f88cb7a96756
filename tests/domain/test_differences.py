"""Which differences between two answers there are, and which are meant."""

import pytest

from podium.domain.differences import ServerAnswer, differences

JSON = "application/json"


def whats(theirs, ours, request="inputs", tolerance=0.0):
    return [(each.what, each.intended is not None) for each in differences(theirs, ours, request, tolerance)]


@pytest.mark.parametrize(
    ("theirs", "ours", "tolerance", "expected"),
    [
        (b'{"predictions": [1.0]}', b'{"predictions":[1.0]}', 0, []),
        (b'{"predictions": [1.0]}', b'{"predictions": [1]}', 0, [("body", False)]),
        (b'{"predictions": [true]}', b'{"predictions": [1]}', 0, [("body", False)]),
        (b'{"predictions": [0.1]}', b'{"predictions": [0.10000000000000002]}', 0, [("body", False)]),
        (b'{"predictions": [0.1]}', b'{"predictions": [0.10000000000000002]}', 1e-9, []),
        (b'{"predictions": [NaN]}', b'{"predictions": [NaN]}', 0, []),
        (b'{"predictions": [NaN]}', b'{"predictions": [null]}', 0, [("body", False)]),
        (b'{"predictions": [1, 2]}', b'{"predictions": [1]}', 0, [("body", False)]),
        (b'[{"a": 1, "b": 2}]', b'[{"b": 2, "a": 1}]', 0, [("body", False)]),
        (b"\n", b"", 0, [("body", False)]),
    ],
)
def test_predictions_are_compared_value_by_value(theirs, ours, tolerance, expected):
    assert whats(ServerAnswer(200, JSON, theirs), ServerAnswer(200, JSON, ours), tolerance=tolerance) == expected


def test_other_words_for_the_same_error_are_meant_and_another_code_is_not():
    theirs = ServerAnswer(400, JSON, b'{"error_code": "BAD_REQUEST", "message": "data 1", "stack_trace": "Traceback"}')
    words = ServerAnswer(400, JSON, b'{"error_code": "BAD_REQUEST", "message": "data", "request_id": "1"}')
    code = ServerAnswer(400, JSON, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "data 1"}')

    assert whats(theirs, words) == [("body", True)]
    assert whats(theirs, code) == [("error code", False)]


def test_another_status_is_meant_only_where_the_page_says_so():
    theirs, ours = ServerAnswer(500, "text/plain", b"Internal Server Error"), ServerAnswer(415, "text/plain", b"Got ''.")

    assert whats(theirs, ours, "no content type") == [("status", True)]
    assert whats(theirs, ours, "inputs") == [("status", False)]


def test_another_content_type_is_not_meant():
    assert whats(ServerAnswer(200, JSON, b"1"), ServerAnswer(200, "text/plain", b"1")) == [("content type", False)]
