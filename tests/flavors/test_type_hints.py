"""Type hints of predict functions: the schema that they say, and checking input against them."""

import datetime
from typing import Any

import pandas as pd
import pytest

from podium.domain.signature import AnyType, ArrayType, ColumnSchema, DataType, MapType
from podium.errors import InvalidInput, SchemaMismatch
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.type_hints import (
    checked_hint,
    fit,
    from_frame,
    from_text_frame,
    hints_of,
    schema_of_answer,
    schema_of_hint,
    takes_context,
)


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (list[str], DataType.STRING),
        (list[int], DataType.LONG),
        (list[float], DataType.DOUBLE),
        (list[bool], DataType.BOOLEAN),
        (list[bytes], DataType.BINARY),
        (list[datetime.datetime], DataType.DATETIME),
        (list[list[str]], ArrayType(DataType.STRING)),
        (list[dict[str, float]], MapType(DataType.DOUBLE)),
        (list[Any], AnyType()),
        (list[int | str], AnyType()),
    ],
)
def test_a_list_says_one_unnamed_column(hint: Any, kind: Any) -> None:
    """Of the type of its items."""
    schema = schema_of_hint(hint)

    assert isinstance(schema, ColumnSchema)
    assert [(None, kind)] == [(column.name, column.type) for column in schema.columns]


@pytest.mark.parametrize("hint", [None, pd.DataFrame, str, dict[str, int], Any])
def test_other_hints_say_nothing_of_columns(hint: Any) -> None:
    """And input is not checked against them."""
    assert schema_of_hint(hint) is None
    assert checked_hint(hint) is None


@pytest.mark.parametrize("hint", [list[complex], list[dict[int, str]], list[str | None], list[dict]])
def test_a_list_of_what_has_no_place_in_a_schema_is_refused(hint: Any) -> None:
    """With what would be right."""
    with pytest.raises(InvalidInput):
        schema_of_hint(hint)


def test_an_answer_need_not_be_a_list() -> None:
    """And may be anything."""
    assert [DataType.STRING, DataType.STRING, AnyType(), AnyType()] == [
        schema_of_answer(hint).columns[0].type for hint in (list[str], str, complex, str | None)
    ]


@pytest.mark.parametrize(
    ("data", "hint", "said"),
    [
        ([1, "a", 2], list[str], r"list\[str\]`, invalid elements: \[\('1', 'Expected type str, but got int'\), \('…', "),
        ("text", list[str], "Expected list, but got str"),
        ([1], list[float], "Expected type float, but got int"),
        ([{"a": "b"}], list[dict[str, int]], r"dict\[str, int\]`.*Expected type int, but got str"),
        ([{1: 2}], list[dict[str, int]], "Key must be a string"),
        ([[1, "a"]], list[list[int]], "Expected type int, but got str"),
        ([1] * 9, list[str], r"\.\.\. \(truncated\)"),
    ],
)
def test_input_that_does_not_fit_is_refused_in_mlflows_words(data: Any, hint: Any, said: str) -> None:
    """With positions in place of the content: messages go into logs and to clients."""
    with pytest.raises(SchemaMismatch, match=said):
        fit(data, hint)


@pytest.mark.parametrize(
    ("data", "hint", "fitted"),
    [
        (["a"], list[str], ["a"]),
        (["2024-01-02T03:04:05"], list[datetime.datetime], [datetime.datetime(2024, 1, 2, 3, 4, 5)]),  # noqa: DTZ001
        (["aGk="], list[bytes], [b"hi"]),
        ([None, "a"], list[Any], [None, "a"]),
        ([{"a": None}], list[dict[str, int | None]], [{"a": None}]),
        (pd.DataFrame({"x": ["a", "b"]}), list[str], ["a", "b"]),
        (pd.DataFrame({"a": [1.5, float("nan")]}), list[float | None], [1.5, None]),
        (pd.DataFrame([[{"a": 1}]]), list[dict[str, int]], [{"a": 1}]),
    ],
)
def test_input_is_brought_into_the_form_of_the_hint(data: Any, hint: Any, fitted: Any) -> None:
    """Text from JSON becomes dates and bytes, tables become lists."""
    assert fitted == fit(data, hint)


def test_base64_and_dates_that_cannot_be_read_are_mlflows_error() -> None:
    """With its status, which is not the client's."""
    for hint, text in ((list[datetime.datetime], "tomorrow"), (list[bytes], "a")):
        with pytest.raises(MlflowException, match="Failed to validate the input data against the type hint") as caught:
            fit([text], hint)
        assert caught.value.get_http_status_code() == 500


def test_tables_become_texts_where_the_hint_asks_for_them() -> None:
    """The first column that holds a text; a table without one is refused."""
    frame = pd.DataFrame({"n": [1, 2], "x": ["a", "b"]})

    made = [from_text_frame(frame, hint) for hint in (list[str], list[dict[str, str]])]

    assert made == [["a", "b"], [{"x": "a"}, {"x": "b"}]]
    assert frame is from_text_frame(frame, list[int])
    with pytest.raises(SchemaMismatch, match="at least one string column"):
        from_text_frame(frame[["n"]], list[str])


def test_tables_stay_tables_without_a_hint_for_lists() -> None:
    """Most models want them so."""
    frame = pd.DataFrame({"a": [1]})

    assert frame is from_frame(frame, None)
    assert frame is from_frame(frame, pd.DataFrame)


class Two:
    def predict(self, ctx, rows: list[str], params=None) -> list[int]: ...


class One:
    def predict(self, model_input: list[str], params=None): ...

    def __call__(self, model_input: list[int]): ...


def late(model_input: "list[str]") -> "list[int]": ...


def unknown(model_input: "list[Nowhere]"): ...  # noqa: F821


def bare(model_input): ...


def test_hints_are_found_behind_context_and_self() -> None:
    """By name, or by the number of arguments when context has another name."""
    assert (takes_context(Two().predict), takes_context(One().predict)) == (True, False)
    assert [list[str], list[str], list[int], list[str], None, None] == [
        hints_of(each).input for each in (Two().predict, One().predict, One(), late, unknown, bare)
    ]
    assert list[int] == hints_of(late).output
