"""One field of a request's first row."""

import json

import pytest

from podium.protocols.tensors import CONTENT_TYPE, Tensor, encode_tensors, join_bytes
from podium.serving.walks.request_field import MOST_BYTES, field_of

JSON = "application/json; charset=utf-8"


def of(content, name="user"):
    return field_of(json.dumps(content).encode(), JSON, name)


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["a", "user"], "data": [[1, "u1"], [2, "u2"]]}},
        {"dataframe_records": [{"user": "u1"}, {"user": "u2"}]},
        {"inputs": {"user": ["u1", "u2"]}},
        {"inputs": {"user": [["u1"], ["u2"]]}},
        {"inputs": [{"user": "u1"}]},
        {"instances": [{"user": "u1"}]},
        {"inputs": [[1]], "params": {"user": "u1"}},
        {"inputs": [{"name": "user", "datatype": "BYTES", "shape": [1], "data": ["u1"]}]},
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}], "parameters": {"user": "u1"}},
        {"messages": [], "user": "u1"},
    ],
)
def test_each_form_has_its_place_for_it(content):
    assert of(content) == "u1"


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        7,
        None,
        {"inputs": []},
        {"dataframe_split": {"columns": ["user"], "data": []}},
        {"dataframe_split": {"columns": 3, "data": 4}},
        {"dataframe_records": [{"user": None}]},
        {"user": {"id": 1}},
        {"user": []},
    ],
)
def test_what_does_not_say_it_has_none(content):
    """Whether the request can be answered is another question."""
    assert of(content) is None


def test_numbers_are_their_digits():
    assert (of({"user": 7}), of({"user": "7"}), of({"user": 7.5}), of({"user": True})) == ("7", "7", "7.5", "true")


def test_tensors_and_json_of_the_same_request_have_the_same_key():
    """The Open Inference Protocol comes as either, as its gateway sees fit."""
    tensors = [
        Tensor("user", "INT64", (1,), (7).to_bytes(8, "little")),
        Tensor("name", "BYTES", (1, 1), join_bytes([b"u1"])),
        Tensor("none", "FP32", (0, 3), b""),
    ]
    body = encode_tensors(tensors, {"tenant": "t"})

    assert [field_of(body, CONTENT_TYPE, name) for name in ("user", "name", "none", "tenant", "other")] == [
        "7", "u1", None, "t", None,
    ]  # fmt: skip


def test_csv_has_a_header_line():
    assert field_of(b'a,"the user"\r\n1,"u,1"\r\n2,u2\r\n', "text/csv", "the user") == "u,1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe", JSON),
        (b"[" * 5000, JSON),
        (b"a,b", "text/csv"),
        (b"", "text/csv"),
        (b'"' * 999, "text/csv"),
        (b"\x01\x02", CONTENT_TYPE),
        (b'{"user": "u1"' + b" " * MOST_BYTES + b"}", JSON),
    ],
    ids=["bytes", "depth", "no row", "nothing", "quotes", "no tensors", "too large"],
)
def test_what_is_odd_is_left_to_the_model(body, kind):
    assert field_of(body, kind, "user") is None
