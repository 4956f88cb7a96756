"""Which columns of a body are kept: whatever is not allowed is nowhere in what is kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.payload_columns import ColumnRules, Nameless, held_to, subjects_in

ONE = {"shape": [1], "datatype": "FP64", "data": [1]}
OPEN = ColumnRules()
A_ONLY = ColumnRules(frozenset({"a"}))
B_HASHED = ColumnRules(frozenset({"a"}), frozenset({"b"}))


def digest(value: Any) -> str:
    return f"#{value}"


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (
            {"dataframe_split": {"columns": ["a", "b", "c"], "index": ["me"], "data": [[1, 2, 3], [4, None, 6]]}},
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "#2"], [4, None]]}},
        ),
        ({"dataframe_records": [{"a": 1, "c": 2}, {"b": [3, 4]}]}, {"dataframe_records": [{"a": 1}, {"b": ["#3", "#4"]}]}),
        ({"inputs": {"a": [1], "b": [2], "c": [3]}}, {"inputs": {"a": [1], "b": ["#2"]}}),
        ({"instances": [{"a": 1, "c": 2}], "signature_name": "x"}, {"instances": [{"a": 1}]}),
        (
            {"id": "anna", "inputs": [{**ONE, "name": name, "parameters": {}} for name in "abc"]},
            {
                "inputs": [{**ONE, "name": "a"}, {**ONE, "name": "b", "data": ["#1"]}],
            },
        ),
        ({"predictions": [1, 2]}, {"predictions": [1, 2]}),
        ({"predictions": [{"a": 1, "c": 2}]}, {"predictions": [{"a": 1}]}),
        ({"predictions": {"c": [2]}}, {"predictions": {}}),
        ([{"a": 1, "c": 2}], [{"a": 1}]),
        ({"a": 1, "prompt": "hello", "params": {"a": 2, "c": 3}}, {"a": 1, "params": {"a": 2}}),
    ],
)  # fmt: skip
def test_what_is_allowed_is_kept_and_nothing_else(body: Any, kept: Any) -> None:
    assert kept == held_to(B_HASHED, body, digest)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [[1, 2]]},
        {"inputs": 3},
        {"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}},
        {"dataframe_split": [1]},
        {"predictions": [[{"c": 1}]]},
        [1, 2],
        "anna",
        None,
    ],
)
def test_what_has_no_names_is_not_kept_at_all(body: Any) -> None:
    with pytest.raises(Nameless):
        held_to(A_ONLY, body, digest)


def test_without_rules_everything_is_kept() -> None:
    assert held_to(OPEN, [1, 2], digest) == [1, 2]


_SECRET = "secret"
_values = st.recursive(
    st.sampled_from([_SECRET, [_SECRET], {"a": _SECRET}, {"name": _SECRET}]),
    lambda deeper: st.lists(deeper, max_size=2) | st.dictionaries(st.sampled_from(["b", "c", "data"]), deeper, max_size=2),
    max_leaves=4,
)
_bodies = st.dictionaries(
    st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances", "outputs", "params", "c", "id"]),
    _values | st.fixed_dictionaries({"columns": st.just(["c"]), "data": st.lists(st.just([_SECRET]), max_size=2)}),
    max_size=3,
)


def _drop_unnamed(held: Any) -> Any:
    """Answers without names are kept on purpose."""
    return {key: value for key, value in held.items() if key != "outputs"} if isinstance(held, dict) else held


@given(_bodies)
def test_no_value_of_a_column_that_is_not_allowed_is_kept_whatever_the_body(body: Any) -> None:
    """Column `zzz` is the only one that may be kept, and no body has it."""
    try:
        held = held_to(ColumnRules(frozenset({"zzz"})), body, digest)
    except Nameless:
        return

    assert _SECRET not in json.dumps(_drop_unnamed(held))


@pytest.mark.parametrize(
    ("body", "whose"),
    [
        ({"dataframe_split": {"columns": ["who", "a"], "data": [["anna", 1], ["bob", 2]]}}, ["anna", "bob"]),
        ({"dataframe_records": [{"who": "anna"}, {"a": 1}, {"who": None}]}, ["anna"]),
        ({"inputs": {"who": [["anna"], ["bob"]]}}, ["anna", "bob"]),
        ({"inputs": [{"name": "who", "datatype": "BYTES", "shape": [1], "data": ["anna"]}]}, ["anna"]),
        ([{"who": 7}], [7]),
        ({"who": "anna"}, ["anna"]),
        ({"inputs": [[1, 2]]}, []),
        ("anna", []),
    ],
)
def test_whose_data_a_body_holds_is_said_by_one_column(body: Any, whose: list[Any]) -> None:
    assert whose == subjects_in(body, "who")
