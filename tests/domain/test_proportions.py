"""A small body makes no huge data frame, and what is as large as it says is nobody's trouble."""

import json

import pytest

from podium.domain.inputs.proportions import FREE_CELLS, why_unfolding, why_unfolding_csv
from podium.domain.signature import Column, ColumnSchema, DataType
from podium.errors import MalformedBody, SchemaMismatch
from podium.models.enforce import InputEnforcer
from podium.protocols.mlflow.codec import decode

N = 4000
NAMES = list(range(N))
APART = [{f"k{number}": 1} for number in range(N)]
RAGGED = [[1] * N, *([1] for _ in range(N))]
NESTED = {f"k{number}": {str(number): 1} for number in range(N)}


@pytest.mark.parametrize(
    ("data", "index", "columns"),
    [
        (APART, None, None),
        (RAGGED, None, None),
        (NESTED, None, None),
        (1, NAMES, NAMES),
        ({"a": 1}, NAMES, [str(number) for number in range(N)]),
        ({f"k{number}": number for number in range(N)}, NAMES, None),
    ],
)
def test_values_that_unfold_to_their_square_make_no_frame(data, index, columns):
    why = why_unfolding(data, index, columns)

    assert why is not None
    assert f" rows of {N} columns have " in why or f"{N} rows of " in why


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        None,
        "text",
        [[1, 2], [3, 4]],
        [{"a": 1}, {"b": 2}, {}],
        {"a": [1, 2], "b": 3},
        [[0.5] * 3000] * 3000,
        [{"given": 1, "also": 2}] * 100_000 + [{f"optional {number}": 1 for number in range(100)}],
        [1] * 100_000,
    ],
)
def test_what_people_send_does(data):
    assert why_unfolding(data) is None


@pytest.mark.parametrize(
    "text",
    [
        ",".join(f"c{number}" for number in range(N)) + "\n1" * N,
        "\r\r" + ",".join(f"c{number}" for number in range(N)) + "\r1" * N,
        '"in\nquotes",' + ",".join(f'"c{number}"' for number in range(N)) + "\n1" * N,
        "a," * N,
        "," * N,
    ],
)
def test_csv_that_does_makes_none(text):
    assert why_unfolding_csv(text) is not None


@pytest.mark.parametrize(
    "text", ["", "\n", "a,b\n1,2\n", '"', 'a\n"' + "x" * 1_000_000, "a,a,a\n1,2,3\n", "a\n" + "1\n" * 1_000_000]
)
def test_csv_of_people_is_read(text):
    assert why_unfolding_csv(text) is None


def test_a_frame_of_as_many_cells_as_were_sent_is_never_too_large():
    """Whatever its size: it is the body's own bound that holds for it."""
    rows = FREE_CELLS // 50

    assert why_unfolding([[None] * 100] * rows) is None
    assert why_unfolding_csv("a,b\n" + "1,2\n" * FREE_CELLS) is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"dataframe_records": APART}), "application/json"),
        (json.dumps({"dataframe_split": {"data": RAGGED}}), "application/json"),
        (
            json.dumps({"dataframe_split": {"data": 1, "index": list(range(N)), "columns": list(range(N))}}),
            "application/json",
        ),
        ("a," * N, "text/csv"),
    ],
)
def test_the_codec_refuses_such_a_body(body, kind):
    with pytest.raises(MalformedBody, match="unfolds to much more than it holds"):
        decode(body.encode(), kind, None)


@pytest.mark.parametrize("data", [APART, NESTED])
def test_a_signature_is_not_enforced_on_such_values(data):
    """They are a frame's only then: `inputs` as lists and dicts come as they are."""
    schema = ColumnSchema((Column(DataType.DOUBLE, "k0"),))

    with pytest.raises(SchemaMismatch, match="unfolds to much more than it holds"):
        InputEnforcer(schema).enforce(data)
